"""Random nodes give the results of ONNX's reference evaluator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from converters.onnx_cases import Case, Draw, compare, compare_drawn
from converters.onnx_files import Array, model, node, read, run_there
from tiers import with_full


def attention(d: Draw) -> Case:
    batch, tokens, keys, size, own = (d.integer(1, 4) for _ in range(5))
    heads = d.integer(1, 3)
    groups = d.integer(1, 2)
    is_flat = d.flag()
    attributes: dict[str, Any] = {"is_causal": d.integer(0, 1)}
    if d.flag():
        attributes["scale"] = 0.3
    if d.flag():
        attributes["softcap"] = 1.5
    shapes = [(batch, heads * groups, tokens, size), (batch, heads, keys, size), (batch, heads, keys, own)]
    if is_flat:
        attributes |= {"q_num_heads": heads * groups, "kv_num_heads": heads}
        shapes = [(n, count, number * wide) for n, number, count, wide in shapes]
    feeds = {name: d.numbers(*shape) for name, shape in zip("qkv", shapes, strict=True)}
    inputs, constants, nodes = ["q", "k", "v"], {}, []
    kind, is_constant = d.choice("none", "truths", "numbers"), d.flag()
    if kind != "none":
        inputs.append("m")
        shape = (tokens, keys) if is_constant else (batch, 1, tokens, keys)
        mask = d.random.random(shape) < 0.7
        numbers = np.where(mask, d.numbers(*shape), np.float32(-np.inf))
        if is_constant:
            constants["m"] = mask if kind == "truths" else numbers
        elif kind == "truths":
            feeds["given"] = mask.astype(np.float32)
            nodes = [node("Cast", ["given"], "m", to=9)]  # bool
        else:
            feeds["m"] = numbers
    return Case([*nodes, node("Attention", inputs, **attributes)], feeds, constants)


@pytest.mark.parametrize("kind", ["truths", "numbers"])
@pytest.mark.parametrize("is_constant", [True, False])
@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("is_causal", [0, 1])
def test_queries_that_may_attend_to_no_key_get_zeros(
    kind: str, is_constant: bool, precision: str, is_causal: int
) -> None:
    """The first query is hidden from all keys by the mask, or by the mask and the causal rule together."""
    mask = np.array([[[[False, is_causal], [True, True]]]], bool)
    numbers = np.where(mask, np.float32(0.0), np.float32(-np.inf))
    x = np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)
    feeds, constants, nodes = {"x": x}, {}, []
    if is_constant:
        constants["m"] = mask if kind == "truths" else numbers
    elif kind == "truths":
        feeds["given"] = mask.astype(np.float32)
        nodes = [node("Cast", ["given"], "m", to=9)]  # bool
    else:
        feeds["m"] = numbers
    nodes.append(node("Attention", ["x", "x", "x", "m"], is_causal=is_causal))
    made = model(nodes, {name: list(array.shape) for name, array in feeds.items()}, constants, opset=23)
    given = [np.ascontiguousarray(array.transpose(0, 2, 3, 1)) for array in feeds.values()]
    found = np.asarray(read(made).compile(device="cpu", precision=precision).run(given))
    expected = run_there(made, feeds)[0].transpose(0, 2, 3, 1)
    np.testing.assert_allclose(found, expected, rtol=2e-3)
    assert not expected[0, 0].any()


@pytest.mark.parametrize("number", [-1e38, -2e38, -3e38])
def test_queries_with_large_finite_masks_attend_to_all_keys(number: float) -> None:
    x = np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)
    feeds = {"x": x, "m": np.array([[[[number, number], [0, 0]]]], np.float32)}
    made = model(
        [node("Attention", ["x", "x", "x", "m"])],
        {name: list(array.shape) for name, array in feeds.items()},
        {},
        opset=23,
    )
    given = [np.ascontiguousarray(array.transpose(0, 2, 3, 1)) for array in feeds.values()]
    found = np.asarray(read(made).compile(device="cpu", precision="float32").run(given))
    np.testing.assert_allclose(found, run_there(made, feeds)[0].transpose(0, 2, 3, 1), rtol=1e-5)


def hidden_scores(d: Draw) -> Case:
    """Draw masks of minus infinity before softmax, or before a function that keeps them."""
    x = d.numbers(2, *(extent + 1 for extent in d.shape(3)))
    hidden = d.random.random([d.choice(1, extent) for extent in x.shape[2 - 2 * d.integer(0, 1) :]]) < 0.6
    if hidden.ndim == 4:
        hidden = hidden[:1]
    constants: dict[str, Any] = {"low": np.float32(-np.inf), "zero": np.float32(0)}
    kind = d.choice("Add", "Sum", "Where", "other Where", "computed Where")
    if kind in ("Add", "Sum"):
        constants["m"] = np.where(hidden, np.float32(-np.inf), d.numbers(*hidden.shape) * d.integer(0, 1))
        nodes = [node(kind, d.choice(["x", "m"], ["m", "x"]), "s")]
    elif kind == "computed Where":
        operands = d.choice(["h", "low", "x"], ["h", "x", "low"], ["h", "zero", "low"])
        nodes = [node("Greater", ["x", "zero"], "h"), node("Where", operands, "s")]
    else:
        constants["h"] = hidden
        nodes = [node("Where", ["h", "low", "x"] if kind == "Where" else ["h", "x", "low"], "s")]
    last = d.choice("Softmax", "Softmax", "LogSoftmax", "Relu", "Identity")
    nodes.append(node(last, ["s"], "y", **({"axis": d.choice(-1, 3, 2)} if "Soft" in last else {})))
    outputs = d.choice(("y",), ("y", "s"))
    if last == "Softmax" and d.flag():
        nodes += [node("IsNaN", ["y"], "n"), node("Where", ["n", "zero", "y"], "z")]
        outputs = ("z",)
    return Case(nodes, {"x": x}, constants, outputs=outputs)


def cubic(d: Draw) -> Case:
    return _resized(d, "cubic")


def linear(d: Draw) -> Case:
    return _resized(d, "linear")


def _resized(d: Draw, mode: str) -> Case:
    x = d.numbers(2, d.integer(1, 3), d.integer(2, 7), d.integer(2, 7))
    attributes: dict[str, Any] = {"mode": mode, "cubic_coeff_a": d.choice(-0.75, -0.5)}
    rules = ("half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric")
    attributes["coordinate_transformation_mode"] = d.choice(*rules)
    attributes |= {"exclude_outside": d.integer(0, 1), "antialias": d.integer(0, 1)}
    if attributes["antialias"] and attributes["exclude_outside"]:
        attributes["exclude_outside"] = 0  # the evaluator applies both in another order
    if d.flag():
        sizes = np.array([*x.shape[:2], d.integer(2, 9), d.integer(2, 9)])
        return Case([node("Resize", ["x", "", "", "s"], **attributes)], {"x": x}, {"s": sizes}, 19)
    scales = np.array([1.0, 1.0, d.choice(0.5, 1.5, 2.0, 3.0), d.choice(0.7, 1.0, 2.5)], np.float32)
    extents = scales * x.shape
    rule, on_runtime = attributes["coordinate_transformation_mode"], False
    if (extents != np.floor(extents)).any():
        # The evaluator and ONNX Runtime differ here. The reader refuses to align corners, and otherwise agrees with the
        # runtime, which excludes outside pixels in cubic mode only.
        if rule == "align_corners":
            attributes["coordinate_transformation_mode"] = "asymmetric"
        on_runtime = rule == "half_pixel_symmetric"
        if on_runtime and mode == "linear":
            attributes["exclude_outside"] = 0
    nodes = [node("Resize", ["x", "", "s"], **attributes)]
    return Case(nodes, {"x": x}, {"s": scales}, 19, on_runtime=on_runtime)


def border(d: Draw) -> Case:
    rank = d.integer(2, 5)
    x = d.numbers(2, *(extent + 3 for extent in d.shape(rank - 1)))
    before, after = ([0, *(d.integer(0, 3) for _ in range(rank - 1))] for _ in range(2))
    mode = d.choice("wrap", "constant", "edge", "reflect")
    return Case([node("Pad", ["x", "p"], mode=mode)], {"x": x}, {"p": np.array([*before, *after])}, 19)


def one_hot(d: Draw) -> Case:
    """Draw positions that the file computes, also negative ones, and some beyond the new axis."""
    rank, depth = d.integer(2, 3), d.integer(1, 5)
    x = d.numbers(2, *d.shape(rank - 1)) * np.float32(3.0)
    axis = d.integer(1, rank)
    nodes = [
        node("Cast", ["x"], "i", to=7),
        node("OneHot", ["i", "d", "v"], axis=axis - (rank + 1) * d.integer(0, 1)),
    ]
    values = {"d": np.array([depth]), "v": np.array([-0.5, 2.5], np.float32)}
    return Case(nodes, {"x": x}, values, on_runtime=True)


def gather_elements(d: Draw) -> Case:
    rank = d.integer(2, 4)
    x = d.numbers(1, *d.shape(rank - 1))
    axis = d.integer(1, rank - 1)
    extents = list(x.shape)
    extents[axis] = d.integer(1, 5)
    low, high = (-x.shape[axis], x.shape[axis] - 1)
    indices = d.random.integers(low, high + 1, extents)
    return Case([node("GatherElements", ["x", "i"], axis=axis)], {"x": x}, {"i": indices})


def gather_computed(d: Draw) -> Case:
    """Draw GatherElements by computed indices, whose extents along other axes may be smaller than those of the data."""
    rank = d.integer(2, 4)
    x = d.numbers(2, *d.shape(rank - 1))
    axis = d.integer(1, rank - 1)
    extents = [len(x), *(d.integer(1, extent) for extent in x.shape[1:])]
    extents[axis] = d.integer(1, 5)
    scores = d.numbers(*extents[:axis], x.shape[axis], *extents[axis + 1 :])
    count = d.integer(1, x.shape[axis])
    nodes = [
        node("TopK", ["s", "k"], ["v", "i"], axis=axis, largest=d.integer(0, 1)),
        node("GatherElements", ["x", "i"], axis=axis - rank * d.integer(0, 1)),
    ]
    return Case(nodes, {"x": x, "s": scores}, {"k": np.array([count])}, opset=22, on_runtime=True)


def gather_by_computed(d: Draw) -> Case:
    """Draw Gather by computed indices. The batch is 1, because indices of one image would gather from all images."""
    rank = d.integer(2, 4)
    x = d.numbers(1, *d.shape(rank - 1))
    axis = d.integer(1, rank - 1)
    scores = d.numbers(1, *d.shape(d.integer(0, 4 - rank)), x.shape[axis])
    nodes = [
        node("ArgMax", ["s"], "i", axis=-1, keepdims=d.integer(0, 1) if rank < 4 else 0),
        node("Gather", ["x", "i"], axis=axis - rank * d.integer(0, 1)),
    ]
    return Case(nodes, {"x": x, "s": scores})


def top_k(d: Draw) -> Case:
    rank = d.integer(2, 4)
    x = d.numbers(2, *d.shape(rank - 1))
    axis = d.integer(1, rank - 1)
    count = np.array([d.integer(1, x.shape[axis])])
    outputs = d.choice(("y", "i"), ("y",), ("i",))
    nodes = [node("TopK", ["x", "k"], ["y", "i"], axis=axis, largest=d.integer(0, 1))]
    return Case(nodes, {"x": x}, {"k": count}, outputs=outputs)


def gather_nd(d: Draw) -> Case:
    rank = d.integer(2, 4)
    x = d.numbers(1, *d.shape(rank - 1))
    count = d.integer(2, rank)
    places = [d.random.integers(-extent, extent, d.integer(1, 9)) for extent in x.shape[:count]]
    places = [one[: min(map(len, places))] for one in places]
    return Case([node("GatherND", ["x", "i"])], {"x": x}, {"i": np.stack(places, -1)})


def scatter_nd(d: Draw) -> Case:
    """Draw ScatterND. The data or the updates may be constants."""
    rank = d.integer(2, 4)
    x = d.numbers(1, *d.shape(rank - 1))
    count = d.integer(2, rank)
    blocks = int(np.prod(x.shape[:count]))
    chosen = d.random.permutation(blocks)[: d.integer(1, blocks)]
    indices = np.stack(np.unravel_index(chosen, x.shape[:count]), -1)[None]
    return _scattered(d, "ScatterND", x, indices, d.numbers(1, len(chosen), *x.shape[count:]))


def scatter_elements(d: Draw) -> Case:
    rank = d.integer(2, 4)
    x = d.numbers(1, *d.shape(rank - 1))
    axis = d.integer(1, rank - 1)
    extents = [1, *(d.integer(1, extent) for extent in x.shape[1:])]
    order = d.random.permuted(
        np.broadcast_to(np.arange(x.shape[axis]), (*extents[:axis], *extents[axis + 1 :], x.shape[axis])),
        axis=-1,
    )
    indices = np.moveaxis(order[..., : extents[axis]], -1, axis) - x.shape[axis] * d.integer(0, 1)
    return _scattered(d, "ScatterElements", x, indices, d.numbers(*indices.shape), axis=axis)


def _scattered(d: Draw, kind: str, x: Array, indices: Array, updates: Array, **attributes: Any) -> Case:
    given = {"x": x, "u": updates}
    constants = {name: given.pop(name) for name in [d.choice("x", "u", "none")] if name in given}
    return Case([node(kind, ["x", "i", "u"], **attributes)], given, constants | {"i": indices})


def samples(d: Draw) -> Case:
    """Draw GridSample by positions within and around the image."""
    x = d.numbers(2, d.integer(1, 3), *d.shape(2))
    grid = (1.3 * d.random.uniform(-1, 1, (2, *d.shape(2), 2))).astype(np.float32)
    attributes = {
        "mode": d.choice("linear", "nearest"),
        "padding_mode": d.choice("zeros", "border", "reflection"),
        "align_corners": d.integer(0, 1),
    }
    return Case(
        [node("GridSample", ["x", "g"], **attributes)], {"x": x, "g": grid}, opset=20, on_runtime=True
    )


def several_images(d: Draw) -> Case:
    """Draw a convolution or pooling between reshapes that move channels or a sequence into the batch, and back."""
    batch, images, channels, filters = (d.integer(1, 3) for _ in range(4))
    groups = d.choice(1, channels)
    x = d.numbers(batch, images, channels, d.integer(3, 6), d.integer(3, 6))
    size = x.shape[3:]
    operator = d.choice(
        node(
            "Conv", ["s", "w", "b"], "c", pads=[d.integer(0, 1) for _ in range(4)], group=groups,
            strides=[d.integer(1, 2), 1],
        ),
        node("MaxPool", ["s"], "c", kernel_shape=[2, 3], strides=[1, 2]),
        node("AveragePool", ["s"], "c", kernel_shape=[3, 2], pads=[1, 1, 1, 0]),
        node("GlobalAveragePool", ["s"], "c"),
    )  # fmt: skip
    constants = {
        "split": np.array([-1, channels, *size]),
        "w": d.numbers(filters * groups, channels // groups, 3, 2),
        "b": d.numbers(filters * groups),
        "flat": np.array([batch, images, -1]),
    }
    nodes = [node("Reshape", ["x", "split"], "s"), operator, node("Reshape", ["c", "flat"])]
    return Case(nodes, {"x": x.reshape(batch, images * channels, *size)}, constants)


def running_sum(d: Draw) -> Case:
    rank = d.integer(2, 4)
    x = d.numbers(2, *d.shape(rank - 1))
    axis = np.array(d.choice(d.integer(1, rank - 1), -1))
    attributes = {"exclusive": d.integer(0, 1), "reverse": d.integer(0, 1)}
    return Case([node("CumSum", ["x", "a"], **attributes)], {"x": x}, {"a": axis})


def max_positions(d: Draw) -> Case:
    rank = d.choice(3, 4)
    x = d.numbers(1, d.integer(1, 3), *(d.integer(5, 8) for _ in range(rank - 2)))
    attributes: dict[str, Any] = {
        name: [d.integer(1, 3) for _ in range(rank - 2)] for name in ("kernel_shape", "strides", "dilations")
    }
    attributes["dilations"] = [min(one, 2) for one in attributes["dilations"]]
    if d.flag() and attributes["dilations"] == [1] * (rank - 2):
        attributes["pads"] = [d.integer(0, taps // 2) for taps in attributes["kernel_shape"] * 2]
    used = d.choice(("y", "i"), ("i",))
    return Case(
        [node("MaxPool", ["x"], ["y", "i"], **attributes)], {"x": x}, opset=22, outputs=used, on_runtime=True
    )


def unpool(d: Draw) -> Case:
    size = [d.integer(1, 3), d.integer(1, 3)]
    x = d.numbers(2, d.integer(1, 3), *(extent * d.integer(1, 3) for extent in size))
    attributes = {"kernel_shape": size, "strides": size}
    nodes = [
        node("MaxPool", ["x"], ["p", "i"], **attributes),
        node("Relu", ["p"], "q"),
        node("MaxUnpool", ["q", "i"], **attributes),
    ]
    return Case(nodes, {"x": x}, opset=22, on_runtime=True)


def gemm(d: Draw) -> Case:
    """Draw Gemm for one image. One of the operands may be a constant."""
    rows, inner, columns = d.shape(3)
    turned = [d.flag(), d.flag()]
    shapes = [(rows, inner), (inner, columns)]
    operands = [
        d.numbers(*(shape[::-1] if turn else shape)) for shape, turn in zip(shapes, turned, strict=True)
    ]
    names = ["a", "b"]
    given: dict[str, Array] = dict(zip(names, operands, strict=True))
    constants = {name: given.pop(name) for name in [d.choice("a", "b", "none")] if name in given}
    if d.flag():
        names.append("c")
        constants["c"] = d.numbers(columns)
    # Inputs get a batch as first axis, which the file removes again.
    nodes = [node("Squeeze", [f"{name}_in", "zero"], name) for name in given]
    attributes = {"transA": int(turned[0]), "transB": int(turned[1]), "alpha": d.choice(1.0, 0.5)}
    nodes += [
        node("Gemm", names, "g", **attributes, beta=d.choice(1.0, 2.0)),
        node("Unsqueeze", ["g", "zero"]),
    ]
    feeds = {f"{name}_in": x[None] for name, x in given.items()}
    return Case(nodes, feeds, constants | {"zero": np.array([0])})


def matmul(d: Draw) -> Case:
    batch, heads, rows, inner, columns = d.shape(5)
    first: tuple[int, ...] = (batch, d.choice(1, heads), rows, inner)
    second: tuple[int, ...] = (batch, d.choice(1, heads), inner, columns)
    kind = d.integer(0, 3)
    if kind == 0:
        return Case([node("MatMul", ["x", "w"])], {"x": d.numbers(*first)}, {"w": d.numbers(inner)})
    if kind == 1:
        return Case([node("MatMul", ["w", "x"])], {"x": d.numbers(*second)}, {"w": d.numbers(inner)})
    if kind == 2:
        feeds = {"x": d.numbers(*first), "z": d.numbers(*second)}
        return Case([node("MatMul", ["x", "z"])], feeds)
    return Case([node("MatMul", ["x", "w"])], {"x": d.numbers(*first)}, {"w": d.numbers(1, *second[1:])})


def response(d: Draw) -> Case:
    """Draw a local response normalization. The evaluator normalizes only as many channels as there are images."""
    channels = d.integer(1, 6)
    x = d.numbers(6, channels, *d.shape(2))
    attributes = {"size": d.integer(1, 7), "alpha": 0.4, "beta": 0.6, "bias": 1.5}
    return Case([node("LRN", ["x"], **attributes)], {"x": x[: max(channels, 1)]})


def mean_square(d: Draw) -> Case:
    """Draw an RMS normalization over the last axes. The scale may have fewer axes than are normalized."""
    rank = d.integer(2, 4)
    x = d.numbers(2, *d.shape(rank - 1))
    axis = d.integer(1, rank - 1)
    scale = d.numbers(*x.shape[d.integer(axis, rank - 1) :])
    attributes = {"axis": axis - rank * d.integer(0, 1), "epsilon": d.choice(1e-5, 0.1)}
    return Case([node("RMSNormalization", ["x", "s"], **attributes)], {"x": x}, {"s": scale})


def transposed_convolution(d: Draw) -> Case:
    """Draw a transposed convolution whose result is `strides` times as large."""
    groups, own, filters = d.integer(1, 2), d.integer(1, 3), d.integer(1, 3)
    rank = d.integer(1, 2)
    x = d.numbers(2, groups * own, *d.shape(rank))
    attributes: dict[str, Any] = {
        "auto_pad": d.choice("SAME_UPPER", "SAME_LOWER"),
        "strides": [d.integer(1, 3) for _ in range(rank)],
        "dilations": [d.integer(1, 2) for _ in range(rank)],
        "group": groups,
    }
    kernel = [d.integer(stride, 4) for stride in attributes["strides"]]
    constants = {"w": d.numbers(groups * own, filters, *kernel), "b": d.numbers(groups * filters)}
    inputs = ["x", "w", "b"][: d.integer(2, 3)]
    return Case([node("ConvTranspose", inputs, **attributes)], {"x": x}, constants, 22, on_runtime=True)


def number(d: Draw) -> Case:
    kinds = ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceProd")
    x = d.numbers(1, *d.shape(d.integer(1, 3)))
    return Case([node(d.choice(*kinds), ["x"], keepdims=d.integer(0, 1))], {"x": x}, opset=18)


def gated_swish(d: Draw) -> Case:
    shape = (2, *d.shape(2))
    feeds = {"gate": d.numbers(*shape), "x": d.numbers(*shape)}
    return Case([node("SwiGLU", ["gate", "x"], **({"alpha": 1.5} if d.flag() else {}))], feeds, opset=28)


def lstm(d: Draw) -> Case:
    return _recurrent(d, "LSTM", 4)


def gru(d: Draw) -> Case:
    return _recurrent(d, "GRU", 3)


def rnn(d: Draw) -> Case:
    return _recurrent(d, "RNN", 1)


def _recurrent(d: Draw, kind: str, gates: int) -> Case:
    """Draw a recurrent layer. The evaluator has one direction and the standard functions, onnxruntime the rest."""
    steps, batch, features, units = d.integer(1, 5), d.integer(1, 3), d.integer(1, 4), d.integer(1, 5)
    attributes: dict[str, Any] = {"hidden_size": units}
    if kind == "GRU":
        attributes["linear_before_reset"] = d.integer(0, 1)
    feeds = {"x": d.numbers(batch, steps, features)}
    inputs, constants = ["t", "w", "r"], {}
    constants["w"], constants["r"] = d.numbers(1, gates * units, features), d.numbers(1, gates * units, units)
    nodes = [node("Transpose", ["x"], "t", perm=[1, 0, 2])]
    if d.flag():
        inputs.append("b")
        constants["b"] = d.numbers(1, 2 * gates * units)
        if d.flag():
            inputs += ["", "h"]
            feeds["given"] = d.numbers(batch, 1, units)
            nodes.append(node("Transpose", ["given"], "h", perm=[1, 0, 2]))
    nodes += [node(kind, inputs, ["s"], **attributes), node("Transpose", ["s"], "y", perm=[2, 0, 1, 3])]
    return Case(nodes, feeds, constants, 17)


KINDS: list[Callable[[Draw], Case]] = [
    attention, border, cubic, gated_swish, gather_by_computed, gather_computed, gather_elements, gather_nd, gemm,
    gru, hidden_scores, linear, lstm, matmul, max_positions, mean_square, number, one_hot, response, rnn, running_sum,
    samples, scatter_elements, scatter_nd, several_images, top_k, transposed_convolution, unpool,
]  # fmt: skip


@pytest.mark.parametrize("examples", with_full([15], [500]))
@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_nodes_compute_what_the_reference_does(make: Callable[[Draw], Case], examples: int) -> None:
    compare_drawn(make, examples)


REDUCTIONS = "L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare"


@pytest.mark.parametrize("kind", REDUCTIONS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 1), (1, 1, 1, 1)])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_reductions_of_one_number(kind: str, shape: tuple[int, ...], keepdims: int) -> None:
    """A reduction of one number, over the batch and all other axes, may be a function of it."""
    x = np.full(shape, 1.25 if kind == "LogSum" else -1.25, np.float32)
    case = Case([node(f"Reduce{kind}", ["x"], keepdims=keepdims)], {"x": x}, opset=18)
    compare(lambda _: case, 0)


@pytest.mark.parametrize(("inner", "constant"), [(1, ""), (1, "a"), (1, "b"), (3, "a"), (3, "b")])
@pytest.mark.parametrize("shape", [(), (2,), (1, 2), (1, 2, 2)], ids=str)
@pytest.mark.parametrize("vector_is_first", [False, True])
def test_products_of_vectors_lack_an_axis(
    *, inner: int, constant: str, shape: tuple[int, ...], vector_is_first: bool
) -> None:
    """A product with a vector has the axes of the other operand without the one that is summed."""
    if not constant and shape == (2,):
        shape = (1,)  # all inputs must have one batch
    tensor = (*shape[:-1], inner, *shape[-1:]) if vector_is_first else (*shape, inner)
    shapes = [(inner,), tensor] if vector_is_first else [tensor, (inner,)]
    feeds = {name: Draw(len(name)).numbers(*one) for name, one in zip("ab", shapes, strict=True)}
    constants = {name: feeds.pop(name) for name in constant}
    compare(lambda _: Case([node("MatMul", ["a", "b"])], feeds, constants), 0)
