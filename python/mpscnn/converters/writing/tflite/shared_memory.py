"""Find operators that would overwrite a tensor which is read later, when LiteRT lets them write into their operand.

LiteRT's planner of memory lets some operators write their result into an operand, unless others read the operand or
the tensor that was first in its memory. A reshape shares its operand's memory, whoever else reads it. But the planner
counts the readers of the first tensor only: if `b` is computed in place of `a`, and `c` is a reshape of `b`, another
operator may replace `c` although `b` is read later. With XNNPACK this does not happen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

#: The operators that may write into an operand, with the number of such operands.
_CHANGING: Mapping[str, int] = {"ADD": 2, "SUB": 2, "MUL": 2, "DIV": 2, "SOFTMAX": 1}
#: The operators whose result may be the memory of their first operand.
_VIEWS = ("RESHAPE",)


@dataclass(frozen=True)
class Step:
    """An operator: its kind, and the numbers of its operands (-1: left out) and results."""

    kind: str
    reads: Sequence[int]
    makes: Sequence[int]


def overwriting(steps: Sequence[Step], kept: Set[int], sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the place of each operator that would overwrite a tensor too early, and the number of its operand.

    The operand is to be copied, so that the operator may overwrite the copy.

    Args:
        steps: all operators in their order.
        kept: the inputs and outputs of the graph, and its constants, whose memory is not shared.
        sizes: the bytes of each tensor for one image.
    """
    readers = Counter(number for step in steps for number in step.reads)
    last = {number: place for place, step in enumerate(steps) for number in step.reads}
    owner = list(range(len(sizes)))  # the tensor that was first in the memory of each
    shared: dict[int, list[int]] = {}
    for place, step in enumerate(steps):
        changes = step.kind in _CHANGING
        if not (changes or step.kind in _VIEWS) or len(step.makes) != 1 or step.makes[0] in kept:
            continue
        made = step.makes[0]
        for number in step.reads[: _CHANGING.get(step.kind, 1)]:
            if number < 0 or number in kept or sizes[number] != sizes[made]:
                continue
            if changes and readers[number] > 1:
                continue
            first = owner[number]
            if changes and readers[first] > 1:
                break  # LiteRT tries one operand only
            others = shared.setdefault(first, [first])
            if changes and any(last.get(one, -1) > place for one in others):
                yield place, number
                first = len(owner)  # the copy, which only this operator reads
                owner.append(first)
                readers[first], others = 1, shared.setdefault(first, [])
            owner[made] = first
            others.append(made)
            break
