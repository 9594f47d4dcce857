"""`make bench-s3`: Karui's transfers beside the AWS CLI, boto3 and s5cmd, and what they take at any size.

    python3 scripts/bench_s3.py --karui FILE --server FILE --clients FOLDER --image FILE [--only beside,streamed,copied,synced]

The server is the S3 of `karui dev` over a folder, a process of its own on 127.0.0.1; every client uses the same part size and
as many parts at once, in turn. Prints tables in Markdown: ratios of one run, so that the machine counts for all alike. Behind
them comes a line for each bar that is missed, on stderr, and exit status 1.
"""
from __future__ import annotations

import argparse
import filecmp
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
from typing import Any

MIB = 1 << 20
PART = 8 * MIB
AT_ONCE = 4
# As many as a copy inside S3 has, of anything that its bytes and `PART` would make more of: COPY_PARTS in src/s3/copy.rs.
COPY_PARTS = 100
PAGE = 1000
RUNS = 5
SECTIONS = ("beside", "streamed", "copied", "synced")
KEYS = {"AWS_ACCESS_KEY_ID": "karui-local", "AWS_SECRET_ACCESS_KEY": "karui-local-secret",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
OURS = {"KARUI_MULTIPART_THRESHOLD": str(2 * PART), "KARUI_PART_SIZE": str(PART),
        "KARUI_UPLOAD_CONCURRENCY": str(AT_ONCE), "KARUI_DOWNLOAD_CONCURRENCY": str(AT_ONCE)}

# The bars: at most so much of what the other one takes.
BARS = {"AWS CLI": {"wall": 1.05, "cpu": 0.5}, "boto3": {"wall": 1.05, "cpu": 0.5}}
AIMS = {"s5cmd": {"wall": 1.0, "cpu": 1.0}}
MEMORY = 2 * PART * AT_ONCE + 32 * MIB
REQUESTS_BESIDE_PAGES = 10

# One of every attribute that this server keeps. It knows neither tags nor storage classes: those of a copy in parts are
# compared in tests/s3/attributes.
ATTRIBUTES = {"ContentType": "application/x-bench", "CacheControl": "max-age=60, public", "ContentLanguage": "de, ja",
              "ContentDisposition": 'attachment; filename="large file.bin"', "ContentEncoding": "gzip",
              "WebsiteRedirectLocation": "/elsewhere", "Metadata": {"author": "bench", "empty": "", "odd": "a=b; c"}}
EXPIRES = "2099-01-01T00:00:00Z"

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
# Changes attributes as one does in S3, by a copy onto itself, which S3 takes up to 5 GiB and this server at any size.
LABEL = textwrap.dedent(f"""
    import sys, boto3
    bucket, key = sys.argv[1:]
    boto3.client("s3").copy_object(Bucket=bucket, Key=key, CopySource=dict(Bucket=bucket, Key=key),
                                   MetadataDirective="REPLACE", Expires={EXPIRES!r}, **{ATTRIBUTES!r})
""")
# What S3 says of an object. The file is the object's own at the server, for a checksum that nobody has told it.
LOOK = textwrap.dedent("""
    import base64, json, sys, boto3
    from awscrt.checksums import crc64nvme
    endpoint, bucket, key, path = sys.argv[1:]
    answer = boto3.client("s3", endpoint_url=endpoint).head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    for own in "ResponseMetadata", "LastModified": del answer[own]
    crc = 0
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20): crc = crc64nvme(chunk, crc)
    etag = answer.pop("ETag").strip('"')
    true = base64.b64encode(crc.to_bytes(8, "big")).decode()
    print(json.dumps({"answer": answer, "parts": int((etag.split("-") + [1])[1]), "crc64nvme": true}, default=str))
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

    def file(self, bucket: str, key: str) -> Path:
        """Where the bytes of an object lie."""
        return self.folder / bucket / key

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait()


class Bench:
    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.karui = options.karui.resolve()
        self.clients = options.clients.resolve()
        self.folder = folder
        self.missed: list[str] = []
        self.server = Server(options.server.resolve(), folder / "s3")
        (folder / "aws").write_text(CLI_CONFIG)
        for name, script in {"boto": BOTO, "label": LABEL, "look": LOOK}.items():
            (folder / f"{name}.py").write_text(script)
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "AWS_CONFIG_FILE": str(folder / "aws"),
                            "AWS_ENDPOINT_URL": self.server.endpoint, "S3_ENDPOINT_URL": self.server.endpoint, **KEYS, **OURS}

    def bar(self, held: bool, told: str) -> bool:
        if not held:
            self.missed.append(f"missed: {told}")
        return held

    def run(self, *words: str | Path) -> Run:
        errors = self.folder / "errors"
        with errors.open("w") as file:
            begin = time.monotonic()
            process = subprocess.Popen([str(word) for word in words], env=self.environment, stdout=subprocess.DEVNULL,
                                       stderr=file)
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"error: {' '.join(map(str, words))}: exit status {process.returncode}\n{errors.read_text()}")
        return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)

    def look(self, server: Server, bucket: str, key: str) -> dict[str, Any]:
        """What boto3 is told of an object, how many parts it has, and the checksum that its bytes have."""
        words = [self.clients / "python", self.folder / "look.py", server.endpoint, bucket, key, server.file(bucket, key)]
        told = subprocess.run([str(word) for word in words], env=self.environment, stdout=subprocess.PIPE, check=True)
        return json.loads(told.stdout)

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
                if not same_bytes(source, target):
                    sys.exit(f"error: what {name} has carried up and down is not what it was")
        for path in source, target, self.server.file("source", "object"):
            path.unlink()
        lines = [f"| {size // MIB} MiB, {PART // MIB} MiB parts, {AT_ONCE} at once | up, wall | up, CPU | down, wall | down, CPU "
                 "| memory |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
        for name in names:
            cells = [f"{middle(runs[name, verb], what) / middle(runs['Karui', verb], what):.2f}"
                     for verb in ("up", "down") for what in ("wall", "cpu")]
            memory = max(run.memory for verb in ("up", "down") for run in runs[name, verb])
            lines.append("| " + " | ".join([name, *cells, f"{memory / MIB:.0f} MiB"]) + " |")
        up, down = middle(runs["Karui", "up"], "wall"), middle(runs["Karui", "down"], "wall")
        lines += ["", f"Karui is 1.00: {up:.2f} s up, {down:.2f} s down."]
        return "\n".join(lines + self.held_beside(runs)) + "\n"

    def held_beside(self, runs: dict[tuple[str, str], list[Run]]) -> list[str]:
        """Notes bars that are missed; the aims that are, as lines."""
        short = []
        for verb in ("up", "down"):
            for other, limits in (BARS | AIMS).items():
                for what, limit in limits.items():
                    ratio = middle(runs["Karui", verb], what) / middle(runs[other, verb], what)
                    said = f"{verb}, {what}: {ratio:.2f} of what {other} takes, and at most {limit:.2f} is"
                    if other in BARS:
                        self.bar(ratio <= limit, f"{said} the bar")
                    elif ratio > limit:
                        short.append(f"{said} the aim.")
        return ["", "Short of the aim:", "", *(f"- {line}" for line in short)] if short else []

    def put_large(self, size: int) -> Path:
        """An object `large` at the source, with parts, checksum and attributes; the file that it was."""
        original = self.folder / "large"
        write_sparse(original, size)
        self.run(self.karui, "cp", original, "s3://source/large")
        self.run(self.clients / "python", self.folder / "label.py", "source", "large")
        return original

    def arrived(self, what: str, original: Path, server: Server, key: str) -> tuple[bool, int]:
        """Whether a copy of `large` has all that belongs to it, to the byte, and in how many parts it came."""
        before, after = self.look(self.server, "source", "large"), self.look(server, "destination", key)
        asked = before["answer"]
        whole = [
            self.bar(all(asked.get(name) == value for name, value in ATTRIBUTES.items()) and "Expires" in asked,
                     f"{what}: the source has not the attributes it was given: {asked}"),
            # This server does not say of what a checksum is; that of the parts' checksums would end in their number.
            self.bar(asked.get("ChecksumCRC64NVME") == before["crc64nvme"] == after["crc64nvme"],
                     f"{what}: its checksum is {after['crc64nvme']}, the source's {before['crc64nvme']}, said to be "
                     f"{asked.get('ChecksumCRC64NVME')}"),
            *(self.bar(asked.get(name) == after["answer"].get(name),
                       f"{what}: {name} is {after['answer'].get(name)}, the source's {asked.get(name)}")
              for name in sorted(asked | after["answer"])),
            self.bar(same_bytes(original, server.file("destination", key)), f"{what}: it has other bytes than its source"),
        ]
        return all(whole), after["parts"]

    def streamed(self, size: int, program: Path) -> str:
        """From one store to another, which no server copies between."""
        other, what = Server(program, self.folder / "other"), f"{size >> 30} GiB streamed from one store to another"
        try:
            original = self.put_large(size)
            run = self.run(self.karui, "cp", "s3://source/large", "s3://destination/large",
                           "--destination-endpoint", other.endpoint)
            whole, _ = self.arrived(what, original, other, "large")
            self.bar(run.memory <= MEMORY,
                     f"{what}: {run.memory / MIB:.1f} MiB of memory, and at most {MEMORY // MIB} are the bar")
            return f"| {what} | {yes(whole)} | {described(run)} |"
        finally:
            other.stop()
            remove(self.folder / "large", self.server.file("source", "large"), other.file("destination", "large"))

    def copied(self, size: int) -> str:
        what = f"{size >> 30} GiB copied server-side"
        original = self.put_large(size)
        self.server.requests()
        run = self.run(self.karui, "cp", "s3://source/large", "s3://destination/copied")
        requests = self.server.requests()
        whole, parts = self.arrived(what, original, self.server, "copied")
        wanted = min(-(-size // PART), COPY_PARTS)
        # Of what a copy in parts asks for, its parts alone are a PUT.
        whole &= self.bar(parts == wanted == requests.get("PUT"),
                          f"{what}: {parts} parts by {requests.get('PUT')} requests, and {wanted} are right")
        remove(original, self.server.file("source", "large"), self.server.file("destination", "copied"))
        return f"| {what}, {told(requests)} | {yes(whole)} | {described(run)} |"

    def synced(self, count: int, image: Path) -> str:
        """A second run over small images that are already optimized."""
        for n in range(count):
            path = self.server.file("source", f"images/{n // 1000}/{n}.jpg")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(image.read_bytes())
        words = [self.karui, "sync", "--optimize", "s3://source/images/", "s3://destination/images/"]
        self.server.requests()
        first, requests = self.run(*words), self.server.requests()
        second, again = self.run(*words), self.server.requests()
        arrived = sum(1 for _ in self.server.file("destination", "images").rglob("*.jpg"))
        whole = self.bar(arrived == count, f"sync: {arrived} of {count} objects have arrived")
        # Of a listing and of an object alike; where there are as many as lists alone may be, no object was asked for.
        most = 2 * -(-count // PAGE) + REQUESTS_BESIDE_PAGES
        idle = [
            self.bar(not set(again) - {"GET", "HEAD"}, f"sync, second run: it writes: {told(again)}"),
            self.bar(sum(again.values()) <= most, f"sync, second run: {told(again)}, and at most {most} in all are the bar"),
        ]
        return "\n".join([
            f"| {count} images synced, first run, {told(requests)} | {yes(whole)} | {described(first)} |",
            f"| the same again, {told(again)} | {yes(all(idle))} | {described(second)} |",
        ])


def told(requests: dict[str, int]) -> str:
    return ", ".join(f"{count} {method}" for method, count in sorted(requests.items()))


def described(run: Run) -> str:
    return f"{run.wall:.2f} s | {run.cpu:.2f} s | {run.memory / MIB:.0f} MiB"


def middle(runs: list[Run], what: str) -> float:
    return median(getattr(run, what) for run in runs)


def yes(held: bool) -> str:
    return "yes" if held else "no"


def remove(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def same_bytes(one: Path, other: Path) -> bool:
    filecmp.clear_cache()
    return filecmp.cmp(one, other, shallow=False)


def write_noise(path: Path, size: int) -> None:
    with path.open("wb") as file:
        for _ in range(0, size, MIB):
            file.write(os.urandom(MIB))


def write_sparse(path: Path, size: int) -> None:
    """Nothing but holes, and noise at places that fall together with no part's; no part of `PART` bytes is without any."""
    block, stride = 4096, PART - 12_345
    with path.open("wb") as file:
        file.truncate(size)
        for place in (*range(0, size - block, stride), size - block):
            file.seek(place)
            file.write(os.urandom(block))


def sections(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(SECTIONS):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: want some of {','.join(SECTIONS)}")
    return names


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench_s3", description=__doc__.splitlines()[0])
    parser.add_argument("--karui", type=Path, required=True, help="the program to measure")
    parser.add_argument("--server", type=Path, required=True, help="target/release/examples/s3_server")
    parser.add_argument("--clients", type=Path, required=True, help="a folder with aws, s5cmd, and python with boto3")
    parser.add_argument("--image", type=Path, required=True, help="a small image")
    parser.add_argument("--size", type=int, default=1024, help="of the object that all clients carry, in MiB")
    parser.add_argument("--only", type=sections, default=list(SECTIONS), help=f"some of {','.join(SECTIONS)}")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.server.parent) as folder:
        bench = Bench(options, Path(folder).absolute())
        alone = {
            "streamed": lambda: bench.streamed(5 << 30, options.server.resolve()),
            "copied": lambda: bench.copied(6 << 30),
            "synced": lambda: bench.synced(10_000, options.image),
        }
        try:
            if "beside" in options.only:
                print(f"### Beside other clients\n\n{bench.beside_others(options.size * MIB)}", flush=True)
            if chosen := [measure for name, measure in alone.items() if name in options.only]:
                print("### Large and many\n\n| Karui alone | whole | wall | CPU | memory |\n| --- | --- | ---: | ---: | ---: |",
                      flush=True)
                for measure in chosen:
                    print(measure(), flush=True)
        finally:
            bench.server.stop()
    if bench.missed:
        sys.exit("\n".join(bench.missed))


if __name__ == "__main__":
    main()
