"""Refusals, names and free sizes of arithmetic with a file's tensors. The tests of each format compare its results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mpscnn
from mpscnn.converters.opening.budget import Budget
from mpscnn.converters.opening.layer_names import LayerNames
from mpscnn.converters.values.layout import batch_atom
from mpscnn.converters.values.layout_pass import Arranger
from mpscnn.converters.values.tensor import FileTensor
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
