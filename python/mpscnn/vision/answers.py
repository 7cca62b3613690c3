"""Say what a classifier's numbers answer: tags with thresholds, or numbers with units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mpscnn._private.arguments import is_finite_number
from mpscnn.errors import ParameterError

#: The kinds of answers, each with the name of its list: a threshold for each tag, or a unit for each number.
KINDS = {"tags": "thresholds", "number": "units"}
Answers = dict[str, Any]


class Number(NamedTuple):
    """A number that a model reads off a photo, and its unit, which may be empty."""

    label: str
    value: float
    unit: str

    def __str__(self) -> str:
        return f"{self.value:.5g} {self.unit}".rstrip()


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
    count = len(answers[KINDS[answers["kind"]]])
    if len(outputs) != 1 or outputs[0][-1] != count:
        raise ParameterError(
            f"answers: there are {count}, and the outputs of the network are {list(outputs)}"
        )
