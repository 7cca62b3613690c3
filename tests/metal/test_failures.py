"""Test that each creation of a Metal object may fail, at every place where the engine creates one."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from metal.emulation import RAISED, Emulation
from test_structure import smallest
from tiers import with_full
from unsupported_cases import Layer

import mpscnn
from mpscnn import kernels

#: A function that creates all Metal objects that it uses, keeps none of them, and returns a result.
Work = Callable[[], Any]

PIXELS, MORE = (4, 4, 3), (4, 4, 4)
POWER = {"kind": "power", "a": 1.0, "b": 2.0, "c": 2.0}  # MPS cannot fuse this function into a convolution
# These networks use other code paths of the engine. They are tested in addition to a network for each operation.
VARIANTS: dict[str, Layer] = {
    "batch_normalization of float16": Layer("batch_normalization", [PIXELS], precision="float16"),
    "concatenation of slices": Layer("concatenation", [MORE, PIXELS]),
    "concatenation within slices": Layer("concatenation", [PIXELS, MORE]),
    "convolution of groups": Layer("convolution", [(4, 4, 6)], {"output_channels": 4, "groups": 2}),
    "convolution with a neuron behind it": Layer(
        "convolution", [PIXELS], {"output_channels": 2, "kernel_height": 3}, POWER
    ),
    "convolution of points with a neuron": Layer("convolution", [PIXELS], {"output_channels": 2}, POWER),
    "depthwise convolution": Layer("convolution", [PIXELS], {"output_channels": 3, "groups": 3}),
    "depthwise convolution 3x3": Layer(
        "convolution", [PIXELS], {"output_channels": 3, "groups": 3, "kernel_height": 3, "kernel_width": 3}
    ),
    "dropout in training": Layer("dropout", [PIXELS], {"training": True}),
    **{
        f"{name} by MPS": Layer(name, [PIXELS], precision="float16")
        for name in (
            "cross_channel_normalization",
            "local_contrast_normalization",
            "spatial_normalization",
        )
    },
    "pooling of norms by MPS": Layer(
        "pooling", [PIXELS], {"kind": "l2_norm", "kernel_height": 2}, precision="float16"
    ),
    "pooling of norms by a shader": Layer("pooling", [PIXELS], {"kind": "l2_norm", "kernel_height": 2}),
    "pooling by a shader": Layer("pooling", [PIXELS], {"kernel_height": 2, "dilation_y": 2}),
    "reshape to rows": Layer("reshape", [PIXELS], {"shape": [8, 2, 3]}),
    "transposed_convolution of groups": Layer(
        "transposed_convolution", [MORE], {"output_channels": 4, "groups": 2}
    ),
}
LAYERS = {entry["name"]: smallest(entry["name"]) for entry in mpscnn.operations()}
#: The layers that MPS computes. The engine's shaders compute all others.
BY_MPS = {
    "convolution",
    "convolution with a neuron behind it",
    "cross_channel_normalization by MPS",
    "fully_connected",
    "local_contrast_normalization by MPS",
    "log_softmax",
    "pooling",
    "pooling of norms by MPS",
    "raw kernel",
    "softmax",
    "spatial_normalization by MPS",
    "subpixel_convolution",
    "transposed_convolution",
}
SWITCHES = [
    "fail_queues",
    "fail_libraries",
    "fail_functions",
    "fail_pipelines",
    "fail_kernels",
    "fail_buffers",
    "fail_textures",
    "fail_command_buffers",
    "fail_encoders",
]


def values(*shape: int) -> Any:
    return np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape)


def network_work(net: mpscnn.Network, precision: str = "float32") -> Work:
    def run() -> Any:
        program = net.compile(device="metal", precision=precision)
        shapes = [tuple(extent or 2 for extent in shape) for shape in program.inputs.values()]
        inputs = [values(*shape) for shape in shapes]
        return program.session().run(inputs if len(inputs) > 1 else inputs[0])

    return run


def normalization_by_statistics() -> mpscnn.Network:
    net = mpscnn.Network(input=PIXELS)
    statistics = net.layer("batch_statistics", [net.input], {}, name="statistics")
    net.output(net.layer("batch_normalization", [net.input, statistics], {}, name="layer"))
    net.initialize_weights(1)
    return net


def convolve_signals() -> Any:
    return mpscnn.convolve1d(values(3, 20), values(5), device="metal")


def encode_a_raw_kernel() -> Any:
    pool = kernels.PoolingAverage(2, 2, stride_x=2, stride_y=2, offset=(1, 1, 0))
    with mpscnn.CommandQueue("metal").command_buffer() as commands:
        result = pool.encode(commands, mpscnn.Image.from_numpy(values(4, 4, 3)))
    return result.numpy().copy()


def profile_a_network() -> Any:
    net = Layer("convolution", [PIXELS], {"output_channels": 2}, POWER | {"c": 3.0}).network()
    profile = net.compile(device="metal").session().profile(values(2, *PIXELS), runs=1)
    return np.array([step.kernel for step in profile.steps])


ADD = """
#include <metal_stdlib>
using namespace metal;

kernel void add(texture2d<float, access::read> source [[texture(0)]],
                texture2d<float, access::write> result [[texture(1)]], device float *sums [[buffer(0)]],
                uint2 position [[thread_position_in_grid]]) {
    if (position.x >= result.get_width() || position.y >= result.get_height()) return;
    float4 pixel = source.read(position);
    result.write(pixel + 1.0f, position);
    sums[position.y * result.get_width() + position.x] = pixel.x + pixel.y;
}
"""


def encode_a_custom_kernel() -> Any:
    add = kernels.MetalKernel(ADD, "add")
    result, sums = mpscnn.Image(4, 4, 3), np.zeros((4, 4), np.float32)
    with mpscnn.CommandQueue("metal").command_buffer() as commands:
        add.encode(commands, mpscnn.Image.from_numpy(values(4, 4, 3)), result, sums)
    return np.append(result.numpy(), sums)


WORK: dict[str, Work] = {
    **{
        name: network_work(Layer(name, list(shapes), attributes).network())
        for name, (shapes, attributes) in LAYERS.items()
    },
    **{name: network_work(layer.network(), layer.precision) for name, layer in VARIANTS.items()},
    "batch_normalization by statistics": network_work(normalization_by_statistics()),
    "signals": convolve_signals,
    "raw kernel": encode_a_raw_kernel,
    "profile": profile_a_network,
    "custom kernel": encode_a_custom_kernel,
}


def needs(name: str, switch: str) -> bool:
    if switch == "fail_kernels":
        return name in BY_MPS
    return not (name == "signals" and switch == "fail_textures")


def require_nothing_left(emulation: Emulation) -> None:
    if emulation.live_objects():
        gc.collect()
    assert emulation.live_objects() == ""


def failure_of(work: Work, expected: Any) -> str | None:
    """Return the message of the DeviceError; None if the engine has a fallback and the result is right."""
    try:
        result = work()
    except mpscnn.DeviceError as error:
        return str(error)
    np.testing.assert_array_equal(result, expected)
    return None


def fail_everywhere(
    emulation: Emulation, work: Work, switch: str, expected: Any, exceptions: bool = False
) -> int:
    """Let the first creation that the switch affects fail, then the second, and so on. Returns their number.

    With `exceptions` each raises an exception of the framework instead, whose name and reason the error must keep.
    """
    for succeeding in range(200):
        emulation.set("throw_failures", exceptions)
        emulation.set("successes_first", succeeding)
        emulation.set(switch, 1)
        message = failure_of(work, expected)
        reached = emulation.get(switch) == 0
        emulation.set(switch, 0)
        emulation.set("successes_first", 0)
        emulation.set("throw_failures", 0)
        require_nothing_left(emulation)
        if not reached:
            assert message is None
            return succeeding
        assert message is None or (
            RAISED in message if exceptions else "Metal" in message or "MPS" in message
        )
    pytest.fail("more than 200 things are asked for")


@pytest.mark.parametrize("name", WORK)
def test_each_failure_is_an_error_and_leaves_nothing(emulation: Emulation, full: bool, name: str) -> None:
    """The default tier tries a third of the switches for each network. The next two networks try the other thirds."""
    work = WORK[name]
    expected = work()
    for switch in SWITCHES if full else SWITCHES[list(WORK).index(name) % 3 :: 3]:
        count = fail_everywhere(emulation, work, switch, expected)
        assert (count > 0) == needs(name, switch), f"{switch} had {count} things to let fail"
        np.testing.assert_array_equal(work(), expected)


WALKED = ["convolution", "softmax", "raw kernel", "custom kernel"]


@pytest.mark.parametrize("name", with_full(WALKED, [name for name in WORK if name not in WALKED]))
def test_each_exception_of_a_framework_keeps_its_name_and_reason(emulation: Emulation, name: str) -> None:
    """The default tier walks networks by MPS and by shaders, and kernels that are encoded one by one."""
    work = WORK[name]
    expected = work()
    for switch in SWITCHES:
        count = fail_everywhere(emulation, work, switch, expected, exceptions=True)
        assert (count > 0) == needs(name, switch), f"{switch} had {count} things to let fail"
    np.testing.assert_array_equal(work(), expected)


@pytest.mark.parametrize("name", WORK)
def test_a_failed_request_leaves_nothing(emulation: Emulation, name: str) -> None:
    work = WORK[name]
    expected = work()
    emulation.set("command_buffer_error", 8)
    with pytest.raises(mpscnn.DeviceError, match=r"\(code 8\)"):
        work()
    require_nothing_left(emulation)
    np.testing.assert_array_equal(work(), expected)


@pytest.mark.parametrize(
    "switch",
    ["fail_buffers", "fail_textures", "fail_command_buffers", "fail_encoders", "command_buffer_error"],
)
def test_a_session_goes_on_after_a_failure(emulation: Emulation, switch: str) -> None:
    net = Layer("convolution", [PIXELS], {"output_channels": 2}).network()
    session = net.compile(device="metal").session()
    x = values(2, *PIXELS)
    emulation.set(switch, 1)
    with pytest.raises(mpscnn.DeviceError):
        session.run(x)
    expected = session.run(x)
    assert np.isfinite(expected).all()
    if switch != "fail_buffers":  # a run needs no new buffers
        emulation.set(switch, 1)
        with pytest.raises(mpscnn.DeviceError):
            session.run(x)
    np.testing.assert_array_equal(session.run(x), expected)


@pytest.mark.parametrize("name", ["softmax", "signals", "raw kernel", "custom kernel"])
def test_handlers_may_live_as_long_as_their_command_buffer(emulation: Emulation, name: str) -> None:
    """Waiting for a handler must not keep the command buffer alive, because the buffer may keep the handler."""
    emulation.set("keep_handlers", 1)
    worker = threading.Thread(target=WORK[name], daemon=True)
    worker.start()
    worker.join(60)
    assert not worker.is_alive(), "it waits for ever"
