"""Write the network of rare_encodings.py as a Core AI asset, by Apple's package, in forms that are rare but legal."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from converters.rare_encodings import FIRST, LAST, OFFSET, SECOND, Array, Draw, chance, rare_json, shuffled


def _stored(ai: Any, constant: Any, draw: Draw, values: Array) -> Any:
    """Return a tensor whose numbers are stored in another type or order, or in parts."""
    form = int(draw.integers(0, 7))
    if form == 1:
        return ai.cast(constant(values.astype(np.float16)), np.float32)
    if form == 2:
        return ai.cast(constant(values.astype(np.float64)), np.float32)
    if form == 3:
        wide = np.array(values.shape, np.uint32)
        return ai.reshape(constant(values.reshape(-1, 1)), wide)
    if form == 4 and values.ndim == 2:
        return ai.transpose(constant(np.ascontiguousarray(values.T)), np.array([1, 0], np.uint32))
    if form == 5:
        return ai.neg(constant(-values)) if hasattr(ai, "neg") else constant(values)
    if form == 6:
        parts = [constant(part) for part in np.split(values, [1])]
        return ai.concat(np.array(0, np.int32), parts)
    return constant(values)


def _dense(ai: Any, constant: Any, draw: Draw, x: Any, weight: Array, bias: Array) -> Any:
    """Return a dense layer: a product, and a sum whose operands have any order, or a difference."""
    y = ai.broadcasting_batch_matmul(x, _stored(ai, constant, draw, weight))
    form = int(draw.integers(0, 3))
    if form == 1:
        return ai.broadcasting_add(_stored(ai, constant, draw, bias), y)
    if form == 2:
        return ai.broadcasting_sub(y, _stored(ai, constant, draw, -bias))
    return ai.broadcasting_add(y, _stored(ai, constant, draw, bias))


def _relu(ai: Any, constant: Any, draw: Draw, x: Any) -> Any:
    zero = np.zeros([(), (1,), (1, 1)][int(draw.integers(0, 3))], np.float32)
    form = int(draw.integers(0, 3))
    if form == 1:
        return ai.broadcasting_maximum(constant(zero), x)
    if form == 2:
        return ai.broadcasting_where(ai.broadcasting_greater(x, constant(zero)), x, constant(zero))
    return ai.relu(x)


def _annotated(ai: Any, body: Callable[..., Any], width: int, result: int, argument: str, named: str) -> Any:
    types = [ai.TensorType((1, count), np.float32) for count in (width, result)]
    made = Annotated[ai.Value, ai.TensorType((1, result), np.float32, named)] if named else types[1]
    body.__annotations__ = {
        argument: Annotated[ai.Value, types[0]],
        "return": made if named else Annotated[ai.Value, types[1]],
    }
    kept = [inspect.Parameter(argument, inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    body.__signature__ = inspect.Signature(kept)  # type: ignore[attr-defined]
    return body


def write_aimodel(folder: Path, draw: Draw) -> list[Path]:
    """Write an asset: layers in graphs of their own, unused operations, other types of weights, other JSON."""
    ai = pytest.importorskip("coreai.authoring", reason="needs coreai-core")
    from coreai.authoring.constant import constant

    module = ai.Module.create()
    with module:

        def first(x: Any) -> Any:
            return _relu(ai, constant, draw, _dense(ai, constant, draw, x, FIRST, OFFSET))

        inner: Callable[[Any], Any] = first
        if chance(draw, 0.4):
            options = {"private": True, "no_inline": chance(draw, 0.5)}
            graph = ai.graph(_annotated(ai, first, 4, 3, "x", ""), **options)
            inner = lambda x: graph(x)[0]  # noqa: E731

        def main(x: Any) -> Any:
            if chance(draw, 0.3):
                ai.exp(x)  # no one reads it
            h = inner(x)
            for _ in range(int(draw.integers(0, 3))):
                h = ai.reshape(ai.reshape(h, np.array([3, 1], np.uint32)), np.array([1, 3], np.uint32))
            return _dense(ai, constant, draw, h, SECOND, LAST)

        argument = str(draw.choice(["x", "image", "né", "_1"]))
        named = str(draw.choice(["", "y", "scores", "é y"]))
        ai.graph(_annotated(ai, main, 4, 2, argument, named), provided_name=str(draw.choice(["main", "f"])))
    path = folder / "model.aimodel"
    ai.AIProgram(module).save_asset(path)
    description = path / "metadata.json"
    if description.exists():
        stated = json.loads(description.read_text("utf-8"))
        if chance(draw, 0.5):
            stated |= {"ownKey": {"a": [1, None, "né"]}, "creatorDefinedMetadata": {"né": "\n", "k": ""}}
        description.write_text(rare_json(draw, shuffled(draw, stated)), "utf-8")
    if chance(draw, 0.2):
        description.unlink()
    if chance(draw, 0.2):
        (path / "main.hash").unlink()
    if chance(draw, 0.3):
        (path / "README.txt").write_text("own", "utf-8")
    return [path]
