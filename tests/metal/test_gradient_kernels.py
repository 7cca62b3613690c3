"""Test which gradients MPS computes and which mpscnn's shaders compute, as docs/training.md lists them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from metal.emulation import Emulation
from metal.test_training import blobs, line, quarters
from numpy.typing import NDArray

import mpscnn
from mpscnn import _core
from mpscnn.apps.verify.case import run
from mpscnn.apps.verify.kernel_cases import kernel_cases


def profile_of(operation: str, shapes: list[tuple[int, ...]], attributes: dict[str, Any]) -> tuple[str, ...]:
    """Return the kernels that compute one operation of training."""
    graph = _core.Graph("one layer")
    sources = [graph.add_variable(f"input{i}", shape) for i, shape in enumerate(shapes)]
    graph.mark_output(graph.add_node(operation, "layer", sources, json.dumps(attributes), ""))
    program = mpscnn.Network.from_graph(graph).compile(device="metal")
    inputs = [
        np.random.default_rng(i).normal(size=shape).astype(np.float32) for i, shape in enumerate(shapes)
    ]
    return tuple(step.kernel for step in program.session().profile(inputs, runs=1).steps if step.layers)


def convolution_kernels(
    x: tuple[int, ...], weight: tuple[int, ...], output: tuple[int, ...], **attributes: Any
) -> set[str]:
    """Return the kernels that compute both gradients of a convolution."""
    given = {
        "output_channels": weight[0],
        "kernel_height": weight[1],
        "kernel_width": weight[2],
        **attributes,
    }
    return {
        *profile_of("convolution_data_gradient", [output, weight, x], given),
        *profile_of("convolution_weight_gradient", [x, output], given),
    }


@pytest.mark.gpu
def test_convolutions() -> None:
    """Without groups, matrices in simdgroups compute them where the GPU has these (the family Apple 7)."""
    same = {"padding": "same"}
    mps = {"MPSCNNConvolutionGradient"}
    (device,) = (entry for entry in mpscnn.devices() if entry["name"] == "metal")
    found = convolution_kernels((2, 5, 6, 3), (7, 3, 3, 3), (2, 5, 6, 7), **same)
    if "apple7" in device["families"]:
        assert "array_data_gradient_product_in_simdgroups" in found
        assert "array_weight_gradient_product_in_simdgroups" in found
        assert not found & mps
    else:
        assert found == mps
        dense = convolution_kernels((2, 1, 1, 9), (4, 1, 1, 9), (2, 1, 1, 4))
        assert dense == {"MPSCNNFullyConnectedGradient"}
    assert convolution_kernels((2, 5, 6, 8), (8, 3, 3, 4), (2, 5, 6, 8), groups=2, **same) == mps
    assert convolution_kernels((2, 5, 6, 6), (6, 3, 3, 1), (2, 5, 6, 6), groups=6, **same) == mps


def test_convolutions_on_other_gpus(emulation: Emulation) -> None:
    """GPUs of Macs with Intel processors have no matrices in simdgroups."""
    emulation.set("discrete_memory", 1)
    test_convolutions()


@pytest.mark.gpu
def test_convolutions_that_mps_does_not_have() -> None:
    """Shaders compute batches that are too large for MPS, and groups and multipliers that MPS does not support."""
    many_images = convolution_kernels((2049, 1, 1, 1), (1, 1, 1, 1), (2049, 1, 1, 1))
    # The name ends with "_in_simdgroups" on a GPU that has matrices in simdgroups.
    assert any(kernel.startswith("array_data_gradient_product") for kernel in many_images)
    shader = "array_data_gradient"
    assert shader in convolution_kernels((1, 3, 3, 6), (6, 1, 1, 3), (1, 3, 3, 6), groups=2)
    assert shader in convolution_kernels((1, 3, 3, 4), (8, 1, 1, 1), (1, 3, 3, 8), groups=4)


def test_old_devices_train_by_shaders(emulation: Emulation) -> None:
    """MPS computes gradients only on devices of the families Mac 2, Apple 7 and Metal 3, and forward layers on all."""
    emulation.set("old_gpu", 1)
    given = ("convolution_data_gradient", [(2, 5, 6, 7), (7, 3, 3, 3), (2, 5, 6, 3)])
    attributes = {"output_channels": 7, "kernel_height": 3, "kernel_width": 3, "padding": "same"}
    assert "array_data_gradient_product" in profile_of(*given, attributes)
    for operation, shapes, other, _ in CASES.values():
        assert not any("MPS" in kernel for kernel in profile_of(operation, shapes, other))


POOLED = [(1, 2, 2, 3), (1, 4, 4, 3), (1, 2, 2, 3)]
WINDOW = {"kernel_height": 2, "kernel_width": 2, "stride_y": 2, "stride_x": 2}
CASES: dict[str, tuple[str, list[tuple[int, ...]], dict[str, Any], str]] = {
    "softmax": ("softmax_gradient", [(2, 5), (2, 5)], {}, "MPSCNNSoftMaxGradient"),
    "logarithm": ("softmax_gradient", [(2, 5), (2, 5)], {"logarithm": True}, "MPSCNNLogSoftMaxGradient"),
    "average": ("pooling_gradient", POOLED, {"kind": "average", **WINDOW}, "MPSCNNPoolingAverageGradient"),
    "maximum": ("pooling_gradient", POOLED, {"kind": "max", **WINDOW}, "array_pooling_gradient"),
    "maximum of channels in fours": (
        "pooling_gradient",
        [(1, 2, 2, 8), (1, 4, 5, 8), (1, 2, 2, 8)],
        {"kind": "max", **WINDOW},
        "array_pooling_gradient_2x2",
    ),
    "norm": ("pooling_gradient", POOLED, {"kind": "l2_norm", **WINDOW}, "array_pooling_gradient"),
    "nearest": (
        "resize_gradient",
        [(1, 4, 6, 3), (1, 2, 2, 3)],
        {"kind": "nearest", "height": 4, "width": 6},
        "MPSCNNUpsamplingNearestGradient",
    ),
    "bilinear": (
        "resize_gradient",
        [(1, 4, 6, 3), (1, 2, 2, 3)],
        {"kind": "bilinear", "height": 4, "width": 6},
        "array_resize_gradient",
    ),
}


@pytest.mark.gpu
@pytest.mark.parametrize("case", CASES)
def test_others(case: str) -> None:
    operation, shapes, attributes, kernel = CASES[case]
    assert profile_of(operation, shapes, attributes) == (kernel,)


def test_kernels_that_mps_cannot_make(emulation: Emulation) -> None:
    """Each of the two MPS kernels for the gradients of a dense layer may be missing."""
    emulation.set("discrete_memory", 1)  # without matrices in simdgroups, which would compute them
    trainer = mpscnn.Trainer(line(), loss="mean_squared_error", device="metal")
    x, y = np.ones((4, 6), np.float32), np.ones((4, 2), np.float32)
    for made in range(2):
        emulation.set("successes_first", made)
        emulation.set("fail_kernels", 1)
        with pytest.raises(mpscnn.DeviceError, match=r"MPS cannot make the gradient of layer '\w+"):
            trainer.step(x, y)
    assert trainer.step(x, y) > 0


def test_images_that_find_no_memory(emulation: Emulation) -> None:
    """If any texture cannot be created, there is a DeviceError, weights do not change, and no image is left."""
    emulation.set("discrete_memory", 1)  # without matrices in simdgroups, which need no images
    trainer = mpscnn.Trainer(quarters(rate=0.0), device="metal")
    x, y = blobs(4)
    trainer.step(x, y)
    before: dict[str, NDArray[np.float32]] = {n: np.array(v) for n, v in trainer.network.weights.items()}
    for fine in range(0, 30, 7):
        emulation.set("successes_first", fine)
        emulation.set("fail_textures", 1)
        with pytest.raises(mpscnn.DeviceError, match="cannot allocate an image"):
            trainer.step(x, y)
    emulation.set("fail_textures", 0)
    emulation.set("successes_first", 0)
    for name, value in trainer.network.weights.items():
        np.testing.assert_array_equal(value, before[name])
    assert np.isfinite(trainer.step(x, y))


#: The raw kernels of training that MPS computes.
BY_MPS = {
    "ConvolutionGradient",
    "FullyConnectedGradient",
    "LogSoftMaxGradient",
    "PoolingAverageGradient",
    "SoftMaxGradient",
    "UpsamplingNearestGradient",
}
#: Raw kernels of several operations, some of which (poolings, gradients of convolutions) MPS computes.
MADE_OF_OTHERS = {
    "ConvolutionTransposeGradient",
    "LocalContrastNormalizationGradient",
    "PoolingMaxGradient",
    "SpatialNormalizationGradient",
}


def test_raw_kernels_are_apples_where_the_table_says_so(emulation: Emulation) -> None:
    """The test makes all results of MPS wrong. The kernels whose results change are those that MPS computes.

    GPUs with matrices in simdgroups compute some gradients by own kernels, which are faster.
    """
    emulation.set("discrete_memory", 1)
    changed = set()
    for case in kernel_cases():
        if case.subject.endswith("Gradient") or case.subject.startswith(("Loss", "ForwardLoss", "Optimizer")):
            right = run(case.recipe, "metal")
            emulation.set("wrong_results", 1)
            spoiled = run(case.recipe, "metal")
            emulation.set("wrong_results", 0)
            if any(not np.array_equal(right[name], spoiled[name]) for name in right):
                changed.add(case.subject)
    assert changed == BY_MPS | MADE_OF_OTHERS
