"""Compare the processor time from a photo's file to its label: mpscnn, OpenCV or Pillow with onnxruntime.

python benchmarks/photo_to_label.py [--runs N] [--models NAME ...]

Each call gets the bytes of a JPEG, PNG or WebP file of 720p or 12 megapixels, and gives the most probable class, on one
thread, interleaved. Networks have random weights, which take as long as trained ones. For SSDLite the class is that of
the box with the largest score; mpscnn also looks for objects, of which there are none. Times are of the processor, so
that other programs count little.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import PIL
from harness import random_network, table_head, table_row
from PIL import Image

import mpscnn

SIZES = {"720p": (1280, 720), "12 megapixels": (4032, 3024)}
FORMATS: dict[str, dict[str, int]] = {
    "JPEG": {"quality": 90},
    "PNG": {"compress_level": 3},
    "WEBP": {"quality": 80},
}
OURS = "mpscnn"
PEERS = OPENCV, PILLOW = "OpenCV, onnxruntime", "Pillow, onnxruntime"
#: The network of `mpscnn.models` of a detector, and the model that is a part of the package.
SSDLITE, BUNDLED = "ssdlite_mobilenet_v2", "cifar10_mobilenet_v2"
MODELS = ("mobilenet_v2", SSDLITE, BUNDLED)
#: The column of the background in the scores of SSDLite.
BACKGROUND = 0


def processor_times(calls: Mapping[str, Callable[[], object]], runs: int) -> dict[str, list[float]]:
    """Return the milliseconds of each call, in turns."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(runs + 1):
        for name, call in calls.items():
            begun = time.process_time_ns()
            call()
            if turn:  # the first turn allocates memory
                times[name].append((time.process_time_ns() - begun) / 1e6)
    return times


def network_of(name: str) -> mpscnn.Network:
    """Return a network with its preprocessing."""
    if name == BUNDLED:
        return mpscnn.load(name).network
    network = random_network(name)
    if name == SSDLITE:  # no box has an object, as most boxes of a photo
        scores = {
            layer: 0 * weights for layer, weights in network.weights.items() if layer.startswith("score")
        }
        none = {layer: weights - 6 * layer.endswith("bias") for layer, weights in scores.items()}
        network.set_weights(none)
    return network


def engines(folder: Path, name: str) -> dict[str, Callable[[bytes], int]]:
    """Return a function for each engine that gives the most probable class of a file."""
    network = network_of(name)
    own, other = folder / f"{name}.safetensors", folder / f"{name}.onnx"
    network.save(own, preprocess=None if name == BUNDLED else "tensorflow")
    network.save(other)
    model = mpscnn.load(own, device="cpu", threads=1)
    side = int(model.program.inputs["image"][1] or 0)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(other), options)
    given = session.get_inputs()[0]
    cv2.setNumThreads(1)

    def label(pixels: np.ndarray) -> int:
        values = pixels.astype(np.float32) * np.float32(1 / 127.5) - np.float32(1)
        values = values[None] if given.shape[3] == 3 else values.transpose(2, 0, 1)[None]
        scores = session.run(None, {given.name: np.ascontiguousarray(values)})[-1]
        return int(scores.argmax() % scores.shape[-1])

    def opencv(content: bytes) -> int:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        return label(cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)[..., ::-1])

    def pillow(content: bytes) -> int:
        image = Image.open(io.BytesIO(content)).convert("RGB")
        return label(np.asarray(image.resize((side, side), Image.Resampling.BILINEAR)))

    def ours(content: bytes, fast: bool = False) -> int:
        if name == SSDLITE:
            found = model.detect(content)
            return found[0].index if found else BACKGROUND
        return model.classify(content, top=1, fast_decode=fast)[0].index

    named: dict[str, Callable[[bytes], int]] = {
        OURS: ours,
        OPENCV: opencv,
        PILLOW: pillow,
    }
    if name != SSDLITE:
        named["mpscnn, fast_decode"] = partial(ours, fast=True)
    return named


def versions() -> str:
    """Return the versions of the peers."""
    return f"Pillow {PIL.__version__}, OpenCV {cv2.__version__}, onnxruntime {onnxruntime.__version__}"


def files() -> dict[str, bytes]:
    """Return the contents of photos, by size and format."""
    photo = Image.open(mpscnn.samples.photo("cat")).convert("RGB")
    contents = {}
    for size_name, size in SIZES.items():
        for kind, settings in FORMATS.items():
            stream = io.BytesIO()
            photo.resize(size, Image.Resampling.BICUBIC).save(stream, kind, **settings)
            contents[f"{size_name}, {kind}"] = stream.getvalue()
    return contents


@dataclass(frozen=True)
class Row:
    """The milliseconds of each engine for one file, mpscnn's first."""

    model: str
    file: str
    times: dict[str, list[float]]

    def ratio(self, engine: str) -> float:
        """Return the minimum of mpscnn divided by that of another engine."""
        return min(self.times[OURS]) / min(self.times[engine])


def measured(models: Sequence[str], runs: int) -> Iterator[Row]:
    """Measure, and yield one row after the other."""
    contents = files()
    for model in models:
        with tempfile.TemporaryDirectory() as folder:
            named = engines(Path(folder), model)
        for about, content in contents.items():
            calls = {engine: partial(call, content) for engine, call in named.items()}
            yield Row(model, about, processor_times(calls, runs))


def lines(rows: Iterable[Row]) -> Iterator[str]:
    """Yield the lines of one table for each model."""
    model = ""
    for row in rows:
        if row.model != model:
            if model:
                yield ""
            model = row.model
            yield table_head(model, *row.times, *(f"mpscnn / {peer.split(',')[0]}" for peer in PEERS))
        cells = [f"{min(ms):.1f} ({statistics.median(ms):.1f})" for ms in row.times.values()]
        yield table_row([row.file, *cells, *(f"{row.ratio(peer):.2f}" for peer in PEERS)])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20, help="calls of each engine (default: 20)")
    parser.add_argument("--models", nargs="*", default=MODELS, choices=MODELS, help="default: all")
    options = parser.parse_args()
    print(f"Minimum (median) milliseconds of the processor of {options.runs}; {versions()}.\n")
    for line in lines(measured(options.models, options.runs)):
        print(line, flush=True)


if __name__ == "__main__":
    main()
