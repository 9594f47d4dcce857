"""Karui and its peers: their versions, the command of each, and the settings that are compared."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tools import CRATES, SHARP, Tools

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Encoder:
    """A command is words with {quality}, {input} and {output}, or {folder} where the program keeps the file's name;
    "&&" chains commands, and a later one takes what the one before wrote."""
    name: str
    version: str
    shown: str  # the setting as the table shows it
    command: str
    quality: int = 0  # the setting of the table
    curve: tuple[int, ...] = ()  # the settings of the plot

    @property
    def title(self) -> str:
        return " ".join(filter(None, [self.name, self.version, self.shown.format(quality=self.quality)]))


def crate(name: str) -> str:
    return CRATES[name][0]


KARUI = Encoder("Karui", "", "at {quality}", "{karui} optimize --threads 1 --quality {quality} --out {folder} {input}",
                75, (60, 70, 75, 80, 85, 90))
# Every ratio of CPU time is to this one.
YARDSTICK = Encoder("caesiumclt", crate("caesiumclt"), "`-q {quality}`",
                    "{crates}/caesiumclt -q {quality} --threads 1 -Q -o {folder} {input}",
                    80, (60, 70, 80, 85, 90, 94))

ENCODERS = {
    "jpeg": [
        KARUI,
        YARDSTICK,
        Encoder("sharp", SHARP, "mozjpeg q{quality}", "{node} {here}/sharp.cjs jpeg {quality} {input} {output}",
                80, (60, 70, 80, 85, 90, 94)),
        # No curve: it lies on the two above.
        Encoder("rimage", crate("rimage"), "mozjpeg q{quality}",
                "{crates}/rimage mozjpeg -q {quality} -t 1 -d {folder} {input}", 80),
    ],
    "png": [
        KARUI,
        YARDSTICK,
        Encoder("sharp", SHARP, "palette q{quality}", "{node} {here}/sharp.cjs png {quality} {input} {output}", 80),
        Encoder("rimage", crate("rimage"), "q{quality}",
                "{crates}/rimage oxipng --quantization {quality} -t 1 -d {folder} {input}", 80),
        Encoder("pngquant", f"{crate('pngquant')} 65–80 + oxipng {crate('oxipng')}", "",
                "{crates}/pngquant --quality 65-80 -o {output} {input}"
                " && {crates}/oxipng -q -o 2 -t 1 --strip safe --out {output} {input}"),
        Encoder("oxipng", crate("oxipng"), "`-o 2 --strip safe`",
                "{crates}/oxipng -q -o 2 -t 1 --strip safe --out {output} {input}"),
    ],
}

# One thread each, also where there is no option for it.
ENVIRONMENT = {"RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "VIPS_CONCURRENCY": "1"}
# Exit statuses by which a program says that it leaves the file as it is.
DECLINED = {"pngquant": {98, 99}}


def words(command: str, tools: Tools, karui: Path, **names: object) -> list[str]:
    """The command line, split before names are filled in, which may hold blanks."""
    names |= {"crates": tools.crates, "node": tools.node, "here": HERE, "karui": karui}
    return [word.format(**names) for word in command.split()]
