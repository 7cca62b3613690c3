"""Compare the processor time from a photo's file to its label: mpscnn, OpenCV or Pillow with onnxruntime.

python benchmarks/photo_to_label.py [--runs N]

Each call gets the bytes of a JPEG, PNG or WebP file of 720p or 12 megapixels, and gives MobileNetV2's most probable
class, on one thread, interleaved. The network has random weights, which take as long as trained ones. Times are of the
processor, so that other programs count little.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from harness import table_head, table_row
from PIL import Image

import mpscnn

SIZES = {"720p": (1280, 720), "12 megapixels": (4032, 3024)}
FORMATS: dict[str, dict[str, int]] = {
    "JPEG": {"quality": 90},
    "PNG": {"compress_level": 3},
    "WEBP": {"quality": 80},
}
SIDE = 224


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


def engines(folder: Path) -> dict[str, Callable[[bytes], int]]:
    """Return a function for each engine that gives the most probable class of a file."""
    network = mpscnn.models.mobilenet_v2()
    network.initialize_weights(seed=0)
    own, other = folder / "network.safetensors", folder / "network.onnx"
    network.save(own, preprocess="tensorflow")
    network.save(other)
    model = mpscnn.load(own, device="cpu", threads=1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(other), options)
    given = session.get_inputs()[0]
    cv2.setNumThreads(1)

    def label(pixels: np.ndarray) -> int:
        values = pixels.astype(np.float32) * np.float32(1 / 127.5) - np.float32(1)
        values = values[None] if given.shape[3] == 3 else values.transpose(2, 0, 1)[None]
        return int(session.run(None, {given.name: np.ascontiguousarray(values)})[0].argmax())

    def opencv(content: bytes) -> int:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        return label(cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)[..., ::-1])

    def pillow(content: bytes) -> int:
        image = Image.open(io.BytesIO(content)).convert("RGB")
        return label(np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)))

    return {
        "mpscnn": lambda content: model.classify(content, top=1)[0].index,
        "mpscnn, fast_decode": lambda content: model.classify(content, top=1, fast_decode=True)[0].index,
        "OpenCV, onnxruntime": opencv,
        "Pillow, onnxruntime": pillow,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20, help="calls of each engine (default: 20)")
    options = parser.parse_args()
    photo = Image.open(mpscnn.samples.photo("cat")).convert("RGB")
    with tempfile.TemporaryDirectory() as folder:
        named = engines(Path(folder))
    print(f"Minimum (median) milliseconds of the processor of {options.runs}.\n")
    print(table_head("photo", *named, "mpscnn / OpenCV", "mpscnn / Pillow"))
    for size_name, size in SIZES.items():
        for name, settings in FORMATS.items():
            stream = io.BytesIO()
            photo.resize(size, Image.Resampling.BICUBIC).save(stream, name, **settings)
            content = stream.getvalue()
            calls = {engine: partial(call, content) for engine, call in named.items()}
            times = processor_times(calls, options.runs)
            cells = [f"{min(ms):.1f} ({statistics.median(ms):.1f})" for ms in times.values()]
            ours, _, opencv, pillow = (min(ms) for ms in times.values())
            print(table_row([f"{size_name}, {name}", *cells, f"{ours / opencv:.2f}", f"{ours / pillow:.2f}"]))


if __name__ == "__main__":
    main()
