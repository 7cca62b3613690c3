"""Measure the loss of accuracy of bfloat16, and of float16 with sums in float32 or float16, on photos.

    python benchmarks/precision.py --photos DIR --models DIR

`--photos` is a folder of photos. Each photo gives ten inputs: the whole photo and its four quarters, each also
mirrored. `--models` is the folder of Google's quantised TensorFlow Lite files. Their weights are 8-bit integers;
the reference is float32 with these weights. Prints a Markdown table with the error of the logits (root mean square and
largest, relative to the spread of float32's logits), how often the first label and the set of the first five labels
change, and for segmentations the share of pixels whose class changes. The rows of bfloat16 are left out if the
processor has no instructions for it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from harness import table_head, table_row
from numpy.typing import NDArray
from PIL import Image

import mpscnn
from mpscnn import converters

CLASSIFIERS = {
    "MobileNet V1": [
        "mobilenet_v1_1.0_224_quant_embedding_extractor.tflite",
        "mobilenet_v1_1.0_224_quant_head_layers.tflite",
    ],
    "MobileNet V1 0.75/192": ["mobilenet_v1_0.75_192_quant.tflite"],
    "MobileNet V1 0.25/128": ["mobilenet_v1_0.25_128_quant.tflite"],
    "MobileNet V2": ["mobilenet_v2_1.0_224_quant.tflite"],
}
SEGMENTERS = {"DeepLabv3": ["deeplabv3_mnv2_pascal_quant.tflite"]}
BUNDLED = "cifar10_mobilenet_v2"
SUFFIXES = {".bmp", ".jpg", ".jpeg", ".png"}

Scores = NDArray[np.float32]


@dataclass
class Errors:
    """The accumulated differences of one precision from float32, over all pictures."""

    squares: list[float] = field(default_factory=list)
    largest: float = 0.0
    first: int = 0
    five: int = 0
    pixels: list[float] = field(default_factory=list)

    def add(self, scores: Scores, reference: Scores) -> None:
        error = (scores - reference) / reference.std()
        self.squares.append(float(np.mean(error**2)))
        self.largest = max(self.largest, float(np.abs(error).max()))
        if scores.ndim > 1 and scores.size > scores.shape[-1]:
            self.pixels.append(float((scores.argmax(-1) != reference.argmax(-1)).mean()))
            return
        order, right = np.argsort(-scores.ravel()), np.argsort(-reference.ravel())
        self.first += int(order[0] != right[0])
        self.five += int(set(order[:5]) != set(right[:5]))

    def cells(self) -> list[str]:
        count = len(self.squares)
        changed = (
            [f"{100 * float(np.mean(self.pixels)):.2f}% of pixels", ""]
            if self.pixels
            else [f"{self.first} of {count}", f"{self.five} of {count}"]
        )
        return [f"{np.mean(self.squares) ** 0.5:.5f}", f"{self.largest:.4f}", *changed]


def views(photos: Path) -> Iterator[Image.Image]:
    """Yield the photos, their quarters, and all of these mirrored. Masks of segmentations are skipped."""
    for path in sorted(photos.iterdir()):
        if path.suffix.lower() not in SUFFIXES or "mask" in path.stem or "digit" in path.stem:
            continue
        photo = Image.open(path).convert("RGB")
        width, height = photo.width // 2, photo.height // 2
        corners = [(x, y) for y in (0, height) for x in (0, width)]
        for view in [photo, *(photo.crop((x, y, x + width, y + height)) for x, y in corners)]:
            yield view
            yield view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def scores_layer(network: mpscnn.Network) -> str | None:
    """Return the layer with the logits, if the network ends with a softmax."""
    layers = network.describe()["layers"]
    return str(layers[-2]["name"]) if layers[-1]["operation"] == "softmax" else None


def scorer(network: mpscnn.Network, arithmetic: str) -> Callable[[Any], Scores]:
    layer = scores_layer(network)
    precision, _, sums = arithmetic.partition(", ")
    program = network.compile(
        device="cpu",
        precision=precision,  # type: ignore[arg-type]  # compile refuses other names
        accumulate_dtype="float16" if sums else "auto",
        outputs=None if layer is None else [layer],
    )
    session = program.session()

    def scores(pixels: Any) -> Scores:
        result = session.run(pixels)
        assert isinstance(result, np.ndarray)
        return result

    return scores


def size_of(model: mpscnn.Model) -> tuple[int, int]:
    height, width = model.network.input.shape[1:3]
    return height or 513, width or 513


def errors_of(model: mpscnn.Model, precisions: list[str], pictures: list[Image.Image]) -> dict[str, Errors]:
    reference = scorer(model.network, "float32")
    others = {precision: (scorer(model.network, precision), Errors()) for precision in precisions}
    for picture in pictures:
        pixels = mpscnn.preprocess(picture, size_of(model), model.preprocess or "tensorflow")
        right = reference(pixels)
        for scores, errors in others.values():
            errors.add(scores(pixels), right)
    return {precision: errors for precision, (_, errors) in others.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    options = parser.parse_args()
    precisions = [name for name in mpscnn.devices()[0]["precisions"] if name not in ("float32", "int8")]
    precisions.insert(1, "float16, sums in halves")
    pictures = list(views(options.photos))
    print(f"{mpscnn.devices()[0]['description']}, {len(pictures)} pictures\n")
    print(table_head("model", "precision", "rms error", "largest error", "first label", "first five"))
    with TemporaryDirectory() as folder:
        models = {"bundled, ten classes": mpscnn.load(BUNDLED, device="cpu")}
        for name, files in (CLASSIFIERS | SEGMENTERS).items():
            path = Path(folder) / f"{len(models)}.safetensors"
            converters.convert_files(
                [options.models / file for file in files], path, preprocess="tensorflow", dtype="uint8"
            )
            models[name] = mpscnn.load(path, device="cpu")
        for name, model in models.items():
            for precision, errors in errors_of(model, precisions, pictures).items():
                print(table_row([name, precision, *errors.cells()]), flush=True)


if __name__ == "__main__":
    main()
