"""`make bench-images`: Karui beside its peers, from scratch, on free images that packages hold.

    python3 scripts/bench --karui target/release/karui [--corpus FOLDER] [--write]

Installs the peers, fetches the images, measures, and prints the tables in Markdown. --write also puts the tables into
docs/benchmarks.md and README.md, and the rate–distortion plot and the before/after picture into docs/bench.
"""
from __future__ import annotations

import argparse
from pathlib import Path

import documents
import images
import report
from encoders import ENCODERS, Encoder
from measure import Bench, Result
from tools import Tools, say

INSTALLED = Path(__file__).resolve().parents[2] / ".venv/bench"


def main() -> None:
    options = arguments()
    tools = Tools(INSTALLED)
    tools.install()
    corpus = images.of_folder(options.corpus) if options.corpus else images.of_packages(tools)
    by_kind = {kind: [image for image in corpus if images.kind(image) == kind] for kind in ENCODERS}
    bench = Bench(tools, options.karui.resolve())
    rows = {kind: measured(bench, kind, chosen) for kind, chosen in by_kind.items() if chosen}
    tables = "\n\n".join(report.table(kind, results) for kind, results in rows.items())
    print(f"\n{tables}\n", flush=True)
    if options.write:
        documents.write_tables(tables, report.summary(rows))
        say("measuring the curves of the plot")
        documents.write_plot(bench, by_kind["jpeg"])
        documents.write_picture(bench, by_kind["jpeg"])
        say("written: the tables of docs/benchmarks.md and README.md, and docs/bench")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.splitlines()[0])
    parser.add_argument("--karui", type=Path, required=True, help="the program to measure")
    parser.add_argument("--corpus", type=Path, help="a folder of JPEG and PNG files, instead of the fetched ones")
    parser.add_argument("--write", action="store_true", help="write docs/bench and the tables of docs/benchmarks.md and README.md")
    options = parser.parse_args()
    if options.corpus and options.write:
        parser.error("--write is for the images that anyone can fetch, not for --corpus")
    return options


def measured(bench: Bench, kind: str, chosen: list[Path]) -> dict[Encoder, list[Result]]:
    say(f"measuring {len(ENCODERS[kind])} encoders on {len(chosen)} {report.KINDS[kind]}")
    return bench.table(ENCODERS[kind], chosen)


if __name__ == "__main__":
    main()
