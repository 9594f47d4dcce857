"""The rate–distortion plot, an SVG: bytes against score, one curve per encoder, in one panel per statistic."""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

Point = tuple[float, float]

WIDTH, HEIGHT = 920, 430
TOP, BOTTOM, LEFT, PANEL, GAP = 64, 362, 62, 330, 100
# Colour and dashes: encoders that share a codec lie on one another, and both are to be seen.
STROKES = (("#d9480f", "none"), ("#1c7ed6", "none"), ("#2b8a3e", "6 6"), ("#862e9c", "2 6"))
# Under each name, to keep it readable where a curve passes.
HALO = 'fill="#fff" stroke="#fff" stroke-width="4"'
TICKS = 6
LABEL_HEIGHT = 16


@dataclass(frozen=True)
class Panel:
    title: str
    curves: dict[str, list[Point]]  # by name, each from few bytes to many


@dataclass(frozen=True)
class Axis:
    """Values to pixels, between round numbers that hold all values."""
    ticks: list[float]
    first: float
    last: float

    @classmethod
    def around(cls, values: Sequence[float], first: float, last: float) -> Axis:
        rough = (max(values) - min(values)) / TICKS
        power = 10 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
        low, high = math.floor(min(values) / step), math.ceil(max(values) / step)
        return cls([number * step for number in range(low, high + 1)], first, last)

    def at(self, value: float) -> float:
        share = (value - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])
        return round(self.first + share * (self.last - self.first), 1)


def svg(title: str, x_title: str, panels: Sequence[Panel]) -> str:
    """Draws its own white ground, so that it reads on dark pages, too."""
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
             f'height="{HEIGHT}" font-family="system-ui, sans-serif" font-size="12" fill="#343a40">',
             f'<title>{escape(title)}</title>',
             f'<rect width="{WIDTH}" height="{HEIGHT}" rx="10" fill="#fff"/>']
    values = [point for panel in panels for curve in panel.curves.values() for point in curve]
    for number, panel in enumerate(panels):
        left = LEFT + number * (PANEL + GAP)
        x = Axis.around([point[0] for point in values], left, left + PANEL)
        y = Axis.around([point[1] for point in values], BOTTOM, TOP)
        parts += [*frame(panel.title, x_title, x, y), *curves(panel.curves, x, y)]
    return "\n".join([*parts, "</svg>", ""])


def frame(title: str, x_title: str, x: Axis, y: Axis) -> list[str]:
    parts = [text(x.first, TOP - 26, title, 'font-size="14" font-weight="600"')]
    for tick in y.ticks:
        parts += [line(x.first, y.at(tick), x.last, y.at(tick)),
                  text(x.first - 8, y.at(tick) + 4, f"{tick:g}", 'text-anchor="end"')]
    for tick in x.ticks:
        parts += [line(x.at(tick), BOTTOM, x.at(tick), BOTTOM + 5),
                  text(x.at(tick), BOTTOM + 20, f"{tick:g}", 'text-anchor="middle"')]
    middle = (x.first + x.last) / 2
    return [*parts, text(middle, BOTTOM + 44, x_title, 'text-anchor="middle" fill="#5c5f66"')]


def curves(named: dict[str, list[Point]], x: Axis, y: Axis) -> list[str]:
    parts, names = [], []
    labels = apart({name: y.at(points[-1][1]) + 4 for name, points in named.items()})
    for (name, points), (colour, dashes) in zip(named.items(), STROKES):
        pixels = [(x.at(bytes_kept), y.at(score)) for bytes_kept, score in points]
        path = " ".join(f"{left},{top}" for left, top in pixels)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" '
                     f'stroke-dasharray="{dashes}"/>')
        parts += [f'<circle cx="{left}" cy="{top}" r="2.5" fill="{colour}"/>' for left, top in pixels]
        names += [text(pixels[-1][0] + 8, labels[name], name, f'font-weight="600" {paint}')
                  for paint in (HALO, f'fill="{colour}"')]
    return parts + names


def apart(heights: dict[str, float]) -> dict[str, float]:
    """Labels pushed down until none covers another."""
    placed: dict[str, float] = {}
    lowest = -math.inf
    for name, height in sorted(heights.items(), key=lambda item: item[1]):
        lowest = placed[name] = max(height, lowest + LABEL_HEIGHT)
    return placed


def line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#dee2e6"/>'


def text(x: float, y: float, words: str, attributes: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" {attributes}>{escape(words)}</text>'
