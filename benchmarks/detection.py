"""Compare the time of `Detector.run` with that of its network: SSD and SSDLite, 300 x 300, one thread, interleaved.

    python benchmarks/detection.py [--runs N]

Prints a Markdown table: microseconds of the network and of `Detector.run` on 2,000 boxes and 91 columns of scores, and
their ratio. Scenes: "few objects", 30 boxes out of 2,000 above the threshold; "many", 2,000 boxes with 5 classes each;
"everything", a threshold that keeps nearly every pair of box and class, as for evaluations.
"""

from __future__ import annotations

import argparse
import platform
from typing import Any

import numpy as np
from harness import Call, measure, table_head, table_row
from numpy.typing import NDArray

import mpscnn

Array = NDArray[Any]

BOXES, COLUMNS = 2000, 91
NETWORKS = ("ssd_mobilenet_v1", "ssdlite_mobilenet_v2")
SCENES = {  # the number of boxes with objects, the number of classes of each, and the score threshold
    "few objects": (30, 1, 0.3),
    "many": (BOXES, 5, 0.3),
    "everything": (BOXES, 90, 1e-4),
}


def anchors() -> Array:
    """Return random anchors of various sizes, like those of SSD."""
    random = np.random.default_rng(0)
    centers = random.uniform(0.0, 1.0, (BOXES, 2))
    sizes = random.uniform(0.05, 0.6, (BOXES, 2)) ** 1.5
    return np.concatenate([centers, sizes], axis=1).astype(np.float32)


def heads(objects: int, classes: int) -> tuple[Array, Array]:
    """Return boxes near their anchors, and logits that are background nearly everywhere."""
    random = np.random.default_rng(1)
    boxes = random.normal(0.0, 1.0, (BOXES, 4)).astype(np.float32)
    scores = random.normal(-6.0, 1.0, (BOXES, COLUMNS)).astype(np.float32)
    for box in random.permutation(BOXES)[:objects]:
        scores[box, 1 + random.permutation(COLUMNS - 1)[:classes]] += 6.0
    return boxes, scores


def network_calls() -> dict[str, Call]:
    """Return calls that run each network with random weights on one image."""
    calls: dict[str, Call] = {}
    for name in NETWORKS:
        net = getattr(mpscnn.models, name)()
        net.initialize_weights(0)
        session = net.compile(device="cpu", precision="float32").session(threads=1)
        x = np.random.default_rng(0).uniform(-1, 1, (1, 300, 300, 3)).astype(np.float32)
        calls[name] = lambda session=session, x=x: session.run(x)  # type: ignore[misc]
    return calls


def detector_calls(kind: str) -> dict[str, Call]:
    """Return calls that run the detector on each scene."""
    calls: dict[str, Call] = {}
    for scene, (objects, classes, threshold) in SCENES.items():
        settings = {
            "version": 1,
            "anchors": {"rule": "stored"},
            "scores": {"kind": kind},
            "suppression": {"score_threshold": threshold},
        }
        detector = mpscnn.Detector(settings, (300, 300), anchors=anchors())
        boxes, scores = heads(objects, classes)
        calls[f"{scene}, {kind}"] = lambda d=detector, b=boxes, s=scores: d.run(b, s)  # type: ignore[misc]
    return calls


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    detectors = detector_calls("sigmoid") | detector_calls("softmax")
    times = measure(network_calls() | detectors, runs)
    print(f"{platform.machine()}, {mpscnn.build_config()['instruction_set']}\n")
    print(table_head("boxes", "us", *(f"of {name} ({times[name]} us)" for name in NETWORKS)))
    for name in detectors:
        shares = (f"{times[name].minimum / times[network].minimum:.1%}" for network in NETWORKS)
        print(table_row([name, times[name], *shares]))


if __name__ == "__main__":
    main()
