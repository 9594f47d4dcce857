"""The before/after picture: one part of a photograph, as it was and as encoders made it, side by side.

    picture.py OUTPUT LEFT,TOP,RIGHT,BOTTOM FILE CAPTION [FILE CAPTION]...

Wants Pillow, so it runs apart from the rest, by the Python that has it.
"""
from __future__ import annotations

import sys

from PIL import Image, ImageDraw, ImageFont

SCALE = 2  # pixels are shown large, so that what was lost can be seen
GAP, CAPTION_HEIGHT, TEXT = 8, 34, 15
# The picture is to show what the encoders lost, not what its own coding does.
QUALITY = 91


def main(output: str, box: str, *files_and_captions: str) -> None:
    left, top, right, bottom = map(int, box.split(","))
    width, height = (right - left) * SCALE, (bottom - top) * SCALE
    panels = list(zip(files_and_captions[::2], files_and_captions[1::2]))
    sheet = Image.new("RGB", (len(panels) * (width + GAP) - GAP, height + CAPTION_HEIGHT), "white")
    draw = ImageDraw.Draw(sheet)
    for number, (file, caption) in enumerate(panels):
        part = Image.open(file).convert("RGB").crop((left, top, right, bottom))
        x = number * (width + GAP)
        sheet.paste(part.resize((width, height), Image.Resampling.NEAREST), (x, 0))
        draw.text((x + width / 2, height + CAPTION_HEIGHT / 2), caption, "#343a40", ImageFont.load_default(TEXT), "mm")
    sheet.save(output, quality=QUALITY, subsampling="4:4:4", optimize=True, progressive=True)


main(*sys.argv[1:])
