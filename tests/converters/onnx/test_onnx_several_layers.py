"""Random operators that become several layers give the results of ONNX' reference evaluator or of onnxruntime."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from converters.onnx_cases import Case, Draw, compare_drawn
from converters.onnx_files import Array, model, node, read
from tiers import with_full

from mpscnn.errors import UnsupportedError


def angles(d: Draw) -> Case:
    x = d.numbers(2, *d.shape(2)) * np.float32(d.choice(1.0, 50.0, 1000.0))
    kind = d.choice("Acos", "Asin", "Atan", "Cos", "Sin", "Tan")
    if kind in ("Acos", "Asin"):
        x = np.clip(x, -1.0, 1.0)
    if kind == "Tan":
        x = np.arctan(x) * np.float32(0.9)
    return Case([node(kind, ["x"])], {"x": x}, opset=22, tolerance=2e-6)


def modulo(d: Draw) -> Case:
    x, y = d.numbers(2, *d.shape(2)) * np.float32(20.0), d.numbers(1, 1, 1)
    y = np.where(np.abs(y) < 0.2, np.float32(0.2), y)
    if d.flag():
        given = {"x": x, "y": np.float32([[[d.choice(-7, -3, 2, 5)]]])}
        casts = [node("Cast", [name], f"{name}i", to=7) for name in given]
        nodes = [*casts, node("Mod", ["xi", "yi"], "m", fmod=d.integer(0, 1)), node("Cast", ["m"], "r", to=1)]
        return Case(nodes, given, opset=22, outputs=("r",))
    # The rounded quotient of a float next to a multiple is often whole, and the rest is 0 or nearly the divisor.
    x = np.where(d.random.random(x.shape) < 0.5, np.rint(x / y) * y, x)
    return Case([node("Mod", ["x", "k"], fmod=1)], {"x": x}, {"k": y}, 22, tolerance=0.0)


def infinite(d: Draw) -> Case:
    x = d.numbers(2, *d.shape(2))
    for number in (np.inf, -np.inf, np.nan):
        x[d.random.random(x.shape) < 0.2] = number
    attributes = {f"detect_{name}": d.integer(0, 1) for name in ("negative", "positive")}
    return Case([node("IsInf", ["x"], "b", **attributes), node("Cast", ["b"], to=1)], {"x": x}, opset=20)


def largest(d: Draw) -> Case:
    x, opset = d.numbers(2, *d.shape(2)), d.choice(11, 22)
    return Case([node("Hardmax", ["x"], axis=d.integer(1, 2))], {"x": x}, opset=opset, on_runtime=True)


def clip(d: Draw) -> Case:
    """Draw limits in any order, which the file computes or states."""
    x = d.numbers(1, *d.shape(2))
    limits = {name: np.float32(d.random.uniform(-2, 2)) for name in d.choice(["l"], ["h"], ["l", "h"])}
    inputs = ["x", *("l" if "l" in limits else "", "h")[: 2 if "h" in limits else 1]]
    if d.flag():
        return Case([node("Clip", inputs)], {"x": x}, limits, 22, on_runtime="h" in limits)
    nodes = [node("ReduceMean", [f"{name}_in"], name, keepdims=0) for name in limits]
    feeds = {"x": x} | {f"{name}_in": value.reshape(1, 1) for name, value in limits.items()}
    return Case([*nodes, node("Clip", inputs)], feeds, opset=22)


def expanded_integers(d: Draw) -> Case:
    x = d.numbers(2, 1, d.integer(1, 4)) * np.float32(9)
    nodes = [node("Cast", ["x"], "i", to=7), node("Expand", ["i", "s"], "e"), node("Cast", ["e"], to=1)]
    return Case(nodes, {"x": x}, {"s": np.array([2, d.integer(1, 5), x.shape[2]])})


def einsum(d: Draw) -> Case:
    """Draw an equation of one to three operands, whose axes may be named by "..."."""
    count = d.integer(1, 3)
    extents = {letter: d.integer(2, 4) for letter in string.ascii_lowercase[:6]}
    terms = []
    for _ in range(count):
        own = d.random.permutation(list("abcdef")[1:])[: d.integer(1, 3)]
        terms.append("n" + "".join(own))
    extents["n"] = 2
    used = sorted(set("".join(terms)) - {"n"})
    target = "n" + "".join(d.random.permutation(used)[: d.integer(0, min(3, len(used)))])
    feeds = {f"x{place}": d.numbers(*(extents[one] for one in term)) for place, term in enumerate(terms)}
    equation = f"{','.join(terms)}->{target}"
    if d.flag():  # the batch without its name
        equation = equation.replace("n", "...")
    constants = {}
    if count > 1 and d.flag():
        name = f"x{count - 1}"
        constants[name] = feeds.pop(name)[0]
        first, _, end = equation.partition("->")
        parts = first.split(",")
        parts[-1] = parts[-1].removeprefix("n").removeprefix("...")
        equation = f"{','.join(parts)}->{end}"
    return Case([node("Einsum", [*feeds, *constants], equation=equation)], feeds, constants)


def scattered(d: Draw) -> Case:
    """Draw scatters that combine elements, some of which have several updates."""
    x, kind = d.numbers(1, d.integer(1, 5), d.integer(1, 4)), d.choice("add", "mul", "max", "min")
    count = d.integer(1, 6)
    if d.flag():
        indices = np.stack([np.zeros(count, int), d.random.integers(0, x.shape[1], count)], -1)[None]
        nodes = [node("ScatterND", ["x", "i", "u"], reduction=kind)]
        return Case(nodes, {"x": x, "u": d.numbers(1, count, x.shape[2])}, {"i": indices}, 18)
    indices = d.random.integers(-x.shape[1], x.shape[1], (1, count, x.shape[2]))
    nodes = [node("ScatterElements", ["x", "i", "u"], axis=1, reduction=kind)]
    return Case(nodes, {"x": x, "u": d.numbers(*indices.shape)}, {"i": indices}, 18)


def columns(d: Draw) -> Case:
    size, kernel = [d.integer(5, 8), d.integer(5, 8)], [d.integer(1, 3), d.integer(1, 3)]
    settings_ = {name: [d.integer(1, 2), d.integer(1, 2)] for name in ("strides", "dilations")}
    pads = [d.integer(0, 2) for _ in range(4)]
    blocks = [
        (size[axis] + pads[axis] + pads[axis + 2] - settings_["dilations"][axis] * (kernel[axis] - 1) - 1)
        // settings_["strides"][axis]
        + 1
        for axis in range(2)
    ]
    x = d.numbers(2, d.integer(1, 3) * int(np.prod(kernel)), int(np.prod(blocks)))
    nodes = [node("Col2Im", ["x", "s", "k"], pads=pads, **settings_)]
    return Case(nodes, {"x": x}, {"s": np.array(size), "k": np.array(kernel)}, 18)


def computed_weights(d: Draw) -> Case:
    """Draw a convolution whose weights are an input, or a constant that the network scales."""
    groups, own, filters, rank = d.integer(1, 2), d.integer(1, 3), d.integer(1, 3), d.choice(1, 2)
    x = d.numbers(1, groups * own, *(d.integer(5, 8) for _ in range(rank)))
    kernel = [d.integer(1, 3) for _ in range(rank)]
    attributes: dict[str, Any] = {"group": groups, "kernel_shape": kernel}
    attributes |= {name: [d.integer(1, 2) for _ in range(rank)] for name in ("strides", "dilations")}
    if d.flag():
        attributes["pads"] = [d.integer(0, 2) for _ in range(2 * rank)]
    elif d.flag():
        attributes |= {"auto_pad": d.choice("SAME_UPPER", "SAME_LOWER"), "dilations": [1] * rank}
    weight = d.numbers(groups * filters, own, *kernel)
    inputs = ["x", "v", "b"][: d.integer(2, 3)]
    constants = {"b": d.numbers(groups * filters), "w": weight, "shape": np.array(weight.shape)}
    if d.flag():
        feeds = {"x": x, "z": d.numbers(1, own)}
        constants["turned"] = np.array([1, own, *[1] * rank])
        nodes = [node("Reshape", ["z", "turned"], "style"), node("Mul", ["w", "style"], "v")]
    else:
        feeds = {"x": x, "z": weight.reshape(1, -1)}
        nodes = [node("Reshape", ["z", "shape"], "v")]
    return Case([*nodes, node("Conv", inputs, **attributes)], feeds, constants, 22, on_runtime=True)


def unusual_lstm(d: Draw) -> Case:
    """Draw an LSTM with peepholes, limits of its sums, or coupled gates."""
    extra = {"clip": d.choice(0.2, 1.0)} if d.flag() else {}
    extra |= {"input_forget": d.integer(0, 1)}
    return _recurrent(d, "LSTM", 4, peepholes=d.flag(), lengths=False, **extra)


def with_lengths(d: Draw) -> Case:
    kind, gates = d.choice(("LSTM", 4), ("GRU", 3), ("RNN", 1))
    return _recurrent(d, kind, gates, peepholes=False, lengths=True)


def _recurrent(d: Draw, kind: str, gates: int, *, peepholes: bool, lengths: bool, **attributes: Any) -> Case:
    steps, batch, features, units = d.integer(1, 4), d.integer(1, 3), d.integer(1, 4), d.integer(1, 5)
    count = 1 if lengths else d.integer(1, 2)
    if count == 2:
        attributes["direction"] = "bidirectional"
    constants: dict[str, Array] = {
        "w": d.numbers(count, gates * units, features),
        "r": d.numbers(count, gates * units, units),
        "b": d.numbers(count, 2 * gates * units),
        "p": d.numbers(count, 3 * units),
    }
    feeds, nodes = (
        {"given": d.numbers(batch, steps, features)},
        [node("Transpose", ["given"], "t", perm=[1, 0, 2])],
    )
    inputs = ["t", "w", "r", "b", *(["", "", "", "p"] if peepholes else [])]
    if lengths:
        inputs.append("l")
        numbers = d.random.integers(1, steps + 1, batch).astype(np.int32)
        if d.flag():
            constants["l"] = numbers
        else:
            feeds["numbers"] = numbers.astype(np.float32)
            nodes.append(node("Cast", ["numbers"], "l", to=6))
    nodes += [
        node(kind, inputs, ["s", "h"], hidden_size=units, **attributes),
        node("Transpose", ["s"], "y", perm=[2, 0, 1, 3]),
        node("Transpose", ["h"], "z", perm=[1, 0, 2]),
    ]
    return Case(nodes, feeds, constants, 17, d.choice(("y", "z"), ("y",), ("z",)), on_runtime=True)


def statistics(d: Draw) -> Case:
    """Draw a layer normalization whose mean and inverse deviation are results."""
    rank = d.integer(2, 4)
    x = d.numbers(2, *d.shape(rank - 1))
    axis = d.integer(1, rank - 1)
    factors = {"s": d.numbers(*x.shape[axis:]), "b": d.numbers(*x.shape[axis:])}
    nodes = [node("LayerNormalization", ["x", "s", "b"], ["y", "m", "i"], axis=axis, epsilon=0.1)]
    return Case(nodes, {"x": x}, factors, 17, d.choice(("y", "m", "i"), ("y", "i"), ("m",)))


KINDS: list[Callable[[Draw], Case]] = [
    angles, clip, columns, computed_weights, einsum, expanded_integers, infinite, largest, modulo, scattered,
    statistics, unusual_lstm, with_lengths,
]  # fmt: skip


@pytest.mark.parametrize("examples", with_full([10], [300]))
@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_operators_compute_what_others_compute(make: Callable[[Draw], Case], examples: int) -> None:
    compare_drawn(make, examples)


@pytest.mark.parametrize(
    ("nodes", "shapes"),
    [
        ([node("Sin", [f"{i}" if i else "x"], f"{i + 1}") for i in range(1000)], {"x": [1, 4]}),
        (
            [node("Relu", ["w"], "r"), *(node("Conv", ["x", "r"], f"{i}") for i in range(1000))],
            {"x": [1, 1, 40, 40], "w": [1, 1, 32, 32]},
        ),
    ],
    ids=["sines", "convolutions"],
)
def test_small_files_become_a_limited_number_of_layers(
    nodes: list[Any], shapes: dict[str, list[int]]
) -> None:
    last = [node("Sum", [one.output[0] for one in nodes[1:]])]
    with pytest.raises(UnsupportedError, match="more operations than are supported"):
        read(model([*nodes, *last], shapes, opset=22))


def test_weights_that_are_computed_need_a_batch_of_1() -> None:
    nodes = [node("Relu", ["w"], "r"), node("Conv", ["x", "r"])]
    made = model(nodes, {"x": ["n", 2, 5, 5], "w": ["n", 2, 3, 3]}, opset=22)
    with pytest.raises(UnsupportedError, match=r"\(Conv\): its weights .* choose a batch of 1 with --shape"):
        read(made)
