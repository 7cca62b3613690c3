"""The command `mpscnn info`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from mpscnn._private.class_scores import score_count
from mpscnn._private.files import exists, size_on_disk
from mpscnn._private.printable import quote_path
from mpscnn._private.summary import bytes_text, prose
from mpscnn.apps.cli.arguments import JsonOption, ModelArgument
from mpscnn.apps.cli.output import show, show_json, table_width
from mpscnn.apps.cli.sizes import SizeOption, check_size, shape_text
from mpscnn.apps.cli.task import COMMANDS, setting_command
from mpscnn.converters.reading.coreai.asset_facts import asset_facts
from mpscnn.converters.reading.coreml.file_facts import coreml_facts
from mpscnn.converters.reading.onnx.file_facts import onnx_facts
from mpscnn.converters.reading.tflite.file_facts import tflite_facts
from mpscnn.graph.network import Network
from mpscnn.opening_models import described_network, model_path, model_task, open_model
from mpscnn.runtime.library import devices

_USES = {
    "classification": ("classes of photos", COMMANDS["classification"]),
    "detection": ("objects on photos", COMMANDS["detection"]),
    "digits": ("single handwritten digits", "digits"),
    "segmentation": ("the class of each pixel of photos", COMMANDS["segmentation"]),
}
#: More labels than this are not all shown.
_MAX_LABELS = 10
_ABOUT = ("labels", "preprocess", "scores", "answers", "information")


def info(
    model: ModelArgument,
    size: SizeOption = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change the model file instead: preprocess, detection, labels and scores as for convert, "
            "answers as JSON, or license, author, version, source and description. May be repeated.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a model's layers, input, labels and licence, or change its preprocessing and labels.

    For each layer it shows the operation, the output's shape, the number of parameters and the multiply-accumulates
    (MACs).

    Example: mpscnn info mobilenet_v2

    Example: mpscnn info model.safetensors --set preprocess=torchvision --set labels=labels.txt
    """
    if settings:
        if as_json or size is not None:
            raise typer.BadParameter("go without --set, which shows nothing", param_hint="--json, --size")
        from mpscnn.apps.cli.model_changes import change_model

        change_model(model, settings)
        return
    path = Path(model_path(model))
    core = open_model(str(path))
    network, _ = described_network(core)
    check_size(network, size)
    described = network.describe(size)
    about: dict[str, Any] = json.loads(core.describe())
    if as_json:
        task = model_task(about["detection"] is not None, [tensor.shape for tensor in network.outputs])
        shown = {key: described[key] for key in ("name", "inputs", "outputs", "layers")}
        told = {key: about[key] for key in _ABOUT} | {"calibrated": core.calibration() is not None}
        show_json({"file": str(path), "task": task, **shown, **told})
        return
    show(*described.table(width=table_width()).split("\n"), "")
    stated = _facts(model, network, about, core.calibration())
    facts = [f"{name + ': ':<15}{text}" for name, text in stated]
    show(*(line for fact in facts for line in prose(fact, table_width(), " " * 15)))
    files = [path] if path == Path(model) or not exists(Path(model)) else [Path(model), path]
    for name, file in zip(("file", "converted"), files, strict=False):
        show(f"{name + ':':<15}{file} ({bytes_text(size_on_disk(file))})")


def _facts(
    model: str, network: Network, about: dict[str, Any], calibration: tuple[Any, ...] | None
) -> list[tuple[str, str]]:
    inputs = [f"{tensor.name} {shape_text(tensor.shape)}" for tensor in network.inputs]
    outputs = [f"{tensor.name} {shape_text(tensor.shape)}" for tensor in network.outputs]
    labels = about["labels"]
    settings = about["preprocess"]
    return [
        ("use", _use(model, network, about)),
        ("input", ", ".join(inputs)),
        ("output", ", ".join(outputs)),
        ("preprocessing", _settings_text(settings) if settings else "not stated"),
        ("precisions", _precisions_text()),
        ("labels", _labels_text(labels or [])),
        *([("scores", _scores_text(network))] if _is_classifier(network) else []),
        *([("calibration", f"with {len(calibration[-1])} photos")] if calibration else []),
        *([("answers", _answers_text(network.answers))] if network.answers else []),
        *([("detection", _detection_text(about["detection"]["suppression"]))] if about["detection"] else []),
        *asset_facts(Path(model)),
        *onnx_facts(Path(model)),
        *tflite_facts(Path(model)),
        *(coreml_facts(Path(model)) or sorted(about["information"].items())),
    ]


def _labels_text(labels: list[str]) -> str:
    if not labels:
        return "none"
    if len(labels) <= _MAX_LABELS:
        return f"{len(labels)}: {', '.join(map(repr, labels))}"
    return f"{len(labels)}, from {labels[0]!r} to {labels[-1]!r}"


def _answers_text(answers: dict[str, Any]) -> str:
    """Return a text about the thresholds of tags, or the units of numbers."""
    if answers["kind"] == "tags":
        given = [f"{threshold:.4g}" for threshold in answers["thresholds"]]
        shown = ", ".join(given[:_MAX_LABELS]) + ", ..." * (len(given) > _MAX_LABELS)
        return f"tags, which a photo has from these probabilities on: {shown}"
    if answers["kind"] == "keypoints":
        return f"points: {_labels_text(answers['names'])}"
    return f"numbers in {', '.join(unit or '(no unit)' for unit in answers['units'][:_MAX_LABELS])}"


def _detection_text(suppression: dict[str, Any]) -> str:
    """Return a text about which boxes are kept."""
    where = "boxes of the same class" if suppression["per_class"] else "boxes of all classes"
    return (
        f"score threshold {suppression['score_threshold']:.4g}, {suppression['method']} suppression of {where} "
        f"above an IoU of {suppression['iou_threshold']:.4g}, at most {suppression['max_detections']} objects"
    )


def _is_classifier(network: Network) -> bool:
    shapes = [tensor.shape for tensor in network.outputs]
    return network.detection is None and score_count(shapes) is not None


def _scores_text(network: Network) -> str:
    """Return a text about what the scores of a classifier are, and why."""
    if network.scores is not None:
        reason = "the file states it"
    elif network.last_function == "as is":
        reason = "all results are between 0 and 1"
    elif network.last_function is not None:
        reason = "the network ends in it"
    else:
        reason = "nothing states it"
    return f"{network.scores_are} ({reason})"


def _use(model: str, network: Network, about: dict[str, Any]) -> str:
    """Return a text about what the model is for and which command uses it."""
    shapes = [tensor.shape for tensor in network.outputs]
    task = model_task(about["detection"] is not None, shapes)
    if about["preprocess"] is None:
        return (
            "arrays through Program and Session; for photos say how they become its input: "
            + setting_command(model, "preprocess", "NAME")
        )
    if task == "classification" and score_count(shapes) is None:
        return f"features of photos: mpscnn features PHOTO --model {quote_path(model)} --layers NAME"
    if network.answers is not None:
        return (
            f"{network.answers['kind']} of photos: mpscnn {COMMANDS[task]} PHOTO --model {quote_path(model)}"
        )
    purpose, command = _USES["digits" if about["preprocess"]["fit"] == "digit" else task]
    return f"{purpose}: mpscnn {command} PHOTO --model {quote_path(model)}"


def _precisions_text() -> str:
    cpu = devices()[0]
    missing = f" (no bfloat16: {cpu['no_bfloat16']})" if "no_bfloat16" in cpu else ""
    return ", ".join(cpu["precisions"]) + " on the CPU" + missing


def _settings_text(settings: dict[str, Any]) -> str:
    def text(value: Any) -> str:
        if isinstance(value, list):
            return "(" + ", ".join(map(text, value)) + ")"
        return f"{value:g}" if isinstance(value, float) else str(value)

    return ", ".join(f"{name} {text(value)}" for name, value in settings.items())
