"""Each thing that Metal may fail to make fails once, at every place where a network asks for it."""

from __future__ import annotations

import contextlib
import gc
from typing import Any

import numpy as np
import pytest
from metal.emulation import Emulation

import mpscnn

# Smallest networks, one for each family of operations: input shapes, operation, attributes.
FAMILIES: dict[str, tuple[list[tuple[int, ...]], str, dict[str, Any]]] = {
    "arithmetic": ([(4, 4, 3), (4, 4, 3)], "multiply", {}),
    "binary convolution": ([(4, 4, 3)], "binary_convolution", {"output_channels": 2}),
    "concatenation": ([(4, 4, 4), (4, 4, 3)], "concatenation", {}),
    "convolution": (
        [(4, 4, 3)],
        "convolution",
        {"output_channels": 2, "kernel_height": 3, "kernel_width": 3},
    ),
    "depthwise": ([(4, 4, 3)], "convolution", {"output_channels": 3, "groups": 3}),
    "dense": ([(4, 3, 3)], "fully_connected", {"outputs": 2}),
    "neuron": ([(4, 4, 3)], "neuron", {"kind": "relu"}),
    "normalization": ([(4, 4, 3)], "group_normalization", {"groups": 1}),
    "neighbours": ([(4, 4, 3)], "cross_channel_normalization", {}),
    "padding": ([(4, 4, 3)], "padding", {"top": 1, "left": 2}),
    "pooling": ([(4, 4, 3)], "pooling", {"kind": "max", "kernel_height": 2, "kernel_width": 2}),
    "reduction": ([(4, 4, 3)], "reduction", {}),
    "resize": ([(4, 4, 3)], "resize", {"height": 8, "width": 7}),
    "softmax": ([(4, 4, 3)], "softmax", {}),
    "subpixel": ([(4, 4, 3)], "subpixel_convolution", {"output_channels": 2}),
    "transposed": ([(4, 4, 3)], "transposed_convolution", {"output_channels": 2}),
}
SWITCHES = ["fail_buffers", "fail_textures", "fail_pipelines", "fail_libraries"]


def network_of(family: str) -> mpscnn.Network:
    shapes, operation, attributes = FAMILIES[family]
    net = mpscnn.Network(input={f"x{i}": shape for i, shape in enumerate(shapes)})
    net.output(net.layer(operation, net.inputs, attributes, name="layer"))
    net.initialize_weights(1)
    return net


def run(net: mpscnn.Network) -> Any:
    program = net.compile(device="metal")
    shapes = [(2, *shape[1:]) for shape in program.inputs.values()]
    inputs = [np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape) for shape in shapes]
    return program.session().run(inputs if len(inputs) > 1 else inputs[0])


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("family", FAMILIES)
def test_each_failure_is_an_error_and_leaves_nothing(emulation: Emulation, family: str, switch: str) -> None:
    net = network_of(family)
    expected = run(net)
    for succeeding in range(200):
        emulation.set("successes_first", succeeding)
        emulation.set(switch, 1)
        with contextlib.suppress(mpscnn.DeviceError):  # where Metal has another way there is none
            np.testing.assert_array_equal(run(net), expected)
        gc.collect()
        assert emulation.live_objects() == ""
        if emulation.get(switch) == 1:  # not reached: all places have failed
            break
    else:
        pytest.fail(f"{family} asks for more than 200 things")
    emulation.set(switch, 0)
    emulation.set("successes_first", 0)
    np.testing.assert_array_equal(run(net), expected)
    assert succeeding > 0, "the switch had nothing to let fail"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_failed_request_leaves_nothing(emulation: Emulation, family: str) -> None:
    net = network_of(family)
    expected = run(net)
    emulation.set("command_buffer_error", 8)
    with pytest.raises(mpscnn.DeviceError, match=r"\(code 8\)"):
        run(net)
    gc.collect()
    assert emulation.live_objects() == ""
    np.testing.assert_array_equal(run(net), expected)
