"""Compare the speed of whole networks in mpscnn and in every other engine that is installed, with the same weights.

    python benchmarks/compare.py [--only NAMES] [--peers NAMES] [--threads 1,2] [--rounds N] [--processes N]
        [--output DIR] [--quantised FILE.tflite]

Prints Markdown with machine and versions; --output also writes compare.csv with every time, compare.md and compare.svg.
Every engine runs in its own process; their runs are interleaved (see `mpscnn.apps.benchmark`). The settings of each
engine are in python/mpscnn/apps/benchmark/engines.py and in peer_files/torch_engine.py, with the reasons. An engine
whose outputs differ from mpscnn's by more than BOUNDS is refused.
For the precision int8, mpscnn.quantize quantises the networks on random images, and engines that read ONNX files get
graphs with QuantizeLinear and DequantizeLinear. --quantised adds a quantised TensorFlow Lite file, which LiteRT reads
without a conversion.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import compare_report
import networks
import numpy as np
from harness import quantized
from peer_files.all_peers import ALL_PEERS

import mpscnn
from mpscnn.apps.benchmark import Measurement, Peer, Subject, measure, open_subject
from mpscnn.errors import Error

PRECISIONS = "float32", "bfloat16", "int8"
"""The precisions in which networks may be measured."""

BOUNDS = {"float32": 1e-4, "bfloat16": 0.25}
"""The largest allowed difference from mpscnn's outputs, relative to their largest magnitude.

Engines that keep whole tensors in bfloat16 differ much from float32. With SSDLite's random weights, torch and mpscnn
differ from float32 by 0.16, and from each other by 0.04.
"""


@dataclass(frozen=True)
class Case:
    """A network that is measured."""

    title: str
    make: Callable[[], mpscnn.Network]
    batch: int = 1
    turn: int = 5
    """The number of runs in a round. It is higher for short runs, so that a round is longer than an interruption."""
    precisions: tuple[str, ...] = ("float32",)
    """The precisions of PRECISIONS that it is measured with."""


CASES = {
    "mobilenet_v1": Case(
        "MobileNetV1 1.0, 224", lambda: mpscnn.models.mobilenet_v1(output="logits"), precisions=PRECISIONS
    ),
    "mobilenet_v2": Case(
        "MobileNetV2 1.0, 224", lambda: mpscnn.models.mobilenet_v2(output="logits"), precisions=PRECISIONS
    ),
    "ssdlite": Case("SSDLite MobileNetV2, 300", mpscnn.models.ssdlite_mobilenet_v2, precisions=PRECISIONS),
    "deeplab": Case("DeepLabv3 MobileNetV2, 513", lambda: mpscnn.models.deeplab_v3(input_size=513), turn=3),
    "deep_mnist": Case("Deep MNIST", lambda: mpscnn.models.deep_mnist(output="logits"), turn=50),
    "deep_mnist_64": Case(
        "Deep MNIST, batch 64", lambda: mpscnn.models.deep_mnist(output="logits"), batch=64
    ),
    "mobilenet_v3_large": Case(
        "MobileNetV3-Large, 224", mpscnn.models.mobilenet_v3_large, turn=10, precisions=PRECISIONS
    ),
    "mobilenet_v3_small": Case("MobileNetV3-Small, 224", mpscnn.models.mobilenet_v3_small, turn=20),
    "mobilenet_v4_conv_small": Case(
        "MobileNetV4-Conv-Small, 224", mpscnn.models.mobilenet_v4_conv_small, turn=10
    ),
    "efficientnet_b0": Case(
        "EfficientNet-B0, 224", mpscnn.models.efficientnet_b0, precisions=("float32", "bfloat16")
    ),
    "efficientnet_lite0": Case("EfficientNet-Lite0, 224", mpscnn.models.efficientnet_lite0),
    "shufflenet_v2": Case("ShuffleNetV2 1.0, 224", mpscnn.models.shufflenet_v2_x1_0, turn=10),
    "mnasnet": Case("MNASNet 1.0, 224", mpscnn.models.mnasnet1_0),
    "squeezenet": Case("SqueezeNet 1.1, 224", mpscnn.models.squeezenet1_1),
    "resnet18": Case("ResNet-18, 224", mpscnn.models.resnet18, turn=3),
    "resnet50": Case("ResNet-50, 224", mpscnn.models.resnet50, turn=2),
    "ssdlite320": Case(
        "SSDLite320 MobileNetV3",
        mpscnn.models.ssdlite320_mobilenet_v3_large,
        precisions=("float32", "int8"),
    ),
    "lraspp": Case("LRASPP MobileNetV3, 520", mpscnn.models.lraspp_mobilenet_v3_large, turn=3),
    "yolo_v8n": Case("YOLOv8n-like, 640", networks.yolo_v8n, turn=2),
    "u_net": Case("U-Net of 32 channels, 256", networks.u_net, turn=2),
}


@dataclass
class Comparison:
    """The measurements of one network in one precision, with one number of threads, by all engines."""

    title: str
    precision: str
    threads: int
    turn: int
    """The number of runs in a round."""
    results: list[Measurement] = field(default_factory=list)
    """The measurements, mpscnn's first."""
    missing: dict[str, str] = field(default_factory=dict)
    """The reasons of engines that were left out, by name."""


def main() -> None:
    arguments = parse()
    comparisons = list(compared(arguments))
    text = compare_report.markdown(comparisons, arguments)
    print(text)
    if arguments.output is not None:
        arguments.output.mkdir(parents=True, exist_ok=True)
        (arguments.output / "compare.md").write_text(text + "\n")
        (arguments.output / "compare.csv").write_text(compare_report.csv_text(comparisons))
        (arguments.output / "compare.svg").write_text(compare_report.picture(comparisons))


def parse() -> argparse.Namespace:
    parser = argument_parser(__doc__)
    parser.add_argument("-o", "--output", type=Path, metavar="DIR")
    return parser.parse_args()


def argument_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a command-line parser with the options of `compared`."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(CASES), help=f"networks; default: {','.join(CASES)}")
    parser.add_argument(
        "--peers", default=",".join(ALL_PEERS), help=f"engines; default: {','.join(ALL_PEERS)}"
    )
    parser.add_argument("--threads", default="1,2", help="numbers of threads; default: 1,2")
    parser.add_argument("--rounds", type=int, default=20, help="turns of each process; default: 20")
    parser.add_argument(
        "--processes", type=int, default=1, help="of each engine, one after another; default: 1"
    )
    parser.add_argument("--precision", default=",".join(PRECISIONS), help=f"default: {','.join(PRECISIONS)}")
    parser.add_argument("--quantised", type=Path, action="append", default=[], metavar="FILE")
    return parser


def compared(arguments: argparse.Namespace) -> Iterator[Comparison]:
    """Measure, and yield one comparison after the other."""
    counts = [int(count) for count in arguments.threads.split(",")]
    peers = [ALL_PEERS[name] for name in arguments.peers.split(",")]
    for name in arguments.only.split(","):
        case = CASES[name]
        network = case.make()
        network.initialize_weights()
        for precision in arguments.precision.split(","):
            if precision not in case.precisions or not possible_here(precision):
                continue
            subject = Subject(name, quantized(network) if precision == "int8" else network, batch=case.batch)
            with tempfile.TemporaryDirectory(prefix="mpscnn-compare-") as folder:
                for threads in counts:
                    result = Comparison(case.title, precision, threads, case.turn)
                    yield compare(result, subject, peers, arguments, Path(folder))
    for path in arguments.quantised:
        with tempfile.TemporaryDirectory(prefix="mpscnn-compare-") as folder:
            for threads in counts:
                result = Comparison(path.name, "int8", threads, turn=5)
                yield compare(result, open_subject(str(path)), peers, arguments, Path(folder))


def compile_options(precision: str) -> dict[str, Any]:
    """Return mpscnn's options for compiling in a precision."""
    return {"device": "cpu", "precision": precision}


def possible_here(precision: str) -> bool:
    """Return True if mpscnn supports the precision on this processor."""
    if precision == "int8":
        return True
    network = mpscnn.Network(input=(1, 1, 1))
    network.output(network.conv2d(network.input, 1, 1))
    network.initialize_weights()
    try:
        network.compile(**compile_options(precision))
    except Error:
        return False
    return True


def compare(
    comparison: Comparison,
    subject: Subject,
    peers: list[Peer],
    arguments: argparse.Namespace,
    directory: Path,
) -> Comparison:
    """Measure all engines and add the results to a comparison."""
    possible = []
    options = compile_options(comparison.precision)
    for peer in peers:
        try:
            peer.require(options["precision"])
            possible.append(peer)
        except Error as error:
            comparison.missing[peer.name] = str(error)
    several = [
        measure(
            subject,
            peers=[peer for peer in possible if peer.name not in comparison.missing],
            threads=comparison.threads,
            runs=arguments.rounds * comparison.turn,
            turn=comparison.turn,
            directory=directory,
            failed=lambda engine, error: comparison.missing.update({engine: str(error)}),
            **options,
        )
        for _ in range(arguments.processes)
    ]
    for result in joined(several):
        bound = BOUNDS.get(comparison.precision)
        if bound is None or (result.difference or 0.0) <= bound * result.magnitude:
            comparison.results.append(result)
        else:
            comparison.missing[result.engine] = (
                f"refused: its outputs differ by {result.difference:.1e}, mpscnn's reach {result.magnitude:.1e}"
            )
    return comparison


def joined(several: list[list[Measurement]]) -> list[Measurement]:
    """Merge the measurements of several processes: one for each engine, with all times."""
    by_engine: dict[str, list[Measurement]] = {}
    for results in several:
        for result in results:
            by_engine.setdefault(result.engine, []).append(result)
    return [
        replace(
            results[0],
            milliseconds=tuple(time for result in results for time in result.milliseconds),
            # np.max returns NaN if one of the numbers is NaN.
            difference=float(np.max([result.difference or 0.0 for result in results])),
        )
        for results in by_engine.values()
    ]


if __name__ == "__main__":
    main()
