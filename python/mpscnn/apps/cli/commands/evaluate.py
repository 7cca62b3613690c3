"""Run `mpscnn evaluate`: classifiers here, detectors and segmenters with the help of other modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from mpscnn._private.report import Drawable
from mpscnn.apps.cli.arguments import InflightOption, JsonOption, ModelOption, ScoresOption
from mpscnn.apps.cli.evaluate_areas import show_detector, show_labels, show_segmenter
from mpscnn.apps.cli.existing_outputs import OverwriteOption, require_new
from mpscnn.apps.cli.failures import FAILED
from mpscnn.apps.cli.option_groups import COMPILE, RUN, add_options
from mpscnn.apps.cli.output import hint, report, sentences, show, show_json, table_width
from mpscnn.apps.cli.progress import with_progress
from mpscnn.apps.cli.ray_options import RayOption, compute_rows, connect_to_cluster
from mpscnn.apps.ray.evaluation import (
    classifier_evaluation,
    detector_evaluation,
    label_evaluation,
    segmenter_evaluation,
)
from mpscnn.apps.ray.sources import Source
from mpscnn.errors import Error, ParameterError
from mpscnn.evaluation import classifier
from mpscnn.evaluation.class_samples import Sample, part_to_measure, samples_in_folders
from mpscnn.evaluation.confusion import nonzero_cells
from mpscnn.evaluation.detector import evaluate_detector
from mpscnn.evaluation.labels import evaluate_labels
from mpscnn.evaluation.segmenter import evaluate_segmenter, pair_photos_and_masks
from mpscnn.model import Model, load
from mpscnn.registry.catalogue import BUNDLED_MODEL
from mpscnn.runtime.options import CompileOptions, RunOptions
from mpscnn.training.scenes.yolo_parts import is_settings
from mpscnn.training.split_folders import find_splits
from mpscnn.vision.idx import read_labelled
from mpscnn.vision.result_rows import photo_error_text

#: Suffixes of files with results.
_OUTPUTS = (".png", ".html", ".csv", ".json")


@add_options()
def evaluate(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR",
            help="For a classifier a folder with a folder of photos for each class; otherwise a folder of photos, or a "
            "data.yaml of YOLO.",
        ),
    ] = None,
    model: ModelOption = BUNDLED_MODEL.name,
    idx: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Read the images of an IDX file, plain or gzipped, instead of DIR."
        ),
    ] = None,
    idx_labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Read the classes of the images of --idx.")
    ] = None,
    annotations: Annotated[
        Path | None,
        typer.Option(
            metavar="PLACE",
            help="For a detector: read the objects on the photos from a .json file of COCO or Create ML, a folder of "
            ".xml files of Pascal VOC, or a folder of .txt files or a data.yaml of YOLO.",
        ),
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="For a segmenter: read from this folder a PNG for each photo, whose pixels are class numbers "
            "(255: ignored).",
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="For a model of tags, numbers or points: read the labels from a table with a line for each photo in "
            "DIR.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.png",
            help="Write the confusion matrix as a picture (with --labels bars), or the results to FILE.html, FILE.csv "
            "or FILE.json.",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    scores: ScoresOption = None,
    inflight: InflightOption = 3,
    program: CompileOptions = COMPILE,
    runs: RunOptions = RUN,
    cluster: RayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the accuracy of a model on labelled photos.

    DIR has a folder of photos for each class. The folder's name is the model's label (one of several names is enough)
    or the number of the class. The command prints how often the right class is the most probable one (top-1) or among
    the five most probable (top-5), the images per second (with decoding), and the classes that are confused most often.

    Example: mpscnn evaluate photos/ --model mobilenet_v2 --output confusion.png

    For a detector the command prints COCO's mean average precision, for a segmenter the mean intersection over union.

    Example: mpscnn evaluate val2017/ --model detector.safetensors --annotations instances_val2017.json

    Example: mpscnn evaluate shapes/ --model detector.safetensors --annotations shapes/data.yaml

    Example: mpscnn evaluate JPEGImages/ --model deeplab_v3 --masks SegmentationClass/

    Example: mpscnn evaluate photos/ --model tags.safetensors --labels tags.csv

    Example: mpscnn evaluate --model digits --idx t10k-images-idx3-ubyte.gz --idx-labels t10k-labels-idx1-ubyte.gz
    """
    if (folder is None) == (idx is None) or (idx is None) != (idx_labels is None):
        raise typer.BadParameter("expected DIR, or --idx with --idx-labels", param_hint="DIR | --idx")
    given = [one for one in (annotations, masks, labels) if one is not None]
    if given and folder is None:
        raise typer.BadParameter("go with DIR", param_hint=_OF_LABELS)
    if len(given) > 1:
        raise typer.BadParameter("choose one", param_hint=_OF_LABELS)
    if cluster is not None and idx is not None:
        raise typer.BadParameter("goes with DIR; an IDX file is read on one machine", param_hint="--ray")
    if output is not None and output.suffix.lower() not in _OUTPUTS:
        raise typer.BadParameter(
            f"the name must end in {', '.join(_OUTPUTS)}, got {output}", param_hint="--output"
        )
    require_new(overwrite, output)
    photos = folder
    loaded = load(model, scores=scores, **program.to_dict(), **runs.to_dict())
    if folder is not None and not given and is_settings(folder):
        photos = None  # a data.yaml names the photos itself
        annotations, masks = (folder, None) if loaded.task != "segmentation" else (None, folder)
    failures: list[Error] = []

    def failed(photo: object, error: Error) -> None:
        report(photo_error_text(str(photo), error) if isinstance(photo, (str, Path)) else error)
        failures.append(error)

    with nullcontext(None) if cluster is None else _on_machines(cluster, loaded, runs.threads) as machines:
        if folder is not None and annotations is not None:
            found = (
                evaluate_detector(loaded, photos, annotations, inflight=inflight, failed=failed)
                if machines is None
                else machines(detector_evaluation, photos, annotations, failed)
            )
            show_detector(loaded, found, as_json)
            _save(found, output)
        elif folder is not None and masks is not None:
            pairs = pair_photos_and_masks(loaded, photos, masks, failed)
            areas = (
                evaluate_segmenter(loaded, pairs, inflight=inflight, failed=failed)
                if machines is None
                else machines(segmenter_evaluation, pairs, failed)
            )
            show_segmenter(loaded, areas, as_json)
            _save(areas, output)
        elif folder is not None and labels is not None:
            labelled = (
                evaluate_labels(loaded, folder, labels, inflight=inflight, failed=failed)
                if machines is None
                else machines(label_evaluation, folder, labels, failed)
            )
            show_labels(loaded, labelled, as_json)
            _save(labelled, output)
        else:
            files = idx, idx_labels
            _evaluate_classifier(loaded, folder, files, output, inflight, as_json, failed, failures, machines)
    if failures:
        raise typer.Exit(FAILED)


#: The options with the labels of photos that are not in folders of classes.
_OF_LABELS = "--annotations, --masks, --labels"
#: Labels of photos that a model's task needs.
_LABELS = {
    "detection": "the objects on the photos: --annotations FILE.json of COCO or Create ML, a folder of .xml files of "
    "Pascal VOC, or a folder of .txt files or a data.yaml of YOLO",
    "segmentation": "the classes of all pixels: --masks DIR, a folder with a PNG file for each photo, or "
    "--masks PLACE of outlines in a format of annotations, such as labelme, YOLO's data.yaml or COCO",
}


@contextmanager
def _on_machines(cluster: str, model: Model, threads: int | str) -> Iterator[Callable[..., Any]]:
    """Yield a function that calls a function of `mpscnn.apps.ray.evaluation` for this cluster and model."""
    with connect_to_cluster(cluster) as ray:

        def rows(source: Source, options: Mapping[str, Any], *, mask: str | None = None) -> Any:
            return compute_rows(ray, source, model, options, threads=threads, mask=mask)

        yield lambda evaluation, *arguments: evaluation(ray, rows, model, *arguments)


def _evaluate_classifier(
    loaded: Model,
    folder: Path | None,
    files: tuple[Path | None, Path | None],
    output: Path | None,
    inflight: int,
    as_json: bool,
    failed: Callable[[object, Error], None],
    failures: Sequence[Error],
    machines: Callable[..., Any] | None,
) -> None:
    """Evaluate a classifier on a folder, or on the IDX files of images and labels in `files`."""
    needed = _LABELS.get(loaded.task)
    if needed is not None:
        raise ParameterError(f"{loaded.name!r} is made for {loaded.task}, which is measured with {needed}")
    if loaded.answers is not None:
        raise ParameterError(
            f"{loaded.name!r} has no classes: --labels FILE.csv names the table to measure it with"
        )
    classes = classifier.number_of_classes(loaded)
    samples = (
        samples_in_folders(
            _measured_part(folder), loaded.labels or [str(index) for index in range(classes)], failed
        )
        if folder
        else _in_idx(*files)
    )
    placed = None if folder else _without_placing(loaded)
    if machines is not None:
        result = machines(classifier_evaluation, samples, failed)
    else:
        with with_progress(samples) as tracked:
            result = classifier.evaluate_classifier(
                loaded, tracked, preprocess=placed, inflight=inflight, failed=failed
            )
    if as_json:
        show_json(_fields(loaded, result, len(failures)))
    else:
        show(*_lines(loaded, result))
    _save(result, output)


def _save(result: Drawable, output: Path | None) -> None:
    """Write a result that is printed already, so it is not lost if the file cannot be written."""
    if output is not None:
        result.save(output)


def _measured_part(folder: Path) -> Path:
    """Return the folder of the classes, and tell which part of a split data set it is."""
    part = part_to_measure(folder)
    if part != folder:
        hint(f"{folder} is split into {find_splits(folder)}; measured is {part}.")
    return part


def _in_idx(images: Path | None, labels: Path | None) -> list[Sample]:
    assert images is not None
    pixels, classes = read_labelled(images, labels)
    assert classes is not None
    return list(zip(pixels, classes.tolist(), strict=True))


def _without_placing(model: Model) -> dict[str, Any] | None:
    """Return the preprocessing without the search for a digit, because digits of IDX files are centred already.

    None if the model does not search for digits.
    """
    places = model.preprocess is not None and model.preprocess["fit"] == "digit"
    return {**(model.preprocess or {}), "fit": "stretch"} if places else None


def _fields(model: Model, result: classifier.Evaluation, failures: int) -> dict[str, Any]:
    return {
        "model": model.name,
        "device": model.program.device,
        "images": result.images,
        "failed": failures,
        "top1": result.top1,
        "top5": result.top5,
        "seconds": round(result.seconds, 3),
        "images_per_second": round(result.images_per_second, 2),
        "labels": list(result.labels),
        "classes": [asdict(one) for one in result.classes],
        "confusion": nonzero_cells(result.confusion, "images"),
    }


def _lines(model: Model, result: classifier.Evaluation) -> list[str]:
    program = model.program
    figures = ["", *result.class_table(width=table_width()).split("\n")] if result.has_few_classes else []
    return [
        *sentences(
            f"{result.images:,} images in {result.seconds:.1f} s, {result.images_per_second:.1f} images/s "
            f"({program.device}, {program.precision})"
        ),
        result.accuracy_text(),
        "",
        *sentences("Confusion: a row for each true class, a column for each class that the model found."),
        *result.table(width=table_width()).split("\n"),
        *figures,
    ]
