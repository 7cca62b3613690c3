"""Say what a classifier's numbers answer: tags with thresholds, numbers with units, or points on the photo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mpscnn._private.arguments import is_finite_number
from mpscnn.errors import ParameterError

#: The kinds of answers, each with the name of its list: a threshold for each tag, a unit for each number, or the name
#: of each point, which has two numbers: its place in shares of the photo's width and height.
KINDS = {"tags": "thresholds", "number": "units", "keypoints": "names"}
Answers = dict[str, Any]


class Number(NamedTuple):
    """A number that a model reads off a photo, and its unit, which may be empty."""

    label: str
    value: float
    unit: str

    def __str__(self) -> str:
        return f"{self.value:.5g} {self.unit}".rstrip()


class LabelledPoint(NamedTuple):
    """A point that a model finds on each photo, in pixels of the upright photo from its left upper corner."""

    label: str
    x: float
    y: float


def checked_answers(answers: Any) -> Answers | None:
    """Return what a network's numbers answer, as plain values for JSON.

    Raises ParameterError for anything but None or a mapping with "kind" and its list (`KINDS`).
    """
    if answers is None:
        return None
    kind = answers.get("kind") if isinstance(answers, Mapping) else None
    if not isinstance(kind, str) or kind not in KINDS or set(answers) != {"kind", KINDS[kind]}:
        forms = ", ".join(f'{{"kind": "{name}", "{part}": [...]}}' for name, part in KINDS.items())
        raise ParameterError(f"answers must be one of {forms}, got {answers!r:.100}")
    part = KINDS[kind]
    values = answers[part]
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise ParameterError(f"answers: {part!r} must be a list, got {values!r:.100}")
    if kind == "tags":
        if not all(is_finite_number(one) and 0 <= one <= 1 for one in values):
            raise ParameterError(f"answers: the thresholds of tags must be from 0 to 1, got {values!r:.100}")
        return {"kind": kind, part: [float(one) for one in values]}
    if not all(isinstance(one, str) for one in values):
        raise ParameterError(f"answers: {part!r} must be texts, got {values!r:.100}")
    return {"kind": kind, part: list(values)}


def require_fitting_answers(answers: Answers | None, outputs: Sequence[Sequence[int | None]]) -> None:
    """Raise ParameterError if a network with outputs of these shapes has another number of numbers than its answers."""
    if answers is None:
        return
    count = len(answers[KINDS[answers["kind"]]]) * (2 if answers["kind"] == "keypoints" else 1)
    if len(outputs) != 1 or outputs[0][-1] != count:
        raise ParameterError(
            f"answers: there are {count}, and the outputs of the network are {list(outputs)}"
        )


def require_whole_photo(answers: Answers | None, preprocess: str | Mapping[str, Any] | None) -> None:
    """Raise ParameterError if the input of a model of points would not show the whole photo."""
    if answers is None or answers["kind"] != "keypoints" or isinstance(preprocess, str) or preprocess is None:
        return
    if preprocess.get("fit", "stretch") != "stretch" or preprocess.get("crop_fraction", 1) != 1:
        raise ParameterError(
            'preprocess: the points of a model are places on the whole photo, so "fit" must be "stretch" and '
            f'"crop_fraction" 1, got {dict(preprocess)!r:.200}'
        )
