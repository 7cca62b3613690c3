"""Compare the speed of preprocessing a photo in memory in mpscnn with Pillow and numpy, on one thread, interleaved.

    python benchmarks/preprocessing.py [--runs N] [--width W --height H]

Both convert the same bytes to the same float32 array in -1..1 with the same antialiased bilinear filter. The largest
difference is printed; it comes from Pillow's rounding to 8 bits. Pillow is used in its fastest way: transparent photos
are pasted over white, and the planes of YUV frames are resized separately and then converted by numpy. Decoding files
is not measured.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from harness import measure, table_head, table_row
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from PIL import __version__ as pillow_version

import mpscnn

Array = NDArray[Any]
Size = tuple[int, int]
Prepare = Callable[[int], Array]
SIDES = (224, 300, 513)


def scene(size: Size) -> Array:
    """Return RGB noise, blurred so that neighbouring pixels are similar as in photos."""
    width, height = size
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return np.asarray(Image.fromarray(noise).filter(ImageFilter.GaussianBlur(2)))


def normalised(resized: Any) -> Array:
    values = np.asarray(resized, np.float32)
    values -= np.float32(127.5)
    values *= np.float32(1 / 127.5)
    return values


def resized(image: Image.Image, side: int) -> Image.Image:
    return image.resize((side, side), Image.Resampling.BILINEAR)


def rgb8(pixels: Array) -> tuple[Any, Prepare]:
    image = Image.fromarray(pixels)
    return pixels, lambda side: normalised(resized(image, side))


def bgra8(pixels: Array, *, opaque: bool) -> tuple[Any, Prepare]:
    size = pixels.shape[1], pixels.shape[0]
    alpha = np.full(pixels.shape[:2], 255, np.uint8) if opaque else pixels[::-1, ::-1, 0]
    array = np.dstack([pixels[..., ::-1], alpha])
    memory = array.tobytes()

    def prepare(side: int) -> Array:
        image = Image.frombuffer("RGBA", size, memory, "raw", "BGRA", 0, 1)
        white = Image.new("RGB", size, (255, 255, 255))
        white.paste(image, mask=image)
        return normalised(resized(white, side))

    return mpscnn.open_photo(array, channel_order="bgra"), prepare


def bgrx8(pixels: Array) -> tuple[Any, Prepare]:
    size = pixels.shape[1], pixels.shape[0]
    array = np.dstack([pixels[..., ::-1], pixels[..., :1]])
    memory = array.tobytes()

    def prepare(side: int) -> Array:
        return normalised(resized(Image.frombuffer("RGB", size, memory, "raw", "BGRX", 0, 1), side))

    return mpscnn.open_photo(array, channel_order="bgrx"), prepare


def nv12(pixels: Array) -> tuple[Any, Prepare]:
    y, blue, red = (np.asarray(band) for band in Image.fromarray(pixels).convert("YCbCr").split())
    pairs = np.ascontiguousarray(np.stack([blue, red], axis=-1)[::2, ::2])
    luma, difference_size = Image.fromarray(y), (pairs.shape[1], pairs.shape[0])
    # One matrix product converts (luma, blue, red) to RGB (BT.601, full range) and normalises to -1 to 1.
    matrix = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]], np.float32) / 127.5
    offset = (-128 * matrix[:, 1:].sum(axis=1) - 1).astype(np.float32)

    def prepare(side: int) -> Array:
        planes = np.empty((side, side, 3), np.float32)
        planes[..., 0] = np.asarray(resized(luma, side))
        for index in range(2):
            plane = Image.frombuffer("L", difference_size, pairs[..., index].tobytes(), "raw", "L", 0, 1)
            planes[..., 1 + index] = np.asarray(resized(plane, side))
        rgb = (planes.reshape(-1, 3) @ matrix.T).reshape(planes.shape)
        rgb += offset
        return np.clip(rgb, -1, 1, out=rgb)

    return mpscnn.YuvImage(y, pairs, range="full", siting="center"), prepare


FORMATS: dict[str, Callable[[Array], tuple[Any, Prepare]]] = {
    "rgb8": rgb8,
    "bgra8, opaque": partial(bgra8, opaque=True),
    "bgra8, transparent": partial(bgra8, opaque=False),
    "bgrx8": bgrx8,
    "nv12": nv12,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=40, help="calls of each library (default: 40)")
    parser.add_argument("--width", type=int, default=1920)
    parser.add_argument("--height", type=int, default=1080)
    options = parser.parse_args()
    pixels = scene((options.width, options.height))
    print(
        f"{platform.machine()}, {options.width} x {options.height}, Pillow {pillow_version}, numpy {np.__version__}: "
        f"minimum (median) microseconds of {options.runs}, one thread each.\n"
    )
    print(table_head("photo", "to", "mpscnn", "Pillow and numpy", "mpscnn is faster", "difference of 255"))
    for name, make in FORMATS.items():
        photo, pillow = make(pixels)
        for side in SIDES:
            times = measure(
                {
                    "mpscnn": lambda: mpscnn.preprocess(photo, (side, side)),  # noqa: B023
                    "Pillow": lambda: pillow(side),  # noqa: B023
                },
                options.runs,
            )
            ours, theirs = times["mpscnn"], times["Pillow"]
            difference = np.abs(mpscnn.preprocess(photo, (side, side))[0] - pillow(side)).max() * 127.5
            print(
                table_row(
                    (
                        name,
                        f"{side} x {side}",
                        ours,
                        theirs,
                        f"{theirs.minimum / ours.minimum:.1f}",
                        f"{difference:.2f}",
                    )
                )
            )


if __name__ == "__main__":
    main()
