"""The tables, in Markdown."""
from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from encoders import KARUI, YARDSTICK, Encoder
from measure import Result

KINDS = {"jpeg": "photographs (JPEG)", "png": "photographs and graphics (PNG)"}


def table(kind: str, rows: dict[Encoder, list[Result]]) -> str:
    count = len(next(iter(rows.values())))
    yardstick = sum(result.cpu for result in rows[YARDSTICK])
    lines = [f"| {count} {KINDS[kind]} | kept | median score | worst score | CPU time | memory | no score |",
             "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for encoder, results in rows.items():
        cells = [encoder.title, f"{kept(results):.1f} %", *scores(results),
                 f"{sum(result.cpu for result in results) / yardstick:.1f}",
                 f"{max(result.memory for result in results) / 1e6:.0f} MB",
                 str(sum(result.score is None for result in results))]
        lines.append("| " + " | ".join(f"**{cell}**" if encoder is KARUI else cell for cell in cells) + " |")
    return "\n".join(lines)


def summary(rows: dict[str, dict[Encoder, list[Result]]]) -> str:
    """The README's table: the encoders that code every kind, each at the setting of the tables."""
    columns = [{encoder.name: results for encoder, results in by_encoder.items()} for by_encoder in rows.values()]
    counts = ", ".join(f"{len(column[KARUI.name])} {kind.upper()}" for kind, column in zip(rows, columns))
    heads = "".join(f" {kind.upper()}: kept | worst score |" for kind in rows)
    lines = [f"| {counts} |{heads}", "| --- |" + " ---: | ---: |" * len(rows)]
    for encoder in next(iter(rows.values())):
        if all(encoder.name in column for column in columns):
            name = encoder.title if encoder is KARUI else f"{encoder.name} {encoder.version}"
            cells = [name, *(cell for column in columns for cell in short(column[encoder.name]))]
            lines.append("| " + " | ".join(f"**{cell}**" if encoder is KARUI else cell for cell in cells) + " |")
    return "\n".join(lines)


def short(results: Sequence[Result]) -> tuple[str, str]:
    return f"{kept(results):.1f} %", scores(results)[1]


def kept(results: Sequence[Result]) -> float:
    """Percent of all bytes; a file that an encoder failed on is kept as it was."""
    return 100 * sum(result.bytes_kept for result in results) / sum(result.bytes_in for result in results)


def scores(results: Sequence[Result]) -> tuple[str, str]:
    known = known_scores(results)
    return (f"{median(known):.1f}", f"{min(known):.1f}") if known else ("–", "–")


def known_scores(results: Sequence[Result]) -> list[float]:
    return [result.score for result in results if result.score is not None]
