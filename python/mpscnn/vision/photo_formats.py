"""The formats of photo files: their decoders in Pillow, their suffixes, and the packages that some of them need."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from collections import Counter
from functools import cache
from pathlib import Path

from mpscnn._private.installation import install_command

_HEIF_MODULE = "pillow_heif"
#: The formats that are read, by Pillow's names, and the modules of their decoders. None of these starts a process.
FORMATS = {
    "JPEG": "PIL.JpegImagePlugin",
    "PNG": "PIL.PngImagePlugin",
    "WEBP": "PIL.WebPImagePlugin",
    "AVIF": "PIL.AvifImagePlugin",
    "GIF": "PIL.GifImagePlugin",
    "BMP": "PIL.BmpImagePlugin",
    "TIFF": "PIL.TiffImagePlugin",
    "PPM": "PIL.PpmImagePlugin",
    "HEIF": _HEIF_MODULE,
}
#: The suffixes of video files, in lower case.
VIDEO_SUFFIXES = {
    *(".264", ".265", ".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".h264", ".h265"),
    *(".hevc", ".ivf", ".m1v", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg"),
    *(".mpg", ".mts", ".mxf", ".nut", ".ogv", ".qt", ".ts", ".vob", ".webm", ".wmv", ".y4m"),
}
#: The beginnings of addresses of streams from the network.
STREAMS = ("rtsp://", "rtsps://")
#: The suffixes of files that are photos, whose first picture counts, and whose pictures can be frames of a video.
ANIMATION_SUFFIXES = {".apng", ".gif"}
OF_JPEG = "MPO"  # Pillow's name of a JPEG file with several pictures
#: The remedies for formats that Pillow alone does not always read, by suffix.
_REMEDIES = {
    ("heic", "heics", "heif", "heifs", "hif"): f"HEIC needs pillow-heif: {install_command('heic')}",
    ("avif", "avifs"): "AVIF needs a Pillow with AVIF, from version 11.3 on",
}
_MAX_NAMED = 5

# A HEIC or AVIF file begins with the length of a box, the box's name "ftyp" and one of these brands.
_BOX = b"ftyp"
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")


@cache
def _load_decoder(module: str) -> None:
    """Import one decoder. Pillow would import all of its own, which takes longer."""
    with contextlib.suppress(ImportError):  # Pillow is older than the format, or pillow-heif is not installed
        decoder = importlib.import_module(module)
        if module == _HEIF_MODULE:
            decoder.register_heif_opener()


@cache
def _reads_heif() -> bool:
    """Return True if pillow-heif is installed. Messages are then the same before and after it is loaded."""
    with contextlib.suppress(ValueError):  # a module without a specification
        return importlib.util.find_spec(_HEIF_MODULE) is not None
    return False


def load_decoders(prefix: bytes) -> list[str]:
    """Load the decoders that a file with these first 16 bytes may need, and return the names of their formats."""
    names = [name for name in FORMATS if name != "HEIF" or prefix[4:8] == _BOX]
    for name in names:
        _load_decoder(FORMATS[name])
    return names


def suffixes() -> set[str]:
    """Return the suffixes of the formats that are read, in lower case, such as ".jpg"."""
    from PIL import Image

    for module in FORMATS.values():
        _load_decoder(module)
    return {suffix for suffix, name in Image.EXTENSION.items() if name in {*FORMATS, OF_JPEG}}


def optional_suffixes() -> set[str]:
    """Return the suffixes of formats that are only read if a package or a library is installed."""
    return {f".{suffix}" for known in _REMEDIES for suffix in known}


def suffix_of(name: str) -> str:
    """Return the suffix of a file's name in lower case, such as ".jpg"; "" if there is none."""
    return Path(name).suffix.lower()


#: Hints about files that are texts, by the beginnings of such files.
_TEXTS = {
    '; it is base64 text: base64.b64decode gives the image, and a service takes it as JSON, {"image": ...}': (
        b"/9j/",  # JPEG
        b"iVBORw0KGgo",  # PNG
        b"UklGR",  # WebP
        b"R0lGOD",  # GIF
        b"data:image/",
    ),
    "; it is JSON, which a service takes with Content-Type: application/json": (b"{",),
}


def unread_text(prefix: bytes, size: int) -> str:
    """Return why a file of `size` bytes with these first 16 bytes is not read."""
    from PIL import Image

    if prefix[4:8] == _BOX and prefix[8:12] in _HEIF_BRANDS and "HEIF" not in Image.OPEN:
        return f"is a HEIC file. {_remedy('.heic')}"
    known = [name for name in FORMATS if name != "HEIF" or _reads_heif()]
    kind = next((text for text, beginnings in _TEXTS.items() if prefix.startswith(beginnings)), "")
    return f"is not an image that Pillow can read as {', '.join(known)} ({size:,} bytes){kind}"


def left_out_text(left_out: Counter[str]) -> str:
    """Return the number of files that are not read, by suffix, and what would read them.

    For example: "33 files are left out: 30 .heic, 2 .txt, 1 without a suffix. HEIC needs pillow-heif: ...".
    """
    ranked = sorted(left_out.items(), key=lambda entry: (-entry[1], entry[0]))
    named = [f"{count:,} {suffix or 'without a suffix'}" for suffix, count in ranked[:_MAX_NAMED]]
    if others := sum(count for _, count in ranked[_MAX_NAMED:]):
        named.append(f"{others:,} with other suffixes")
    total = sum(left_out.values())
    remedies = dict.fromkeys(_remedy(suffix) for suffix, _ in ranked)
    files = "1 file is" if total == 1 else f"{total:,} files are"
    return ". ".join([f"{files} left out: {', '.join(named)}", *filter(None, remedies)])


def _remedy(suffix: str) -> str:
    return next((text for known, text in _REMEDIES.items() if suffix[1:] in known), "")
