"""Compare the frames per second of a video through networks with decoding alone and inference alone, interleaved.

chrt -r 1 python benchmarks/video.py --size 640x360

The networks are the bundled model, and MobileNetV2 with random weights, which takes as long as a trained one.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from harness import table_head, table_row
from PIL import Image

import mpscnn
from mpscnn.apps.video.source import open_source

PHOTO = mpscnn.samples.photo("cat")


def write_clip(path: Path, size: tuple[int, int], frames: int) -> None:
    """Write a video of a window that moves over a photo, in H.264 at 25 frames per second."""
    width, height = size
    photo = np.asarray(Image.open(PHOTO).convert("RGB").resize((2 * width, 2 * height)))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(frames):
            top, left = i % height, 2 * i % width
            pixels = np.ascontiguousarray(photo[top : top + height, left : left + width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))


def seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--frames", type=int, default=250)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--inflight", type=int, default=3)
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    print(
        table_head("model", "decoding alone", "inference alone", "whole", "whole / longer one", "/ their sum")
    )
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        write_clip(clip, (width, height), arguments.frames)
        decoded = [frame.photo for frame in open_source(clip).frames()]
        published = Path(folder) / "mobilenet_v2.safetensors"
        network = mpscnn.models.mobilenet_v2()
        network.initialize_weights(seed=0)
        network.save(published, preprocess="tensorflow")
        for name in ("cifar10_mobilenet_v2", published):
            model = mpscnn.load(name, device="cpu")

            def decode() -> None:
                for _ in open_source(clip).frames():
                    pass

            def infer(model: mpscnn.Model = model) -> None:
                with mpscnn.Runner(model, arguments.inflight) as runner:
                    for _ in runner.map(decoded):
                        pass

            def whole(model: mpscnn.Model = model) -> None:
                for _ in mpscnn.video(clip, model, inflight=arguments.inflight):
                    pass

            turns = [[seconds(call) for call in (decode, infer, whole)] for _ in range(arguments.turns + 1)][
                1:
            ]
            alone = [statistics.median(times) for times in zip(*turns, strict=True)]
            longer = statistics.median(both / max(one, other) for one, other, both in turns)
            total = statistics.median(both / (one + other) for one, other, both in turns)
            rates = (f"{arguments.frames / value:.0f}" for value in alone)
            print(table_row([model.name, *rates, f"{longer:.2f}", f"{total:.2f}"]))


if __name__ == "__main__":
    main()
