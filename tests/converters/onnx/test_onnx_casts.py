"""Test Cast and CastLike of a network's tensors to every element type of ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from converters.onnx_files import (
    assert_like_onnxruntime,
    model,
    node,
    nodes_of,
    onnx,
    read,
    run_here,
    run_there,
)

from mpscnn.errors import UnsupportedError

ReferenceEvaluator = pytest.importorskip("onnx.reference", reason="needs onnx").ReferenceEvaluator

TYPES = onnx.TensorProto.DataType
FLOATS = {"FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16"}
WHOLE = {"INT32", "INT64"}
NAMES = [name for name in TYPES.keys() if name != "UNDEFINED" and "COMPLEX" not in name]  # noqa: SIM118 - no mapping


def cast(kind: str, target: str, *, constant: bool = False) -> Any:
    """Return a cast to a type and back to float32. CastLike gets the type from a constant."""
    number = TYPES.Value(target)
    source = "k" if constant else "x"
    nodes = [node("Cast", [source], "c", to=number)]
    stored = [onnx.helper.make_tensor("k", 1, [1, 4], [-2.75, 0.0, 1.0, 3.0])] if constant else []
    if kind == "CastLike":
        nodes = [node("CastLike", [source, "like"], "c")]
        numbers = [b"1"] if target == "STRING" else [1]
        stored.append(onnx.helper.make_tensor("like", number, [1], numbers))
    nodes.append(node("Cast", ["c"], "d", to=1))
    nodes.append(node("Add", ["x", "d"]) if constant else node("Identity", ["d"]))
    graph = onnx.helper.make_graph(
        nodes,
        "graph",
        [onnx.helper.make_tensor_value_info("x", 1, [1, 4])],
        [onnx.helper.make_tensor_value_info("y", 1, [1, 4])],
        stored,
    )
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 21)])
    made.ir_version = 11
    return made


@pytest.mark.parametrize("target", NAMES)
@pytest.mark.parametrize("kind", ["Cast", "CastLike"])
def test_a_cast_is_done_or_refused_by_name(kind: str, target: str) -> None:
    made = cast(kind, target)
    x = np.array([[-2.75, 0.0, 1.9, 3.25]], np.float32)
    if target not in FLOATS | WHOLE | {"BOOL"}:
        with pytest.raises(UnsupportedError, match=f"makes {target.lower()} of computed numbers"):
            read(made)
        return
    (found,) = run_here(read(made), [x])
    wanted = x if target in FLOATS else np.trunc(x) if target in WHOLE else (x != 0).astype(np.float32)
    np.testing.assert_array_equal(found, wanted)
    if target in ("FLOAT", "DOUBLE", "BOOL", *WHOLE):
        np.testing.assert_array_equal(run_there(made, {"x": x})[0], wanted)


@pytest.mark.parametrize("target", NAMES)
@pytest.mark.parametrize("kind", ["Cast", "CastLike"])
def test_a_cast_of_a_constant_is_computed_or_refused(kind: str, target: str) -> None:
    """Numbers are rounded to any type as ONNX says. Casts to text are refused."""
    made = cast(kind, target, constant=True)
    if target == "STRING":
        with pytest.raises(UnsupportedError, match="text"):
            read(made)
        return
    x = np.zeros((1, 4), np.float32)
    (found,) = run_here(read(made), [x])
    (wanted,) = ReferenceEvaluator(made).run(None, {"x": x})
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(("like", "refused"), [("x", ""), ("b", "makes bool"), ("a", "makes int64")])
def test_the_type_of_a_computed_tensor(like: str, refused: str) -> None:
    """Comparisons give booleans, and positions are int64. Everything else is float32."""
    nodes = [
        *nodes_of("b = Greater(x, k); a = ArgMax<axis=1>(x)"),
        node("CastLike", ["n", like], "c"),
        *nodes_of("d = Cast<to=1>(c); y = Add(x, d)"),
    ]
    made = model(nodes, {"x": [1, 4]}, {"k": [0.0], "n": [2.5]}, opset=21)
    if refused:
        with pytest.raises(UnsupportedError, match=refused):
            read(made)
        return
    x = np.arange(4, dtype=np.float32)[None]
    np.testing.assert_array_equal(run_here(read(made), [x])[0], x + 2.5)


INTEGERS = [
    "BOOL",
    *(name for name in NAMES if name.removeprefix("U") in ("INT8", "INT16", "INT32", "INT64")),
]
OF_INTEGERS = {
    **{kind: ({"x", "c"}, "z = {}(x, c)") for kind in ("Add", "Sub", "Mul")},
    "Concat": ({"x", "c"}, "z = Concat<axis=1>(x, c)"),
    "Flatten": ({"x"}, "z = Flatten(x)"),
    "Where": ({"x", "c", "h"}, "z = Where(h, x, c)"),
    **{f"to {name}": ({"x"}, f"z = Cast<to={TYPES.Value(name)}>(x)") for name in INTEGERS},
}


@pytest.mark.parametrize("kind", OF_INTEGERS)
def test_results_of_integers_are_those_of_their_type_or_refused(kind: str) -> None:
    """Sums of few bits begin again at the other end of their range, which a network of floats does not do."""
    done = []
    for name in INTEGERS:
        if name == "BOOL" and kind in ("Add", "Sub", "Mul"):
            continue
        dtype = onnx.helper.tensor_dtype_to_np_dtype(TYPES.Value(name))
        low = 0 if name.startswith(("U", "B")) else -100
        x, c = np.array([[1, 0, 100, 120]]).astype(dtype), np.array([[low, 3, 100, 10]]).astype(dtype)
        read_by, text = OF_INTEGERS[kind]
        constants = {"c": c, "h": np.array([[True, False, True, False]])}
        nodes = nodes_of(text.format(kind) + "; y = Cast<to=1>(z)")
        used = {name: array for name, array in constants.items() if name in read_by}
        made = model(nodes, {"x": [1, 4]}, used, types={"x": TYPES.Value(name)})
        try:
            network = read(made)
        except UnsupportedError:
            continue
        (wanted,) = ReferenceEvaluator(made).run(None, {"x": x})
        np.testing.assert_array_equal(run_here(network, [x.astype(np.float32)])[0], wanted)
        done.append(name)
    assert {"Mul": not done, "Sub": done == ["INT32", "INT64"]}.get(kind, "INT32" in done or "to" in kind)


@pytest.mark.parametrize(
    "text",
    [
        "y = Add(w, c)",
        "y = Equal(w, c)",
        "y = Mod(w, c)",
        "y = Sub(c, w)",
        "t = Greater(w, one); y = Where(t, w, c)",
    ],
)
def test_integers_that_float32_does_not_have_are_refused(text: str) -> None:
    """The engine computes integers in float32, which would round such a constant and change the results."""
    exact, rounded = (
        model(
            nodes_of(f"w = Cast<to=7>(x); {text}; z = Cast<to=1>(y)"),
            {"x": ["n", 1]},
            {"c": np.array([[number]]), "one": np.array(1)},
            outputs=["z"],
        )
        for number in ((1 << 24) + 2, (1 << 24) + 1)
    )
    assert_like_onnxruntime(exact)
    with pytest.raises(UnsupportedError, match="integers that float32 does not have"):
        read(rounded)
