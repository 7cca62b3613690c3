"""The proof of a conversion: the source on its own engine beside the network that was made of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mpscnn.comparison.compared import Comparison
from mpscnn.comparison.side_by_side import compare
from mpscnn.comparison.sides import missing_engine
from mpscnn.errors import Error
from mpscnn.graph.network import Network


def prove(
    network: Network,
    sources: Sequence[Path],
    size: tuple[int, int] | None = None,
    outputs: Sequence[str] = (),
) -> tuple[Comparison | None, str]:
    """Compares a converted network with its source on random input.

    Args:
        network: what was made of the source.
        sources: the files it was made of.
        size: (height, width) where the network leaves it free.
        outputs: tensors that the network stops at instead of the source's outputs.

    Returns:
        The comparison, with the verdict as a sentence; None with the reason where there can be none.
    """
    if len(sources) != 1:
        return None, "not checked: the network was made of several files"
    if outputs:
        return None, f"not checked: the source ends elsewhere than at {', '.join(outputs)}"
    if missing := missing_engine(sources[0]):
        return None, f"not checked: {missing}"
    try:
        found = compare(network, sources[0], size=size)
    except Error as error:
        return None, f"not checked: {error}"
    return found, f"checked against {found.second}: {found.verdict()}"
