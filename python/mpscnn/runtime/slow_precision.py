"""Tell users once when a program's precision takes longer than float32 on this processor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from mpscnn._private.given_warnings import warn_once
from mpscnn.errors import ShapeError
from mpscnn.runtime.library import build_config, devices

if TYPE_CHECKING:
    from mpscnn import _core

__all__ = ["SlowPrecisionWarning", "on_trial", "slow_precision", "tell_slow_precision"]

#: Weights of 16 bits make a network faster if it reads a weight for at most so many products (docs/precision.md).
_FEW_PRODUCTS = {"bfloat16": 2, "float16": 16}

_on_trial = ContextVar("on_trial", default=False)


class SlowPrecisionWarning(RuntimeWarning):
    """A program computes in a precision that takes longer than float32 on this processor. Given once in a process.

    `warnings.simplefilter("ignore", mpscnn.SlowPrecisionWarning)` turns it off.
    """


@contextmanager
def on_trial() -> Iterator[None]:
    """Say nothing about programs that are compiled here: mpscnn chose their precision, not the user."""
    before = _on_trial.set(True)
    try:
        yield
    finally:
        _on_trial.reset(before)


def slow_precision(graph: _core.Graph, precision: str, device: str) -> str | None:
    """Return a sentence that says why a precision is slower than float32 for a graph on a device; None if it is not.

    float16 is slower on x86-64, and bfloat16 without instructions for it, except for networks whose time is that of
    reading weights.
    """
    if device != "cpu" or precision not in _FEW_PRODUCTS:
        return None
    if precision == "bfloat16" and devices()[0].get("bfloat16_sums") == "blocks":
        why = "bfloat16 takes longer than float32 on this processor, which has no instructions for such products"
    elif precision == "float16" and build_config()["system"].endswith("x86_64"):
        why = "float16 takes longer than float32 on this processor, since each result is rounded by extra instructions"
    else:
        return None
    if _reads_weights(graph, _FEW_PRODUCTS[precision]):
        return None
    return (
        f"{why}; precision='float32' is faster, and with within=0.001 mpscnn.load and Network.compile take the fastest "
        "precision whose error is at most 0.001"
    )


def tell_slow_precision(graph: _core.Graph, precision: str, device: str) -> None:
    """Warn of a slow precision, once in a process for each precision."""
    if not _on_trial.get() and (sentence := slow_precision(graph, precision, device)):
        warn_once(sentence, SlowPrecisionWarning)


def _reads_weights(graph: _core.Graph, few: int) -> bool:
    """Return True if a network multiplies each weight at most `few` times, as dense layers do."""
    try:
        layers = json.loads(graph.describe(0, 0))["layers"]
    except ShapeError:  # the size of its images is free, so it has more pixels than weights
        return False
    products, weights = (sum(int(layer[key]) for layer in layers) for key in ("macs", "parameters"))
    return products <= few * weights
