"""Print the output of `mpscnn evaluate` for detectors, segmenters, and models with a table of labels."""

from __future__ import annotations

from math import isnan
from typing import Any

from mpscnn.apps.cli.output import sentences, show, show_json, table_width
from mpscnn.evaluation.confusion import nonzero_cells
from mpscnn.evaluation.detector import DetectorEvaluation, precision_text
from mpscnn.evaluation.labels import LabelEvaluation
from mpscnn.evaluation.segmenter import SegmenterEvaluation, iou_text
from mpscnn.model import Model


def show_detector(model: Model, result: DetectorEvaluation, as_json: bool) -> None:
    """Print the evaluation of a detector with COCO's measures."""
    if as_json:
        cells = nonzero_cells(result.confusion, "objects")
        show_json({**_head(model), **result.to_dict(), "confusion": cells})
        return
    show(
        *sentences(
            _speed(model, result.images, result.seconds),
            precision_text(result.map, result.map50)
            + (
                ""
                if isnan(result.map)
                else f", {result.map75:.3f} at 0.75; recall of 100 boxes {result.recall:.3f}"
            ),
            *result.notes,
        ),
        "",
        *result.table(width=table_width()).split("\n"),
        "",
        *sentences(result.confusion_text()),
        *result.confusion_table(width=table_width()).split("\n"),
    )
    if result.missing:
        show("", *sentences(f"the model does not know: {', '.join(result.missing)}"))


def show_segmenter(model: Model, result: SegmenterEvaluation, as_json: bool) -> None:
    """Print the evaluation of a segmenter."""
    if as_json:
        ious = dict(zip(result.labels, result.ious.tolist(), strict=True))
        show_json(
            {
                **_head(model),
                "images": result.images,
                "seconds": round(result.seconds, 3),
                "mean_iou": result.mean_iou,
                "pixel_accuracy": result.pixel_accuracy,
                "ious": {
                    name: iou for name, iou in ious.items() if iou == iou
                },  # a class without pixels has NaN, and is left out
            }
        )
        return
    show(
        *sentences(_speed(model, result.images, result.seconds)),
        f"{iou_text(result.mean_iou)}, pixel accuracy {result.pixel_accuracy:.2%}",
        "",
        *result.table(width=table_width()).split("\n"),
    )


def show_labels(model: Model, result: LabelEvaluation, as_json: bool) -> None:
    """Print the evaluation of a model of tags, numbers or points."""
    if as_json:
        show_json({**_head(model), "score": result.score, **result.to_dict()})
        return
    show(
        *sentences(_speed(model, result.images, result.seconds)),
        result.summary(),
        "",
        *result.table(width=table_width()).split("\n"),
    )


def _head(model: Model) -> dict[str, Any]:
    program = model.program
    return {"model": model.name, "device": program.device, "precision": program.precision}


def _speed(model: Model, images: int, seconds: float) -> str:
    program = model.program
    rate = f"{images:,} images in {seconds:.1f} s, {images / seconds:.1f} images/s"
    return f"{rate} ({program.device}, {program.precision})"
