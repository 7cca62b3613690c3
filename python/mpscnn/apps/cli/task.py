"""Check that a model fits a command's task, and name the right command if it does not."""

from __future__ import annotations

from pathlib import Path

from mpscnn._private.class_scores import score_count
from mpscnn._private.files import is_folder
from mpscnn._private.model_name import MODEL_SUFFIX, is_path
from mpscnn._private.printable import quote_path
from mpscnn.errors import UnsupportedError
from mpscnn.model import Model

#: The command for each value of `Model.task`.
COMMANDS = {"classification": "classify", "detection": "detect", "segmentation": "segment"}
_MAKERS = {"classification": "a classifier", "detection": "a detector", "segmentation": "a segmenter"}


def require_task(model: Model, given: str, task: str) -> None:
    """Raise UnsupportedError for a model with another task, or one that does not take photos as it is.

    `given` is the model as the user named it.
    """
    if model.task != task and task == "detection" and not _has_class_scores(model):
        raise UnsupportedError(
            f"{given}: is not a detector: it does not say how its outputs become boxes; "
            + f"say it: {setting_command(given, 'detection', 'ultraface')}"
            + ", or ssd, or settings (the page on detection of the documentation lists them)"
        )
    if model.task != task:
        raise UnsupportedError(
            f"{given}: is not {_MAKERS[task]}, but {_MAKERS[model.task]}: "
            f"mpscnn {COMMANDS[model.task]} ... --model {quote_path(given)}"
        )
    if model.preprocess is None:
        raise UnsupportedError(
            f"{given}: does not say how a photo becomes the network's input; "
            + f"say it: {setting_command(given, 'preprocess', 'NAME')}"
            + " (mpscnn convert --help lists names)"
        )
    if _is_other_format(given) and None in model.network.input.shape[1:3]:
        raise UnsupportedError(
            f"{given}: leaves the size of its input free, and photos need one size; "
            + f"choose it: {setting_command(given, 'size', 'HEIGHTxWIDTH')}"
        )


def _has_class_scores(model: Model) -> bool:
    """Return True if the only output has the scores of classes for each photo or pixel, so that it cannot be boxes."""
    outputs = list(model._outputs.values())
    are_of_classes = score_count(outputs) is not None
    return len(outputs) == 1 and (are_of_classes or outputs[0][-1] == len(model.labels or ()))


def setting_command(given: str, what: str, value: str) -> str:
    """Return a command that gives a model its missing setting. A file of another format must be converted."""
    if _is_other_format(given):
        return f"mpscnn convert {quote_path(given)} -o model{MODEL_SUFFIX} --{what} {value}"
    return f"mpscnn info {quote_path(given)} --set {what}={value}"


def _is_other_format(given: str) -> bool:
    """Return True for a file of another framework, or a folder with a SavedModel, whose name may have no suffix."""
    if is_path(given) or not is_folder(given):
        return is_path(given) and not given.endswith(MODEL_SUFFIX)
    from mpscnn.converters.opening.saved_models import is_saved_model

    return not given.endswith(MODEL_SUFFIX) and is_saved_model(Path(given))
