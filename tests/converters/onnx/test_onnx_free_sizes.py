"""ONNX files whose height and width are both free give the results of onnxruntime at several sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from converters.free_size_graphs import CHANNELS, RandomGraph
from converters.onnx_files import model, node, nodes_of, operations, read, run_there, weights
from tiers import with_full

import mpscnn
from mpscnn.converters.opening.budget import Budget
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.reading.onnx.file import file_from_model
from mpscnn.converters.reading.onnx.reader import converted
from mpscnn.converters.values.layout import Arranged, Atom, FreeExtents, batch_atom
from mpscnn.converters.values.layout_pass import Arranger

SIZES = ((7, 9), (8, 5), (1, 3))


def assert_like_onnxruntime(
    made: Any, seed: int = 0, sizes: Sequence[tuple[int, int]] = SIZES
) -> mpscnn.Network:
    """Run one program with images of several sizes, and compare with onnxruntime."""
    read_file = converted(file_from_model(made, "m"), ReadOptions("m"))
    session = read_file.network.compile(device="cpu", precision="float32").session(threads=1)
    for height, width in sizes:
        x = np.random.default_rng(seed).uniform(-2, 2, (2, CHANNELS, height, width)).astype(np.float32)
        (expected,) = run_there(made, {"x": x})
        found = session.run(np.ascontiguousarray(read_file.inputs[0].arranged(x)))
        assert isinstance(found, np.ndarray)
        found = read_file.outputs[0].restored(found)
        assert found.shape == expected.shape
        tolerance = 1e-4 * max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=tolerance)
    return read_file.network


@pytest.mark.parametrize("seed", with_full(range(20), range(20, 60)))
def test_random_graphs_give_what_onnxruntime_gives(seed: int) -> None:
    """No random graph is refused. All give what onnxruntime gives."""
    made = RandomGraph(np.random.default_rng(seed), length=5).model()
    assert_like_onnxruntime(made, seed)


EQUAL_SIZES: dict[tuple[Any, Any], tuple[tuple[int, int], ...]] = {
    ("s", "s"): ((5, 5), (7, 7)),
    (5, 5): ((5, 5),),
    (CHANNELS, CHANNELS): ((CHANNELS, CHANNELS),),
}
"""Heights and widths of files, and the sizes of images that each is run with."""


@pytest.mark.parametrize("size", EQUAL_SIZES, ids=str)
@pytest.mark.parametrize("seed", with_full(range(12), range(12, 60)))
def test_axes_of_equal_sizes_are_different_axes(seed: int, size: tuple[Any, Any]) -> None:
    """Axes are not confused if their extents are equal, whether they are numbers or have one name in the file."""
    made = RandomGraph(np.random.default_rng(seed), 6, size).model()
    assert_like_onnxruntime(made, seed, EQUAL_SIZES[size])


def test_axes_of_one_name_may_get_different_sizes() -> None:
    """A transposition does what it says even if the file wrongly promises a square."""
    made = model([node("Transpose", ["x"], perm=[0, 1, 3, 2])], {"x": ["n", CHANNELS, "s", "s"]})
    assert_like_onnxruntime(made)


@pytest.mark.full
@pytest.mark.parametrize("size", [("h", "w"), *EQUAL_SIZES], ids=str)
@pytest.mark.parametrize("hundred", range(10))
def test_many_random_graphs(hundred: int, size: tuple[Any, Any]) -> None:
    for seed in range(1000 + 100 * hundred, 1100 + 100 * hundred):
        made = RandomGraph(np.random.default_rng(seed), 7, size).model()
        assert_like_onnxruntime(made, seed, EQUAL_SIZES.get(size, SIZES))


def test_values_are_joined_along_an_axis_that_has_no_place_in_memory() -> None:
    nodes = nodes_of("""
        least = ReduceMin<axes=[1, 2]>(x); tiled = Tile(least, counts); opposite = Neg(tiled)
        y = Concat<axis=2>(tiled, opposite)
    """)
    made = model(nodes, {"x": ["n", CHANNELS, "h", "w"]}, {"counts": np.array([1, 2, 1, 1])})
    assert_like_onnxruntime(made)


def convnext() -> Any:
    """Return ConvNeXt's LayerNorm of NCHW images: mean and variance over channels, then scale and offset."""
    nodes = nodes_of("""
        mean = ReduceMean<axes=[1]>(x); centred = Sub(x, mean); squared = Mul(centred, centred)
        variance = ReduceMean<axes=[1]>(squared); moved = Add(variance, epsilon); deviation = Sqrt(moved)
        normal = Div(centred, deviation); scaled = Mul(scale, normal); y = Add(scaled, offset)
    """)
    constants = {
        "epsilon": np.float32(1e-6),
        "scale": weights(CHANNELS, 1, 1),
        "offset": weights(CHANNELS, 1, 1),
    }
    return model(nodes, {"x": ["n", CHANNELS, "h", "w"]}, constants)


def cbam() -> Any:
    """Return CBAM's spatial attention: mean and maximum over channels, joined, convolved, and used as a gate."""
    nodes = nodes_of("""
        mean = ReduceMean<axes=[1]>(x); max = ReduceMax<axes=[1]>(x); both = Concat<axis=1>(mean, max)
        scores = Conv<pads=[1, 1, 1, 1]>(both, kernel); gate = Sigmoid(scores); y = Mul(x, gate)
    """)
    return model(nodes, {"x": ["n", CHANNELS, "h", "w"]}, {"kernel": weights(1, 2, 3, 3)})


def channels_last_norm() -> Any:
    """Return a norm between two transpositions, as torch exports nn.LayerNorm of permuted images."""
    nodes = [
        node("Transpose", ["x"], "last", perm=[0, 2, 3, 1]),
        node("LayerNormalization", ["last", "scale", "offset"], "normal", axis=-1, epsilon=1e-6),
        node("Transpose", ["normal"], perm=[0, 3, 1, 2]),
    ]
    constants = {"scale": weights(CHANNELS), "offset": weights(CHANNELS)}
    return model(nodes, {"x": ["n", CHANNELS, "h", "w"]}, constants)


def one_plane() -> Any:
    """Return a graph with a plane (n, height, width): a Gather with one index selects a channel and drops its axis."""
    nodes = nodes_of("""
        plane = Gather<axis=1>(x, index); rows = Softmax<axis=2>(plane)
        y = ReduceMax<axes=[1], keepdims=0>(rows)
    """)
    return model(nodes, {"x": ["n", CHANNELS, "h", "w"]}, {"index": np.int64(2)})


def attention_of_rows() -> Any:
    """Return a graph with a softmax along the width, and the L2 norm of its columns."""
    nodes = [node("Softmax", ["x"], "s", axis=3), node("ReduceL2", ["s"], axes=[2], keepdims=0)]
    return model(nodes, {"x": ["n", CHANNELS, "h", "w"]})


def repeated_plane() -> Any:
    """Return a graph that repeats the only channel. Its place among the free axes is not clear from its extent of 1."""
    nodes = nodes_of("""
        plane = Gather<axis=1>(x, first); columns = Softmax<axis=2>(plane)
        planes = Gather<axis=1>(columns, twice); y = Softmax<axis=2>(planes)
    """)
    constants = {"first": np.array([0]), "twice": np.array([0, 0])}
    return model(nodes, {"x": ["n", CHANNELS, "h", "w"]}, constants)


def norm_of_heads() -> Any:
    """Return a graph that divides the channels into two axes, and subtracts the mean over the first of them."""
    nodes = nodes_of("""
        last = Transpose<perm=[0, 2, 3, 1]>(x); heads = Reshape(last, shape)
        mean = ReduceMean<axes=[3]>(heads); y = Sub(heads, mean)
    """)
    return model(nodes, {"x": ["n", CHANNELS, "h", "w"]}, {"shape": np.array([0, 0, 0, 3, 2])})


@pytest.mark.parametrize(
    "make", [convnext, cbam, channels_last_norm, one_plane, attention_of_rows, repeated_plane, norm_of_heads]
)
def test_blocks_of_known_networks(make: Any) -> None:
    assert_like_onnxruntime(make())


def test_the_axis_of_an_atom_is_not_guessed() -> None:
    """A factor of 2 between two free sizes may belong to either of the two axes."""
    network = mpscnn.Network(input=(None, None, 4))
    arranger = Arranger(network, batch_atom(None), str, Budget(lambda: 0))
    free = FreeExtents()
    first, last, two, half, four = free.atom(), free.atom(), Atom(2), Atom(2), Atom(4)

    def grouping(*order: Atom) -> list[tuple[Atom, ...]] | None:
        return arranger.grouping(Arranged(network.input, ((batch_atom(None),), order), order))

    assert grouping(first, last, four) == [(first,), (last,), (four,)]
    assert grouping(first, last, two, half) == [(first,), (last,), (two, half)]
    assert grouping(first, last, two, four) == [(first,), (last, two), (four,)]
    assert grouping(first, two, last, four) is None


def test_numbers_of_a_free_extent_have_no_common_remainder() -> None:
    free = FreeExtents()
    atoms = [free.atom() for _ in range(20)]
    assert len({atom.low for atom in atoms} | {atom.high for atom in atoms}) == 40
    for atom in atoms:
        assert all(atom.low % divisor != atom.high % divisor for divisor in range(2, 10_001))
        assert all((-atom.low % block) // 2 != (-atom.high % block) // 2 for block in (4, 8, 16, 32))


@pytest.mark.parametrize("multiple", [2, 3, 8])
def test_pads_to_a_multiple_of_a_free_size_are_refused(multiple: int) -> None:
    nodes = nodes_of("""
        shape = Shape<start=2>(x); rest = Mod(shape, multiple); pads = Concat<axis=0>(zeros, rest)
        y = Pad(x, pads)
    """)
    constants = {"multiple": np.array([multiple]), "zeros": np.zeros(6, np.int64)}
    made = model(nodes, {"x": ["n", CHANNELS, "h", "w"]}, constants)
    with pytest.raises(mpscnn.UnsupportedError, match="depends on an extent that is free"):
        read(made)


def test_a_mean_over_channels_moves_nothing() -> None:
    network = assert_like_onnxruntime(
        model([node("ReduceMean", ["x"], axes=[1])], {"x": ["n", CHANNELS, "h", "w"]})
    )
    assert operations(network) == ["reduction"]


@pytest.mark.parametrize("kind", ["L1", "L2", "SumSquare", "LogSumExp", "Max", "Mean", "Prod", "Sum"])
def test_reductions_of_one_element(kind: str) -> None:
    """Along axes of extent 1, a norm is the magnitude of the only element."""
    nodes = [node("GlobalAveragePool", ["x"], "p"), node(f"Reduce{kind}", ["p"], axes=[2, 3])]
    if kind == "Sum":
        nodes[1] = node("ReduceSum", ["p", "axes"])
    assert_like_onnxruntime(
        model(nodes, {"x": ["n", CHANNELS, "h", "w"]}, {"axes": np.array([2, 3])} if kind == "Sum" else None)
    )


# ---- Extents other than height and width ---------------------------------------------------------------------------


def sequences(lengths: tuple[int, ...], features: int = 8) -> list[list[Any]]:
    """Return inputs (images, length, features) of several lengths, or without features (images, length)."""
    random = np.random.default_rng(0)
    shapes = [(2, length, features) if features else (2, length) for length in lengths]
    return [[random.uniform(-2, 2, shape).astype(np.float32)] for shape in shapes]


def heads() -> tuple[Any, list[list[Any]]]:
    """Return attention of two heads, whose shapes the file computes."""
    nodes = nodes_of("""
        q = MatMul(x, w); shape = Shape(x); first = Slice(shape, zero, two)
        apart = Concat<axis=0>(first, heads); r = Reshape(q, apart)
        queries = Transpose<perm=[0, 2, 1, 3]>(r); keys = Transpose<perm=[0, 2, 3, 1]>(r)
        scores = MatMul(queries, keys); shares = Softmax<axis=-1>(scores); o = MatMul(shares, queries)
        t = Transpose<perm=[0, 2, 1, 3]>(o); y = Reshape(t, joined)
    """)
    constants = {
        "w": weights(8, 8), "zero": np.array([0]), "two": np.array([2]), "heads": np.array([2, 4]),
        "joined": np.array([0, 0, 8]),
    }  # fmt: skip
    return model(nodes, {"x": ["n", "length", 8]}, constants), sequences((5, 3))


def masked_attention() -> tuple[Any, list[list[Any]]]:
    """Return attention between embeddings of words. The words and their mask have the same length."""
    nodes = [
        *nodes_of("""
            e = Gather(table, x); q = MatMul(e, w); keys = Transpose<perm=[0, 2, 1]>(e)
            scores = MatMul(q, keys); m = Cast<to=1>(mask); rows = Unsqueeze(m, one)
        """),
        node("Sub", ["1", "rows"], "hidden"),
        node("Mul", ["hidden", "far"], "bias"),
        node("Add", ["scores", "bias"], "masked"),
        node("Softmax", ["masked"], "shares", axis=-1),
        node("MatMul", ["shares", "e"]),
    ]
    constants = {
        "table": weights(20, 8), "w": weights(8, 8), "one": np.array([1]), "1": np.float32(1), "far": np.float32(-1e3),
    }  # fmt: skip
    made = model(nodes, {"x": ["n", "s"], "mask": ["n", "s"]}, constants, types={"x": 7, "mask": 7})
    random = np.random.default_rng(1)
    feeds = [
        [random.integers(0, 20, (2, s)), random.integers(0, 2, (2, s)) | (np.arange(s) == 0)] for s in (5, 4)
    ]
    return made, [[x, mask.astype(np.int64)] for x, mask in feeds]


def images_of_unknown_channels() -> tuple[Any, list[list[Any]]]:
    nodes = [node("Sub", ["x", "mean"], "s"), node("Conv", ["s", "w"])]
    made = model(nodes, {"x": ["n", "c", "h", "w"]}, {"w": weights(4, 3, 3, 3), "mean": np.float32(0.5)})
    return made, [
        [np.random.default_rng(0).normal(size=(2, 3, *size)).astype(np.float32)] for size in SIZES[:2]
    ]


def sounds() -> tuple[Any, list[list[Any]]]:
    nodes = nodes_of("c = Conv<pads=[1, 1]>(x, w); r = Relu(c); y = ReduceMean<axes=[2]>(r)")
    made = model(nodes, {"x": ["n", "c", "length"]}, {"w": weights(4, 3, 3)})
    return made, [[x[0].transpose(0, 2, 1)] for x in sequences((7, 9), 3)]


def numbers() -> tuple[Any, list[list[Any]]]:
    return model([node("Mul", ["x", "k"])], {"x": ["n", "s"]}, {"k": np.float32(2)}), sequences((3, 6), 0)


@pytest.mark.parametrize("make", [heads, images_of_unknown_channels, masked_attention, numbers, sounds])
def test_other_extents_may_be_free(make: Callable[[], tuple[Any, list[list[Any]]]]) -> None:
    made, several = make()
    names = [one.name for one in made.graph.input]
    found = converted(file_from_model(made, "m"), ReadOptions("m"))
    session = found.network.compile(device="cpu", precision="float32").session(threads=1)
    for feeds in several:
        given = [
            np.ascontiguousarray(layout.arranged(x), np.float32)
            for layout, x in zip(found.inputs, feeds, strict=True)
        ]
        results = session.run(given[0] if len(given) == 1 else given)
        (expected,) = run_there(made, dict(zip(names, feeds, strict=True)))
        assert isinstance(results, np.ndarray)
        restored = found.outputs[0].restored(results)
        np.testing.assert_allclose(restored, expected, rtol=1e-4, atol=1e-5)


def test_layers_that_need_an_extent_are_named() -> None:
    nodes = nodes_of("""
        shape = Shape(x); length = Slice(shape, one, two); positions = Slice(table, zero, length, zero)
        placed = Add(x, positions); y = Relu(placed)
    """)
    constants = {"table": weights(64, 8), "zero": np.array([0]), "one": np.array([1]), "two": np.array([2])}
    made = model(nodes, {"x": ["n", "length", 8]}, constants)
    reason = r"layer 'placed' \(Add\): .*an extent that is free: choose a shape for the input with --shape"
    with pytest.raises(mpscnn.UnsupportedError, match=reason):
        read(made)
    assert read(made, shapes={"x": (1, 5, 8)}).input.shape == (None, 5, 8)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize(
    ("shape", "sizes", "reason"),
    [
        (["n", 3, 4, 4], [1, 3, 8, 8], "resizes the batch of .* to 1: choose a batch of 1"),
        (["n", 3, 4], [1, 3, 8], "resizes the batch of .* to 1: choose a batch of 1"),
        ([1, 3, "h", 4], [1, 3, None, 8], "whose other side is free: choose one with --size"),
    ],
)
def test_sizes_for_a_free_extent(mode: str, shape: list[Any], sizes: list[int | None], reason: str) -> None:
    """A stated size is not the number that represents the extent. An extent that stays free has no number."""
    parts = nodes_of("shape = Shape(x)")
    for place, size in enumerate(sizes):
        if size is None:
            parts.append(node("Slice", ["shape", f"p{place}", f"p{place + 1}"], f"s{place}"))
        else:
            parts.append(node("Constant", [], f"s{place}", value_ints=[size]))
    parts.append(node("Concat", [f"s{place}" for place in range(len(sizes))], "s", axis=0))
    parts.append(node("Resize", ["x", "", "", "s"], mode=mode))
    made = model(parts, {"x": shape}, {f"p{place}": np.array([place]) for place in range(5)})
    if mode == "cubic" and None in sizes:
        read(made)  # each side is a matrix product of its own
        return
    with pytest.raises(mpscnn.UnsupportedError, match=reason):
        read(made)
