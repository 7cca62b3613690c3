"""Compare the arithmetic of a file's tensors with NumPy. Axes are the file's, whatever the order in memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mpscnn
from mpscnn.converters.arrange import Arranger
from mpscnn.converters.budget import Budget
from mpscnn.converters.layer_names import LayerNames
from mpscnn.converters.layout import batch_atom
from mpscnn.converters.tensor import FileTensor
from mpscnn.errors import UnsupportedError, WeightsError

Array = NDArray[Any]
IMAGE = (4, 6, 2)
"""Height, width and channels of the network's inputs."""


def inputs(**shapes: tuple[int | None, ...]) -> tuple[mpscnn.Network, list[FileTensor]]:
    """Return a network, and its inputs as the file sees them: (n, channels, height, width)."""
    network = mpscnn.Network(input=shapes)
    names = LayerNames()
    arranger = Arranger(
        network, batch_atom(None), lambda suffix: names.unique(f"y{suffix}"), Budget(lambda: 1 << 20)
    )
    return network, [FileTensor.from_image(arranger, tensor) for tensor in network.inputs]


def computed(network: mpscnn.Network, y: FileTensor, *images: Array) -> Array:
    """Run the network on images (n, channels, height, width)."""
    network.output(y.arranger.physical(y, y.axes[1:]))
    given = {
        tensor.name: np.ascontiguousarray(image.transpose(0, 2, 3, 1))
        for tensor, image in zip(network.inputs, images, strict=True)
    }
    run = network.compile(device="cpu", precision="float32").session().run
    found = run(next(iter(given.values())) if len(given) == 1 else given)
    return np.asarray(found if isinstance(found, np.ndarray) else next(iter(found.values())))


def random(*shape: int) -> Array:
    return np.random.default_rng(len(shape)).uniform(0.1, 2.0, shape).astype(np.float32)


def numbers_of(axis: int, extent: int) -> Array:
    return np.random.default_rng(axis).integers(0, extent, (2, 3))


OPERATIONS: dict[str, tuple[Callable[[FileTensor], FileTensor], Callable[[Array], Array]]] = {
    "map": (lambda x: x.map("tanh"), np.tanh),
    "linear": (lambda x: x.linear(2.0, -1.0), lambda x: 2.0 * x - 1.0),
    "power": (lambda x: x.power(1.5), lambda x: x**1.5),
    "exponential": (lambda x: x.exponential(2.0), lambda x: 2.0**x),
    "root": (lambda x: x.sqrt(), np.sqrt),
    "inverse root": (lambda x: x.sqrt(inverse=True), lambda x: 1.0 / np.sqrt(x)),
    "reciprocal": (lambda x: x.reciprocal(3.0), lambda x: 3.0 / x),
    "another number": (lambda x: x.map("round").not_equal(1.0), lambda x: (np.round(x) != 1.0) * 1.0),
    "below": (lambda x: x.less_than(1.0, ""), lambda x: (x < 1.0) * 1.0),
    "softmax": (lambda x: x.softmax([2]), lambda x: np.exp(x) / np.exp(x).sum(2, keepdims=True)),
    "softmax of two axes": (
        lambda x: x.softmax([1, 3]),
        lambda x: np.exp(x) / np.exp(x).sum((1, 3), keepdims=True),
    ),
    "sum": (lambda x: x.reduce("sum", [1, 3]), lambda x: x.sum((1, 3), keepdims=True)),
    "mean": (lambda x: x.reduce("mean", [2]), lambda x: x.mean(2, keepdims=True)),
    "max": (lambda x: x.reduce("max", [2, 3]), lambda x: x.max((2, 3), keepdims=True)),
    "place": (lambda x: x.argmax_or_argmin(2), lambda x: x.argmax(2)[:, :, None]),
    "least place": (lambda x: x.argmax_or_argmin(3, minimum=True), lambda x: x.argmin(3)[:, :, :, None]),
    "last place": (
        lambda x: x.map("round").argmax_or_argmin(1, last=True),
        lambda x: x.shape[1] - 1 - np.round(x)[:, ::-1].argmax(1)[:, None],
    ),
    "mapped": (
        lambda x: x.multiply_by_matrix(2, 5, lambda: random(5, x.shape[2] or 0)),
        lambda x: np.einsum("bchw,rh->bcrw", x, random(5, x.shape[2])),
    ),
    "running sums": (
        lambda x: x.cumsum(3, exclusive=False, backwards=True),
        lambda x: x[..., ::-1].cumsum(3)[..., ::-1],
    ),
    "part": (lambda x: x.slice_axis(2, range(1, x.shape[2] or 0)), lambda x: x[:, :, 1:]),
    "part backwards": (
        lambda x: x.slice_axis(3, range((x.shape[3] or 0) - 1, -1, -1)),
        lambda x: x[..., ::-1],
    ),
    "taken": (lambda x: x.take(1, [1, 0, 1]), lambda x: x[:, [1, 0, 1]]),
    "taken by a table": (
        lambda x: x.take(2, numbers_of(2, x.shape[2] or 0)),
        lambda x: x[:, :, numbers_of(2, x.shape[2])],
    ),
    "tiled": (lambda x: x.tile([1, 2, 1, 3]), lambda x: np.tile(x, (1, 2, 1, 3))),
    "bordered": (
        lambda x: x.pad(3, (1, 2), {"mode": "constant", "value": 5.0}),
        lambda x: np.pad(x, [(0, 0), (0, 0), (0, 0), (1, 2)], constant_values=5.0),
    ),
}


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))))
@pytest.mark.parametrize("name", OPERATIONS)
def test_one_tensor(name: str, order: tuple[int, ...]) -> None:
    """The tensor has any order of axes. No element is moved before the operation."""
    ours, numpys = OPERATIONS[name]
    image = random(2, 2, 4, 6)
    network, (x,) = inputs(image=IMAGE)
    x = x.transpose((0, *order))
    assert x.tensor.name == "image"
    found = computed(network, ours(x), image)
    expected = numpys(image.astype(np.float64).transpose(0, *order))
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)


TWO: dict[str, tuple[Callable[..., FileTensor], Callable[..., Array]]] = {
    "+": (lambda a, b: a + b, np.add),
    "*": (lambda a, b: a * b, np.multiply),
    "subtract": (lambda a, b: a.combine("subtract", b), np.subtract),
    "with an activation": (
        lambda a, b: a.combine("subtract", b, "", "relu"),
        lambda a, b: np.maximum(a - b, 0),
    ),
    "one axis of 1": (lambda a, b: a + b.reduce("sum", [2]), lambda a, b: a + b.sum(2, keepdims=True)),
    "joined": (lambda a, b: a.concat([b, a], 2), lambda a, b: np.concatenate([a, b, a], 2)),
    "@": (lambda a, b: a @ b.transpose((0, 1, 3, 2)), lambda a, b: a @ b.transpose(0, 1, 3, 2)),
    "@ with one matrix": (
        lambda a, b: a @ b.slice_axis(1, range(1)).transpose((0, 1, 3, 2)),
        lambda a, b: a @ b[:, :1].transpose(0, 1, 3, 2),
    ),
}


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))))
@pytest.mark.parametrize("name", TWO)
def test_two_tensors(name: str, order: tuple[int, ...]) -> None:
    """The elements of the second tensor have another order in memory than those of the first one."""
    ours, numpys = TWO[name]
    first = random(2, 2, 4, 6)
    turned = first.transpose(0, *order)
    second = np.random.default_rng(9).uniform(0.1, 2.0, turned.shape).astype(np.float32)
    _, channels, height, width = turned.shape
    network, (a, b) = inputs(a=IMAGE, b=(height, width, channels))
    found = computed(network, ours(a.transpose((0, *order)), b), first, second)
    expected = numpys(turned.astype(np.float64), second.astype(np.float64))
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)


def test_the_last_layer_has_the_name_of_the_operator() -> None:
    network, (x,) = inputs(image=IMAGE)
    assert x.sqrt().tensor.name == "y"
    assert network.layer_names() == ["image", "y/limited", "y"]


def test_a_free_size_stays_free() -> None:
    image = random(2, 2, 4, 6)
    network, (x,) = inputs(image=(None, None, 2))
    found = computed(network, (x * x).softmax([1]), image)
    exponentials = np.exp(image.astype(np.float64) ** 2)
    np.testing.assert_allclose(found, exponentials / exponentials.sum(1, keepdims=True), rtol=2e-5)


@pytest.mark.parametrize(
    ("convert", "reason"),
    [
        (lambda x: x.reduce("sum", [0]), "along the batch"),
        (lambda x: x.softmax([0]), "images of the batch"),
        (lambda x: x.argmax_or_argmin(0), "images of the batch"),
        (lambda x: x.slice_axis(0, range(1)), "leaves out images of the batch"),
        (lambda x: x.concat([x], 0), "along the batch"),
        (lambda x: x.fixed_count([2]), "a free axis"),
        (lambda x: x.known_extent(2, "takes a part of"), "whose size is free"),
        (lambda x: x.argmax_or_argmin(2, last=True), "whose size is free"),
        # The work for a tensor grows with the square of its axes, and a few bytes of a file can state thousands.
        (lambda x: x.expand_dims(range(30)), "computes with 34 axes; supported are 32"),
    ],
)
def test_what_cannot_be_computed(convert: Callable[[FileTensor], object], reason: str) -> None:
    _, (x,) = inputs(image=(None, 6, 2))
    with pytest.raises(UnsupportedError, match=reason):
        convert(x)


def test_tensors_that_do_not_fit() -> None:
    _, (a, b) = inputs(a=IMAGE, b=(4, 5, 3))
    with pytest.raises(UnsupportedError, match="do not fit"):
        a + b
    with pytest.raises(WeightsError, match="joins"):
        a.concat([b], 2)
    with pytest.raises(UnsupportedError, match="as many matrices"):
        a @ b
