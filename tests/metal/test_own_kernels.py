"""Tests of metal_kernels="own", convolutions by mpscnn's kernels on arrays, against the CPU engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
from metal.emulation import Emulation
from numpy.typing import NDArray

import mpscnn

Build = Callable[[mpscnn.Network, Any], Any]


@pytest.fixture(autouse=True)
def no_check(emulation: Emulation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the self-check of the device, which other modules test."""
    assert emulation.violations() == []
    monkeypatch.setenv("MPSCNN_SKIP_SELF_CHECK", "1")


@pytest.fixture(params=["", "_in_simdgroups"], ids=["threads", "simdgroups"])
def products(request: pytest.FixtureRequest, emulation: Emulation) -> str:
    """Emulate a GPU without and with matrices in simdgroups. Return the suffix of its names of matrix products."""
    emulation.set("old_gpu", int(not request.param))
    return str(request.param)


def named(kernel: str, products: str) -> str:
    """Return the name of a kernel where the names of matrix products end with `products`."""
    return kernel + products if "product" in kernel else kernel


def network(shape: tuple[int, int, int], build: Build) -> mpscnn.Network:
    net = mpscnn.Network(input=shape, name="own")
    net.output(build(net, net.input))
    generator = np.random.default_rng(1)
    net.load_weights(
        {
            f"{spec['layer']}.{spec['role']}": generator.normal(0, 0.3, spec["shape"]).astype(np.float32)
            for spec in net.weight_specs()
        },
        layout="OHWI",
    )
    return net


def compare(
    net: mpscnn.Network,
    shape: tuple[int, int, int],
    precision: Literal["float32", "float16"],
    images: int = 2,
    half_bound: float = 4e-3,
) -> set[str]:
    """Check that the results are those of the CPU engine, and return the names of the kernels."""
    x = np.random.default_rng(0).normal(0, 1, (images, *shape)).astype(np.float16).astype(np.float32)
    expected = np.asarray(net.compile(device="cpu", precision="float32").session().run(x))
    program = net.compile(device="metal", precision=precision, metal_kernels="own")
    assert program.metal_kernels == "own"
    session = program.session()
    result = np.asarray(session.run(x))
    bound = 4e-6 if precision == "float32" else half_bound
    assert np.abs(result - expected).max() <= bound * np.abs(expected).max()
    return {kernel for step in session.profile(x, runs=1).steps for kernel in step.kernel.split(" + ")}


LAYERS: dict[str, tuple[tuple[int, int, int], Build, str]] = {
    "pointwise": ((7, 5, 24), lambda n, x: n.conv2d(x, 40, 1), "array_pointwise_product"),
    "pointwise of odd channels": ((7, 5, 7), lambda n, x: n.conv2d(x, 5, 1), "array_pointwise_product"),
    "pointwise by 2": ((7, 5, 8), lambda n, x: n.conv2d(x, 12, 1, strides=2), "array_product"),
    "window": ((9, 8, 6), lambda n, x: n.conv2d(x, 68, 3, padding="same"), "array_product"),
    "pointwise of long sums": ((7, 5, 136), lambda n, x: n.conv2d(x, 72, 1), "array_small_pointwise_product"),
    "pointwise of few outputs": ((6, 6, 64), lambda n, x: n.conv2d(x, 8, 1), "array_small_pointwise_product"),
    "long sums": ((9, 8, 8), lambda n, x: n.conv2d(x, 40, 3, padding="same"), "array_small_product"),
    "window of odd channels": ((9, 8, 3), lambda n, x: n.conv2d(x, 7, 3, strides=2), "array_product"),
    "activation": (
        (6, 6, 8),
        lambda n, x: n.conv2d(x, 8, 3, activation="hard_swish"),
        "array_small_product",
    ),
    "depthwise": (
        (9, 10, 8),
        lambda n, x: n.depthwise_conv2d(x, 3, padding="same", activation="relu6"),
        "array_depthwise_3x3_step1",
    ),
    "depthwise by 2": (
        (9, 10, 8),
        lambda n, x: n.depthwise_conv2d(x, 3, strides=2, padding="same"),
        "array_depthwise_3x3_step2",
    ),
    "depthwise 5x5": (
        (9, 10, 8),
        lambda n, x: n.depthwise_conv2d(x, 5, padding="same"),
        "array_depthwise_5x5_step1",
    ),
    "depthwise 5x5 by 2": (
        (9, 10, 8),
        lambda n, x: n.depthwise_conv2d(x, 5, strides=2, padding="same", activation="relu"),
        "array_depthwise_5x5_step2",
    ),
    "depthwise, dilated": (
        (9, 10, 8),
        lambda n, x: n.depthwise_conv2d(x, 3, dilation=2, padding="same"),
        "array_depthwise",
    ),
    "depthwise of odd channels": ((6, 6, 5), lambda n, x: n.depthwise_conv2d(x, 3), "array_convolution"),
    "groups": ((6, 6, 12), lambda n, x: n.conv2d(x, 9, 3, groups=3), "array_convolution"),
}


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("layer", LAYERS)
def test_layers(layer: str, precision: Literal["float32", "float16"], products: str) -> None:
    shape, build, kernel = LAYERS[layer]
    # The network's input holds floats, and weights hold halves. Simdgroups load small weights as they are.
    is_mixed = "small" in kernel and precision == "float16"
    expected = kernel if is_mixed else named(kernel, products)
    assert expected in compare(network(shape, build), shape, precision)


@pytest.mark.parametrize(
    "layer",
    [
        "pointwise",
        "window",
        "pointwise of long sums",
        "long sums",
        "depthwise",
        "depthwise by 2",
        "depthwise 5x5",
        "depthwise 5x5 by 2",
    ],
)
def test_layers_between_halves_have_kernels_of_halves(layer: str, products: str) -> None:
    shape, build, kernel = LAYERS[layer]
    net = network(shape, lambda n, x: n.activation(build(n, n.activation(x, "relu")), "tanh"))
    of_halves = named(f"{kernel}_of_halves", products)
    assert of_halves in compare(net, shape, "float16")
    assert of_halves not in compare(net, shape, "float32")


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.usefixtures("products")
def test_a_sum_is_part_of_the_convolution(size: int, precision: Literal["float32", "float16"]) -> None:
    shape = (6, 5, 8)
    for build in (
        lambda n, x: n.add(x, n.conv2d(x, 8, size, padding="same"), activation="relu"),
        lambda n, x: n.add(n.conv2d(x, 8, size, padding="same"), x),
    ):
        kernels = compare(network(shape, build), shape, precision)
        assert len(kernels) == 1
        assert next(iter(kernels)).startswith(("array_p", "array_small_p"))


@pytest.mark.parametrize(
    "build",
    [
        # The convolution's own activation comes before the sum.
        lambda n, x: n.add(x, n.conv2d(x, 8, 1, activation="relu")),
        # Another layer reads the convolution, too.
        lambda n, x: n.add(n.activation(y := n.conv2d(x, 8, 1), "tanh"), y),
        # Both operands are the convolution.
        lambda n, x: n.add(y := n.conv2d(x, 8, 1), y),
        # One operand is broadcast.
        lambda n, x: n.add(x, n.conv2d(n.global_average_pool2d(x), 8, 1)),
        # Kernels for groups cannot add another tensor.
        lambda n, x: n.add(x, n.conv2d(x, 8, 3, groups=2, padding="same")),
        lambda n, x: n.add(x, n.depthwise_conv2d(x, 3, padding="same")),
    ],
)
def test_other_sums_are_layers(build: Build) -> None:
    shape = (6, 5, 8)
    for precision in ("float32", "float16"):
        assert len(compare(network(shape, build), shape, precision)) > 1  # type: ignore[arg-type]


#: Depthwise convolutions and pointwise ones that one kernel computes. They follow another layer.
SEPARABLE: dict[str, tuple[tuple[int, int, int], Build, str]] = {
    "limits": (
        (9, 10, 24),
        lambda n, x: n.conv2d(n.depthwise_conv2d(x, 3, padding="same", activation="relu6"), 12, 1),
        "array_separable_product_step1",
    ),
    "no padding, several steps and tiles": (
        (9, 10, 96),
        lambda n, x: n.conv2d(n.depthwise_conv2d(x, 3, activation="relu"), 128, 1, activation="relu6"),
        "array_separable_product_step1",
    ),
    "by 2, odd outputs": (
        (9, 11, 20),
        lambda n, x: n.conv2d(n.depthwise_conv2d(x, 3, strides=2, padding="same"), 67, 1, activation="swish"),
        "array_separable_product_step2",
    ),
    "without biases": (
        (8, 11, 8),
        lambda n, x: n.conv2d(
            n.depthwise_conv2d(x, 3, strides=2, padding="same", use_bias=False), 8, 1, use_bias=False
        ),
        "array_separable_product_step2",
    ),
    "a sum": (
        (6, 8, 8),
        lambda n, x: n.add(
            x, n.conv2d(n.depthwise_conv2d(x, 3, padding="same", activation="relu6"), 8, 1), activation="relu"
        ),
        "array_separable_product_step1",
    ),
}


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("pair", SEPARABLE)
def test_a_depthwise_convolution_is_part_of_the_pointwise_one(
    pair: str, precision: Literal["float32", "float16"], products: str
) -> None:
    shape, build, kernel = SEPARABLE[pair]
    net = network(shape, lambda n, x: build(n, n.activation(x, "tanh")))
    halves = "" if precision == "float32" else "_of_halves"
    kernels = compare(net, shape, precision)
    assert f"{kernel}{halves}{products}" in kernels
    assert len([name for name in kernels if name.startswith("array_")]) == 1
    assert "arithmetic" not in kernels


def test_a_pair_of_floats_and_halves_has_two_kernels() -> None:
    """In float16 the network's input still holds floats, but weights are halves. The kernel reads only one type."""
    shape, build, kernel = SEPARABLE["limits"]
    assert kernel not in compare(network(shape, build), shape, "float16")


@pytest.mark.parametrize(
    "build",
    [
        # Another layer reads the depthwise convolution, too.
        lambda n, x: n.add(n.activation(y := n.depthwise_conv2d(x, 3), "tanh"), n.conv2d(y, 8, 1)),
        # The activation has no limits that the kernel could apply.
        lambda n, x: n.conv2d(n.depthwise_conv2d(x, 3, activation="swish"), 8, 1),
        lambda n, x: n.conv2d(n.depthwise_conv2d(x, 3), 8, 1, strides=2),
        lambda n, x: n.conv2d(n.depthwise_conv2d(x, 3), 8, 3),
        lambda n, x: n.conv2d(n.depthwise_conv2d(x, 3), 8, 1, groups=2),
        lambda n, x: n.conv2d(n.depthwise_conv2d(x, 3), 132, 1),
        lambda n, x: n.conv2d(n.depthwise_conv2d(x, 5, padding="same"), 8, 1),
        # An odd number of columns.
        lambda n, x: n.conv2d(n.depthwise_conv2d(x, 3, strides=2), 8, 1),
        lambda n, x: n.conv2d(n.depthwise_conv2d(x, 3, padding="same", dilation=2), 8, 1),
        lambda n, x: n.conv2d(n.depthwise_conv2d(n.conv2d(x, 100, 1), 3), 8, 1),
    ],
)
def test_other_pairs_have_a_kernel_for_each_convolution(build: Build) -> None:
    shape = (8, 8, 8)
    for precision in ("float32", "float16"):
        kernels = compare(network(shape, build), shape, precision)  # type: ignore[arg-type]
        assert len(kernels) > 1
        assert not any("separable" in kernel for kernel in kernels)


def test_both_convolutions_of_a_sum_are_right(products: str) -> None:
    shape = (6, 5, 8)
    kernels = compare(
        network(shape, lambda n, x: n.add(n.conv2d(x, 12, 1), n.conv2d(x, 12, 3, padding="same"))),
        shape,
        "float32",
    )
    assert kernels == {f"array_small_product{products}", f"array_pointwise_product{products}"}


#: Layers with few pixels and long sums, whose channels fill no whole matrices.
ODD_SUMS: dict[str, tuple[tuple[int, int, int], Build, str]] = {
    "channels": ((7, 5, 65), lambda n, x: n.conv2d(x, 8, 1), "array_small_pointwise_product"),
    "outputs": ((7, 5, 72), lambda n, x: n.conv2d(x, 13, 1), "array_small_pointwise_product"),
    "one output": ((3, 3, 70), lambda n, x: n.conv2d(x, 1, 1), "array_small_pointwise_product"),
    "window": ((9, 8, 13), lambda n, x: n.conv2d(x, 33, 3, strides=2), "array_small_product"),
}


@pytest.mark.parametrize("layer", ODD_SUMS)
def test_weights_are_packed_with_zeros(layer: str, products: str) -> None:
    shape, build, kernel = ODD_SUMS[layer]
    assert compare(network(shape, build), shape, "float32") == {named(kernel, products)}
    halves = compare(network(shape, lambda n, x: build(n, n.activation(x, "relu"))), shape, "float16")
    assert named(f"{kernel}_of_halves", products) in halves


def test_kernels_for_few_pixels_give_way_to_large_tiles(products: str) -> None:
    """A layer has tiles of 32 x 32 if it has fewer than 64 tiles of 64 x 64."""
    net = network((16, 16, 64), lambda n, x: n.conv2d(x, 64, 1))
    few = compare(net, (16, 16, 64), "float32", images=15)  # 60 tiles
    many = compare(net, (16, 16, 64), "float32", images=16)
    assert few == {f"array_small_pointwise_product{products}"}
    assert many == {f"array_pointwise_product{products}"}


def test_simdgroups_divide_very_long_sums(products: str) -> None:
    """A simdgroup adds at most 8,192 products one after the other, but eight of them add more together."""
    shape = (3, 3, 912)
    kernels = compare(network(shape, lambda n, x: n.conv2d(x, 8, 3)), shape, "float32", images=1)
    assert kernels == {f"array_small_product{products}"}


def test_slopes_stay_on_images() -> None:
    shape = (6, 5, 8)
    kernels = compare(network(shape, lambda n, x: n.conv2d(x, 8, 3, activation="prelu")), shape, "float32")
    assert not any(kernel.startswith("array_product") for kernel in kernels)


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_whole_network(precision: Literal["float32", "float16"]) -> None:
    net = mpscnn.models.mobilenet_v2(classes=10, input_size=32, depth_multiplier=0.35)
    net.initialize_weights(seed=1)
    # Results are rounded to float16 between 50 layers. For other seeds the kernels of MPS differ by up to 0.0075, too.
    kernels = compare(net, (32, 32, 3), precision, half_bound=0.01)
    assert "MPSCNNConvolution" not in kernels


def test_weights_of_bytes_are_those_of_other_kernels() -> None:
    shape = (6, 5, 8)
    net = network(shape, lambda n, x: n.conv2d(x, 8, 3))
    x: NDArray[np.float32] = np.random.default_rng(0).normal(0, 1, (1, *shape)).astype(np.float32)
    results = [
        np.asarray(net.compile(device="metal", weights="int8", metal_kernels=kernels).session().run(x))
        for kernels in ("mps", "own")
    ]
    np.testing.assert_allclose(results[0], results[1], atol=1e-5)


def test_weights_must_fit_halves() -> None:
    net = mpscnn.Network(input=(4, 4, 4), name="large")
    net.output(net.conv2d(net.input, 4, 1, name="conv"))
    net.set_weights(
        {"conv.weight": np.full((4, 1, 1, 4), 1e5, np.float32), "conv.bias": np.zeros(4, np.float32)},
        layout="OHWI",
    )
    with pytest.raises(mpscnn.WeightsError, match="does not fit into float16"):
        net.compile(device="metal", precision="float16", metal_kernels="own")


def test_names_of_kernels() -> None:
    net = network((4, 4, 4), lambda n, x: n.conv2d(x, 4, 1))
    with pytest.raises(mpscnn.ParameterError, match="metal_kernels must be mps or own, got 'cuda'"):
        net.compile(device="metal", metal_kernels="cuda")  # type: ignore[arg-type]
    assert net.compile(device="metal").metal_kernels == "mps"


def test_consecutive_shaders_share_an_encoder(emulation: Emulation) -> None:
    """A shader shares the encoder of the shader before it, unless a kernel of MPS opens another one in between.

    After an error each layer has a separate encoder, so that the next error can name the layer.
    """
    shape = (9, 7, 8)
    net = network(shape, lambda n, x: n.conv2d(n.depthwise_conv2d(n.conv2d(x, 8, 1), 3), 4, 1))
    session = net.compile(device="metal", metal_kernels="own").session()
    x = np.ones((2, *shape), np.float32)
    session.run(x)

    def encoders() -> int:
        before = emulation.get("compute_encoders_made")
        session.run(x)
        return emulation.get("compute_encoders_made") - before

    assert encoders() == 1
    emulation.set("command_buffer_error", 8)
    with pytest.raises(mpscnn.DeviceError, match="if it fails again, the message names the layer"):
        session.run(x)
    assert encoders() == 3
