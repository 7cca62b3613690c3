"""Classify the frames of a video or camera, and print a line when the class changes. Ctrl-C ends it.

python examples/python/video.py clip.mp4
python examples/python/video.py camera:0 mobilenet_v2
"""

from __future__ import annotations

import sys
from contextlib import suppress

import mpscnn


def main(source: str = "camera:0", model: str = "cifar10_mobilenet_v2") -> None:
    """Print a line when the most probable class of the frames changes."""
    seen = None
    # All frames of a file are computed. For a camera only the newest frame is, so that the output is up to date.
    with mpscnn.video(source, mpscnn.load(model), top=1) as frames, suppress(KeyboardInterrupt):
        for frame, result in frames:
            (best,) = result
            if best.label != seen:
                print(f"{frame.time:8.2f} s  {best.probability:6.1%}  {best.label}", flush=True)
                seen = best.label
    if frames.dropped:
        print(f"{frames.dropped} frames came while others were computed")


if __name__ == "__main__":
    main(*sys.argv[1:])
