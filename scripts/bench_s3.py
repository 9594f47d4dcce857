"""`make bench-s3`: Karui's transfers beside the AWS CLI, boto3 and s5cmd, and what they take at any size.

    python3 scripts/bench_s3.py --karui FILE --server FILE --clients FOLDER

The server is the S3 of `karui dev` over a folder, a process of its own on 127.0.0.1; every client uses the same part size and
as many parts at once, in turn. Prints tables in Markdown: ratios of one run, so that the machine counts for all alike.
"""
from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

MIB = 1 << 20
PART = 8 * MIB
AT_ONCE = 4
RUNS = 5
KEYS = {"AWS_ACCESS_KEY_ID": "karui-local", "AWS_SECRET_ACCESS_KEY": "karui-local-secret",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}

BOTO = textwrap.dedent(f"""
    import sys, boto3
    from boto3.s3.transfer import TransferConfig
    config = TransferConfig(multipart_threshold={2 * PART}, multipart_chunksize={PART}, max_concurrency={AT_ONCE},
                            preferred_transfer_client="classic")
    verb, bucket, key, path = sys.argv[1:]
    s3 = boto3.client("s3")
    if verb == "up": s3.upload_file(path, bucket, key, Config=config)
    else: s3.download_file(bucket, key, path, Config=config)
""")
CLI_CONFIG = textwrap.dedent(f"""
    [default]
    s3 =
      multipart_threshold = {2 * PART}
      multipart_chunksize = {PART}
      max_concurrent_requests = {AT_ONCE}
      preferred_transfer_client = classic
""")


@dataclass(frozen=True)
class Run:
    wall: float  # seconds
    cpu: float  # seconds of the client, user and system
    memory: int  # bytes at the peak


class Server:
    """An S3 over a folder with two buckets."""

    def __init__(self, program: Path, folder: Path) -> None:
        for bucket in ("source", "destination"):
            (folder / bucket).mkdir(parents=True)
        self.folder = folder
        self.process = subprocess.Popen([program, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.endpoint = self.process.stdout.readline().strip()

    def requests(self) -> dict[str, int]:
        """By method, since the last time."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait()


class Bench:
    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.karui = options.karui.resolve()
        self.clients = options.clients.resolve()
        self.folder = folder
        self.server = Server(options.server.resolve(), folder / "s3")
        (folder / "aws").write_text(CLI_CONFIG)
        (folder / "boto.py").write_text(BOTO)
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "AWS_CONFIG_FILE": str(folder / "aws"),
                            "AWS_ENDPOINT_URL": self.server.endpoint, "S3_ENDPOINT_URL": self.server.endpoint, **KEYS}

    def run(self, *words: str | Path) -> Run:
        begin = time.monotonic()
        process = subprocess.Popen([str(word) for word in words], env=self.environment, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"error: {' '.join(map(str, words))}: exit status {process.returncode}")
        return Run(time.monotonic() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)

    def client(self, name: str, verb: str, key: str, path: Path) -> Run:
        url = f"s3://source/{key}"
        ends = (path, url) if verb == "up" else (url, path)
        match name:
            case "Karui":
                return self.run(self.karui, "cp", *ends)
            case "AWS CLI":
                return self.run(self.clients / "aws", "s3", "cp", "--only-show-errors", *ends)
            case "boto3":
                return self.run(self.clients / "python", self.folder / "boto.py", verb, "source", key, path)
            case "s5cmd":
                return self.run(self.clients / "s5cmd", "cp", "--concurrency", str(AT_ONCE), "--part-size",
                                str(PART // MIB), *ends)
        raise ValueError(name)

    def beside_others(self, size: int) -> str:
        """One object up and down, `RUNS` times by each client in turn; the median."""
        source, target = self.folder / "source", self.folder / "target"
        write_noise(source, size)
        runs: dict[tuple[str, str], list[Run]] = {}
        names = ("Karui", "AWS CLI", "boto3", "s5cmd")
        for _ in range(RUNS):
            for name in names:
                runs.setdefault((name, "up"), []).append(self.client(name, "up", "object", source))
                target.unlink(missing_ok=True)
                runs.setdefault((name, "down"), []).append(self.client(name, "down", "object", target))
                if target.stat().st_size != size:
                    sys.exit(f"error: {name} read {target.stat().st_size} bytes of {size}")
        lines = [f"| {size // MIB} MiB, {PART // MIB} MiB parts, {AT_ONCE} at once | up, wall | up, CPU | down, wall | down, CPU "
                 "| memory |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
        for name in names:
            cells = [f"{middle(runs[name, verb], what) / middle(runs['Karui', verb], what):.2f}"
                     for verb in ("up", "down") for what in ("wall", "cpu")]
            memory = max(run.memory for verb in ("up", "down") for run in runs[name, verb])
            lines.append("| " + " | ".join([name, *cells, f"{memory / MIB:.0f} MiB"]) + " |")
        up, down = middle(runs["Karui", "up"], "wall"), middle(runs["Karui", "down"], "wall")
        return "\n".join(lines) + f"\n\nKarui is 1.00: {up:.2f} s up, {down:.2f} s down.\n"

    def streamed(self, size: int, program: Path) -> str:
        """From one store to another, which no server copies between."""
        other = Server(program, self.folder / "other")
        try:
            write_sparse(self.server.folder / "source/large", size)
            run = self.run(self.karui, "cp", "s3://source/large", "s3://destination/large", "--destination-endpoint", other.endpoint)
            arrived = (other.folder / "destination/large").stat().st_size
            return f"| {size >> 30} GiB streamed from one store to another | {arrived == size} | {described(run)} |"
        finally:
            other.stop()

    def copied(self, size: int) -> str:
        write_sparse(self.server.folder / "source/large", size)
        self.server.requests()
        run = self.run(self.karui, "cp", "s3://source/large", "s3://destination/copied")
        arrived = (self.server.folder / "destination/copied").stat().st_size
        requests = self.server.requests()
        return f"| {size >> 30} GiB copied server-side, {told(requests)} | {arrived == size} | {described(run)} |"

    def synced(self, count: int, image: Path) -> str:
        """A second run over small images that are light already."""
        for n in range(count):
            path = self.server.folder / f"source/images/{n // 1000}/{n}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(image.read_bytes())
        words = [self.karui, "sync", "--optimize", "s3://source/images/", "s3://destination/images/"]
        self.server.requests()
        first, requests = self.run(*words), self.server.requests()
        second, again = self.run(*words), self.server.requests()
        return "\n".join([
            f"| {count} images synced, first run, {told(requests)} | | {described(first)} |",
            f"| the same again, {told(again)} | {'PUT' not in again} | {described(second)} |",
        ])


def told(requests: dict[str, int]) -> str:
    return ", ".join(f"{count} {method}" for method, count in sorted(requests.items()))


def described(run: Run) -> str:
    return f"{run.wall:.2f} s | {run.cpu:.2f} s | {run.memory / MIB:.0f} MiB"


def middle(runs: list[Run], what: str) -> float:
    return median(getattr(run, what) for run in runs)


def write_noise(path: Path, size: int) -> None:
    with path.open("wb") as file:
        for _ in range(0, size, MIB):
            file.write(os.urandom(MIB))


def write_sparse(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench_s3", description=__doc__.splitlines()[0])
    parser.add_argument("--karui", type=Path, required=True, help="the program to measure")
    parser.add_argument("--server", type=Path, required=True, help="target/release/examples/s3_server")
    parser.add_argument("--clients", type=Path, required=True, help="a folder with aws, s5cmd, and python with boto3")
    parser.add_argument("--image", type=Path, required=True, help="a small image")
    parser.add_argument("--size", type=int, default=1024, help="of the object that all clients carry, in MiB")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.server.parent) as folder:
        bench = Bench(options, Path(folder))
        try:
            print(bench.beside_others(options.size * MIB), flush=True)
            print("| Karui alone | whole | wall | CPU | memory |\n| --- | --- | ---: | ---: | ---: |", flush=True)
            print(bench.streamed(5 << 30, options.server.resolve()), flush=True)
            print(bench.copied(6 << 30), flush=True)
            print(bench.synced(10_000, options.image), flush=True)
        finally:
            bench.server.stop()


if __name__ == "__main__":
    main()
