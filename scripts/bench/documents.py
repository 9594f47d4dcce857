"""What the bench writes into the repository: the tables of docs/benchmarks.md and the README, the plot, the picture."""
from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import mean

import plot
from encoders import ENCODERS, KARUI, YARDSTICK, Encoder
from measure import Bench, Result
from report import kept, known_scores
from tools import run

HERE = Path(__file__).resolve().parent
README = HERE.parents[1] / "README.md"
BENCHMARKS = HERE.parents[1] / "docs/benchmarks.md"
FOLDER = HERE.parents[1] / "docs/bench"
BEGIN, END = "<!-- bench -->\n", "<!-- /bench -->"
# The photograph of the picture, CC BY 2.0 by danielbuechele as README.md and docs/benchmarks.md say, and the part that is shown.
PHOTOGRAPH, PART = "china.jpg", "160,60,310,215"


def write_tables(tables: str, summary: str) -> None:
    for document, text in (BENCHMARKS, tables), (README, summary):
        before, rest = document.read_text().split(BEGIN)
        _, after = rest.split(END)
        document.write_text(f"{before}{BEGIN}{text}\n{END}{after}")


def write_plot(bench: Bench, photographs: Sequence[Path]) -> None:
    results = {encoder: [bench.curve(encoder, quality, photographs) for quality in encoder.curve]
               for encoder in ENCODERS["jpeg"] if encoder.curve}
    panels = [plot.Panel("Mean score of all files", curves(results, mean)),
              plot.Panel("Score of the worst file", curves(results, min))]
    drawing = plot.svg("Bytes kept against SSIMULACRA2", "bytes kept, % of the originals", panels)
    file("rate-distortion.svg").write_text(drawing)


def curves(results: dict[Encoder, list[list[Result]]],
           statistic: Callable[[Iterable[float]], float]) -> dict[str, list[plot.Point]]:
    return {encoder.name: [(kept(run), statistic(known_scores(run))) for run in runs]
            for encoder, runs in results.items()}


def write_picture(bench: Bench, photographs: Sequence[Path]) -> None:
    """Karui at its usual setting, and the peer at whichever setting comes nearest in bytes."""
    photograph = next(image for image in photographs if image.name == PHOTOGRAPH)
    with tempfile.TemporaryDirectory(dir=bench.tools.root) as folder:
        karui = encoded(bench, KARUI, KARUI.quality, photograph, Path(folder))
        peers = {encoded(bench, YARDSTICK, quality, photograph, Path(folder)): quality for quality in range(50, 100)}
        peer = min(peers, key=lambda output: abs(size(output) - size(karui)))
        panels = [photograph, f"original: {size(photograph):,} bytes"]
        for output, name in (karui, KARUI.name), (peer, f"{YARDSTICK.name} -q {peers[peer]}"):
            panels += [output, f"{name}: {size(output):,} bytes, score {bench.score(photograph, output):.1f}"]
        command = [bench.tools.python, HERE / "picture.py", file("before-after.jpg"), PART, *panels]
        run([str(word) for word in command])


def encoded(bench: Bench, encoder: Encoder, quality: int, image: Path, folder: Path) -> Path:
    output, _, _ = bench.encode(encoder, quality, image, folder / f"{encoder.name}-{quality}")
    return output


def size(path: Path) -> int:
    return path.stat().st_size


def file(name: str) -> Path:
    FOLDER.mkdir(parents=True, exist_ok=True)
    return FOLDER / name
