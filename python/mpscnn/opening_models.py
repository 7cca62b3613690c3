"""Find and open model files, and read what they say about the network, in the core."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mpscnn import _core
from mpscnn._private.class_scores import score_count
from mpscnn._private.model_name import MODEL_SUFFIX, holds_network, is_path
from mpscnn._private.other_arguments import conversion_hint
from mpscnn._private.toolkit import converter
from mpscnn.errors import ParameterError, UnsupportedError, WeightsError

if TYPE_CHECKING:  # other modules are imported where they are used, so that running a network starts quickly
    from typing import TypedDict

    from mpscnn._private.literals import ScoresName
    from mpscnn.graph.network import Network

    class Description(TypedDict):
        """The settings that a model file has besides its network."""

        name: str
        labels: list[str] | None
        preprocess: dict[str, Any] | None
        information: dict[str, str]
        detection: dict[str, Any] | None
        scores: ScoresName | None
        answers: dict[str, Any] | None


#: The end of a message about a calibrated model that has changed.
LOST_CALIBRATION = (
    "loses its calibration, made with other preprocessing, scores or weights: calibrate it again"
)


def model_path(model: str | os.PathLike[str], *, fold: bool = True, note_photos: bool = True) -> str:
    """Return the path of the model file for a registry name or path.

    A published model that is not on this machine is downloaded, and so is one of the hub (hf://owner/name). A file of
    another framework is converted, unless the cache has the result.
    """
    path = os.fspath(model)
    if "\0" in path:
        raise ParameterError(f"model: {model!r} contains a zero character")
    if hub_model_name(path) is not None:
        return _from_hub(path, fold=fold, note_photos=note_photos)
    if "://" in path:
        raise ParameterError(
            f"model: {path!r} is a URL, which is not fetched: download the file, and give its path"
        )
    if not isinstance(model, str) or is_path(model):
        if path.lower().endswith(MODEL_SUFFIX) and holds_network(path):
            return path
        _require_file(path)
        return converter().convert_cached(path, fold=fold, note_photos=note_photos)
    from mpscnn import registry

    try:
        return str(registry.find(model))
    except ParameterError:
        if not os.path.exists(path):  # noqa: PTH110 (pathlib takes longer than the rest)
            raise
    return converter().convert_cached(path, fold=fold, note_photos=note_photos)


def hub_model_name(text: str) -> str | None:
    """Return the name of a model of the hub without its owner and revision; None for any other text."""
    if not text.startswith(("hf:/", "timm/")):  # the module takes time to import
        return None
    from mpscnn.registry.hub import is_hub_name, model_name

    return model_name(text) if is_hub_name(text) else None


def _from_hub(name: str, *, fold: bool, note_photos: bool) -> str:
    """Return the path of the model file for a model of the hub. See `mpscnn.registry.hub`."""
    from mpscnn.registry.hub import find_on_hub, known_elsewhere

    file = find_on_hub(name)
    path = os.fspath(file.path)
    if path.lower().endswith(MODEL_SUFFIX) and holds_network(path):
        return path
    try:
        return converter().convert_cached(path, fold=fold, note_photos=note_photos, record=file.record)
    except UnsupportedError as error:
        lead = known_elsewhere(file) if type(error) is UnsupportedError else ""
        if not lead:
            raise
        raise UnsupportedError(f"{error}; {lead}") from error


def _require_file(path: str) -> None:
    """Raise WeightsError, with a lead, for a missing file with the name of a known model, or of one of the hub.

    Examples are resnet50.pth and owner/name.
    """
    if os.path.lexists(path):
        return
    name, suffix = os.path.splitext(path)  # noqa: PTH122 - pathlib takes longer than the rest
    if not suffix:
        if path.count("/") == 1 and all(path.split("/")):
            raise WeightsError(
                f"{path}: cannot be read: No such file or directory. A model of the Hugging Face hub is hf://{path}"
            )
        return
    from mpscnn.registry.lookup import lead_of

    if lead := lead_of(name):
        raise WeightsError(f"{path}: cannot be read: No such file or directory.{lead}")


def open_model(path: str) -> _core.Model:
    """Load a model file in the core. Its name need not be Unicode.

    Raises WeightsError, which names the file, if it is missing or damaged.
    """
    try:
        name = os.fsencode(path)
    except UnicodeEncodeError as error:
        raise ParameterError(f"model: {path!r} is not Unicode text, nor the name of a file") from error
    core = _core.Model.load(name)
    if _has_answers(core):
        try:
            described_network(core)  # the core keeps answers as they are
        except WeightsError as error:
            error.args = (f"{path}: {error}",)
            raise
    return core


def core_model(
    network: Network | _core.Model,
    preprocess: str | Mapping[str, Any] | None = None,
    labels: Sequence[str] | None = None,
    scores: ScoresName | None = None,
) -> _core.Model:
    """Return a network as a model of the core, with these settings.

    With None the model keeps the network's own preprocessing, labels or scores.
    """
    if isinstance(network, _core.Model):
        if preprocess is None and labels is None and scores is None:
            return network
        from mpscnn.graph.model_file import description, with_metadata

        described, _ = described_network(network)
        if scores is not None:
            require_scores(described)
        changes = description(described, labels, preprocess, scores, None)
        changed = _core.Model.parse(with_metadata(network.content(), changes), "model")
        if changed.calibration() is not None and not computes_alike(described, described_network(changed)[0]):
            changed.remove_calibration()
            from mpscnn._private.given_warnings import warn_caller

            warn_caller(f"network {described.name!r} {LOST_CALIBRATION}")
        return changed
    from mpscnn.graph.model_file import model_content
    from mpscnn.graph.network import Network

    if not isinstance(network, Network):
        raise ParameterError(
            f"Model takes a Network, got {type(network).__name__}; mpscnn.load takes the name of a file or model"
            f"{conversion_hint(network)}"
        )
    if scores is not None:
        require_scores(network)
    content = model_content(
        network,
        labels=network.labels if labels is None else labels,
        preprocess=network.preprocess if preprocess is None else preprocess,
        scores=network.scores if scores is None else scores,
    )
    return _core.Model.parse(content, f"network {network.name!r}")


def described_network(core: _core.Model) -> tuple[Network, dict[str, str]]:
    """Return the network of a model file, and the file's texts about itself.

    The network has the file's preprocessing, labels, scores, answers and detection settings.
    """
    from mpscnn.graph.network import Network

    about = read_settings(core)
    network = Network.from_graph(core.graph())
    network.preprocess, network.labels, network.scores = about["preprocess"], about["labels"], about["scores"]
    network.information = about["information"]
    if about["answers"] is not None:
        network.answers = _sound_answers(about, [tensor.shape for tensor in network.outputs])
    if about["detection"] is not None:
        from mpscnn.vision.detector import DetectionHead

        network.detection = DetectionHead(about["detection"], core.anchors())
    return network, about["information"]


def computes_alike(first: Network, second: Network) -> bool:
    """Return True if two networks with the same layers and weights have the same results for a photo.

    It compares how photos become inputs, and what the results are.
    """
    settings = [
        (_full_preprocess(network), network.scores_are, network.answers) for network in (first, second)
    ]
    return settings[0] == settings[1]


def _full_preprocess(network: Network) -> str | None:
    if network.preprocess is None:
        return None
    from mpscnn._private.settings import as_json

    text = as_json("preprocess", network.preprocess)
    return _core.describe_preprocess(text, network.input.shape[-1] or 0)


def require_sound_answers(core: _core.Model, outputs: Sequence[tuple[int | None, ...]]) -> None:
    """Raise WeightsError if a model file's answers are damaged, or do not fit the network's outputs."""
    if _has_answers(core):
        _sound_answers(read_settings(core), outputs)


def _has_answers(core: _core.Model) -> bool:
    # Quotes within texts are escaped, so this is the entry. Models without answers then need no import of json.
    return '"answers":null' not in core.describe()


def _sound_answers(about: Description, outputs: Sequence[tuple[int | None, ...]]) -> dict[str, Any] | None:
    from mpscnn.vision.answers import checked_answers, require_fitting_answers

    try:
        answers = checked_answers(about["answers"])
        require_fitting_answers(answers, outputs)
    except ParameterError as error:
        raise WeightsError(f"damaged: network {about['name']!r}: {error}") from error
    return answers


def model_task(boxes: bool, outputs: Sequence[tuple[int | None, ...]]) -> str:
    """Return a model's task. `boxes` is whether it has settings that turn outputs into boxes. See `Model.task`."""
    if boxes:
        return "detection"
    is_map = len(outputs) == 1 and len(outputs[0]) == 4 and score_count(outputs) is None
    return "segmentation" if is_map else "classification"


def require_scores(network: Network) -> None:
    """Raise ParameterError if the `scores` of a classifier have no meaning for a network: of boxes or label maps."""
    task = model_task(network.detection is not None, [tensor.shape for tensor in network.outputs])
    if task != "classification":
        raise ParameterError(
            f"scores: are those of classifiers, and network {network.name!r} is made for {task}"
        )


def read_settings(core: _core.Model) -> Description:
    """Return the settings of a model file."""
    # This import takes 2 ms, which programs that only run a network should not pay.
    import json

    about: Description = json.loads(core.describe())
    return about
