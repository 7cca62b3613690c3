"""Train a detector and a segmenter on 1,000 drawn photos, and print their measures and the processor time.

python benchmarks/scenes.py detect
python benchmarks/scenes.py segment
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from drawn_scenes import write_scenes

import mpscnn
from mpscnn.training.scenes.networks import segmenter_of

_PHOTOS, _SIDE = 1000, 128
_MODEL = "cifar10_mobilenet_v2"
#: Views that show objects about as large as whole photos do, which is how photos are measured.
_VIEWS = mpscnn.SceneAugmentation(crop=0.75, shrink=1.15)
#: The options of each training. The first half of the layers of the backbone is fixed.
_OPTIONS: dict[str, dict[str, Any]] = {
    "detect": {"epochs": 32, "batch_size": 8, "size": 96, "trained_layers": 20},
    "segment": {"epochs": 16, "batch_size": 8, "size": 96, "trained_layers": 20, "augment": _VIEWS},
}


def train(task: Any, folder: Path, *, photos: int, threads: int, **options: Any) -> Any:
    """Draw the photos, train, and return the model."""
    write_scenes(folder, photos, side=_SIDE)
    labels = {"annotations": folder / "annotations.json"} if task == "detect" else {"masks": folder / "masks"}
    return mpscnn.train(
        folder / "photos", _MODEL, task=task, threads=threads, **_OPTIONS[task] | labels | options
    )


def at_the_size_of_the_photos(model: Any, folder: Path, held: list[int]) -> Any:
    """Evaluate a segmenter on whole photos: as it is, and with its weights in a network of the photos' size."""
    samples = [(folder / f"photos/{i:04}.png", folder / f"masks/{i:04}.png") for i in held]
    classifier = mpscnn.load(_MODEL).network
    larger = segmenter_of(classifier, len(model.labels), (_SIDE, _SIDE), "lraspp")
    larger.load_weights(model.network.weights, layout="OHWI")
    larger.preprocess, larger.labels = model.preprocess, model.labels
    return [mpscnn.evaluate_segmenter(one, samples) for one in (model, mpscnn.Model(larger))]


def held_photos(photos: int) -> list[int]:
    """Return the numbers of the photos for validation, which `mpscnn.train` chooses with seed 0."""
    return sorted(np.random.default_rng([0, photos]).permutation(photos)[: round(0.2 * photos)].tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=sorted(_OPTIONS))
    parser.add_argument("--photos", type=int, default=_PHOTOS)
    parser.add_argument("--epochs", type=int, help="default: those of the figures in docs/training.md")
    parser.add_argument("--loss", help="the loss of a segmenter, such as dice_cross_entropy")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, help="write the model to this file")
    given = parser.parse_args()
    chosen = {"epochs": given.epochs, "loss": given.loss}
    options = {name: value for name, value in chosen.items() if value is not None}
    before, began = time.process_time(), time.perf_counter()

    def show(epoch: mpscnn.Epoch) -> None:
        print(
            f"epoch {epoch.index}: loss {epoch.loss:.3f}, validation {epoch.validation_accuracy:.4f}, "
            f"{time.process_time() - before:.0f} s of processor time",
            flush=True,
        )

    with tempfile.TemporaryDirectory() as folder:
        model = train(
            given.task,
            Path(folder),
            photos=given.photos,
            threads=given.threads,
            callbacks=show,
            output=given.output,
            **options,
        )
        larger = []
        if given.task == "segment":
            larger = at_the_size_of_the_photos(model, Path(folder), held_photos(given.photos))
    print(model.report.evaluation, *larger, sep="\n")
    print(
        f"{time.process_time() - before:.0f} s of processor time, {time.perf_counter() - began:.0f} s in all, "
        f"{given.threads} threads"
    )


if __name__ == "__main__":
    main()
