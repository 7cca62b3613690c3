"""Write docs/models.md: the models of the registry, with accuracies and times that other pages state."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from mpscnn._private.summary import bytes_text
from mpscnn.registry.catalogue import CATALOGUE

DOCS = Path(__file__).resolve().parent.parent
PERFORMANCE = DOCS / "performance.md"

INTRODUCTION = """# Models

Look up the models that mpscnn loads by name here: `mpscnn.load("mobilenet_v2")`, or `--model mobilenet_v2` in a shell.
The first three are part of the package. The others are downloaded from their publisher once, at their first use;
`mpscnn models` lists where they come from.
`python docs/generate` writes this page from the registry, from [performance.md](performance.md) and from the pages that
the table names.

"""

LEGEND = """
- **Accuracy** is the figure of the linked page, which says how it was measured. Published figures were not measured
  with mpscnn, whose int8 results have the bits of LiteRT's reference kernels.
  A dash means that the publisher has no figure: [measure it](evaluation.md) on your photos.
- **Input** is height x width in pixels. A photo of any size becomes this input by the model's
  [preprocessing](preprocessing.md).
- **Size** is that of the bundled file, or of the publisher's files, whose weights have 8 bits.
- **Times** are the minimum milliseconds of a run on one thread, on the machine of
  [performance.md](performance.md#networks). In float32 they are those of the same architecture with random weights,
  in 8-bit integers those of the publisher's file. A dash means that the model was not measured there.
  The bundled models were measured on an AMD EPYC of Zen 3 (AVX2), by
  `chrt -r 1 mpscnn benchmark NAME --threads 1 --runs 2000` on 2026-11-29.
"""


class Facts(NamedTuple):
    """The facts about a model that the registry does not have."""

    task: str
    accuracy: str = "—"
    float32: str = ""
    """The name of the network in the table of float32 of performance.md."""
    int8: str = ""
    """The name of the network in the table of 8-bit integers."""
    bundled: str = "—"
    """The times in float32 of a bundled model, as the legend says."""


# The publishers' pages on the accuracy of their files.
IMAGENET = "top-1 of ImageNet, as [published](https://www.tensorflow.org/lite/guide/hosted_models)"
PASCAL = (
    "mIoU of PASCAL VOC in float32, as "
    "[published](https://github.com/tensorflow/models/blob/master/research/deeplab/g3doc/model_zoo.md)"
)

FACTS = {
    "cifar10_mobilenet_v2": Facts(
        "classification",
        "92.61% of [CIFAR-10's test images](precision.md#quantising-a-network)",
        bundled="1.526, Zen 3",
    ),
    "digits": Facts(
        "classification",
        "9,955 of [MNIST's 10,000 test images](training.md#digits)",
        bundled="0.075, Zen 3",
    ),
    "page_digits": Facts(
        "detection",
        "0.746 mAP on [pages of MNIST's test images](training.md#digits-on-pages)",
        bundled="0.555, Zen 3",
    ),
    "mobilenet_v2": Facts(
        "classification",
        f"70.8% {IMAGENET}",
        float32="MobileNetV2 1.0, 224",
        int8="mobilenet_v2_1.0_224_quant.tflite",
    ),
    "mobilenet_v1": Facts("classification", f"70.0% {IMAGENET}", float32="MobileNetV1 1.0, 224"),
    "mobilenet_v1_0.75_192": Facts(
        "classification", f"66.1% {IMAGENET}", int8="mobilenet_v1_0.75_192_quant.tflite"
    ),
    "mobilenet_v1_0.25_128": Facts("classification", f"39.5% {IMAGENET}"),
    "deeplab_v3": Facts("segmentation", f"75.3% {PASCAL}", float32="DeepLabv3 MobileNetV2, 513"),
    "ssd_mobilenet_v1_coco": Facts("detection"),
}


def times(precision: str) -> dict[str, str]:
    """Return the times on one thread of the networks in a table of performance.md."""
    page = PERFORMANCE.read_text("utf-8")
    _, found, rest = page.partition(f"Minimum milliseconds of a run in {precision}:")
    assert found, f"{PERFORMANCE.name} has no table of {precision}"
    rows = [line.split(" | ") for line in rest.strip().partition("\n\n")[0].splitlines()]
    assert [cell.strip("| ") for cell in rows[0][:3]] == ["network", "threads", "mpscnn"]
    return {row[0].removeprefix("| "): row[2] for row in rows if row[1] == "1"}


def text() -> str:
    """Return the whole page. Raise KeyError if facts about a model, or times of its network, are missing."""
    float32, int8 = times("float32"), times("8-bit integers")
    lines = [
        "| name | task | accuracy | input | size | float32, ms | int8, ms |",
        "|---|---|---|---|---|---|---|",
    ]
    for entry in CATALOGUE:
        facts = FACTS[entry.name]
        assert entry.size is not None, f"the file of {entry.name} is missing"
        cells = (
            f"`{entry.name}`",
            facts.task,
            facts.accuracy,
            "x".join(map(str, entry.input_size)),
            bytes_text(entry.size),
            float32[facts.float32] if facts.float32 else facts.bundled,
            int8[facts.int8] if facts.int8 else "—",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return INTRODUCTION + "\n".join(lines) + "\n" + LEGEND


def files() -> dict[Path, str]:
    """Return the page by its path."""
    return {DOCS / "models.md": text()}
