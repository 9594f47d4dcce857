"""Runs one encoder over one image, and tells what came of it: bytes, score, CPU time, memory."""
from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from encoders import DECLINED, ENVIRONMENT, Encoder, words
from tools import Tools

IDENTICAL = 100.0


@dataclass(frozen=True)
class Result:
    bytes_in: int
    bytes_kept: int  # the smaller of input and output
    score: float | None  # None: the encoder failed, or its output cannot be compared with the input
    cpu: float  # seconds, user and system
    memory: int  # bytes at the peak; what starts the program counts, too, so some 20 MB at least


@dataclass(frozen=True)
class Bench:
    tools: Tools
    karui: Path

    def table(self, encoders: Sequence[Encoder], images: Sequence[Path]) -> dict[Encoder, list[Result]]:
        """All encoders on one image, then on the next, one at a time: what else the machine does meanwhile touches
        all of them alike."""
        rows: dict[Encoder, list[Result]] = {encoder: [] for encoder in encoders}
        for image in images:
            for encoder in encoders:
                rows[encoder].append(self.measure(encoder, encoder.quality, image))
        return rows

    def curve(self, encoder: Encoder, quality: int, images: Sequence[Path]) -> list[Result]:
        """On all cores, since no CPU time is told from it."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(lambda image: self.measure(encoder, quality, image), images))

    @cache  # the plot takes from the table what is measured already
    def measure(self, encoder: Encoder, quality: int, image: Path) -> Result:
        bytes_in = image.stat().st_size
        with tempfile.TemporaryDirectory(dir=self.tools.root) as folder:
            output, cpu, memory = self.encode(encoder, quality, image, Path(folder))
            if output is None:
                return Result(bytes_in, bytes_in, None, cpu, memory)
            bytes_out = output.stat().st_size
            if bytes_out >= bytes_in:
                return Result(bytes_in, bytes_in, IDENTICAL, cpu, memory)
            return Result(bytes_in, bytes_out, self.score(image, output), cpu, memory)

    def encode(self, encoder: Encoder, quality: int, image: Path, folder: Path) -> tuple[Path | None, float, int]:
        """What the encoder wrote (the image itself if it wrote nothing, None if it failed), its CPU time and memory."""
        source, cpu, memory = image, 0.0, 0
        for number, command in enumerate(encoder.command.split(" && ")):
            step = folder / str(number)
            step.mkdir(parents=True)
            line = words(command, self.tools, self.karui, quality=quality, input=source, folder=step,
                         output=step / image.name)
            status, usage = run(line, NODE_PATH=str(self.tools.root / "npm/node_modules"))
            cpu += usage.ru_utime + usage.ru_stime
            memory = max(memory, usage.ru_maxrss * 1024)
            if status in DECLINED.get(Path(line[0]).name, ()):
                continue
            if status != 0:
                return None, cpu, memory
            source = next((file for file in step.rglob("*") if file.is_file()), source)
        return source, cpu, memory

    def score(self, image: Path, output: Path) -> float | None:
        if output == image:
            return IDENTICAL
        done = subprocess.run([self.karui, "score", "--json", image, output], capture_output=True, text=True)
        return json.loads(done.stdout)["score"] if done.returncode == 0 else None


def run(command: list[str], **environment: str):
    """Exit status and resource usage of this child alone, which subprocess does not tell."""
    child = subprocess.Popen(command, env={**os.environ, **ENVIRONMENT, **environment},
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode, usage
