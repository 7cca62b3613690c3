"""Tests of profiles on a GPU: each step runs in a separate command buffer, and results do not change."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from metal.emulation import Emulation

import mpscnn


def network() -> mpscnn.Network:
    """Return a network with layers of several kernels and consumers, by MPS and by shaders, and two outputs."""
    net = mpscnn.Network(input=(12, 10, 5), name="watched")
    x = net.conv2d(net.input, 8, 3, padding="same", activation="relu", name="conv")
    y = net.depthwise_conv2d(net.batch_norm(x, name="normalized"), 3, padding="same", name="depthwise")
    x = net.concat([x, net.max_pool2d(y, 3, strides=1, padding="same", name="pool"), net.input], name="both")
    x = net.output(net.group_norm(x, 3, name="norm"))
    net.output(net.softmax(net.dense(net.flatten(x, name="flat"), 4, name="dense"), name="softmax"))
    net.initialize_weights(3)
    return net


def images(count: int = 2) -> Any:
    return np.random.default_rng(0).uniform(-1, 1, (count, 12, 10, 5)).astype(np.float32)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_every_layer_is_done_once(precision: str) -> None:
    net = network()
    profile = net.compile(device="metal", precision=precision).session().profile(images(), runs=3)
    layers = {layer["name"]: layer["flops"] for layer in net.describe()["layers"]}
    done = [layer for step in profile.steps for layer in step.layers] + list(profile.layers_without_step)
    assert sorted(done) == sorted(layers)
    assert profile.layers_without_step == ("flat",)
    assert profile.flops == 2 * sum(layers.values())
    assert (profile.device, profile.precision) == ("metal", precision)
    assert (profile.threads, profile.instruction_set, profile.peak) == (None, None, None)
    assert [step.kernel for step in profile.steps if "conv" in step.layers] == ["MPSCNNConvolution"]
    assert [step.kernel for step in profile.steps if not step.layers] == [
        "copy of an input",
        "copy of an output",
        "copy of an output",
    ]
    for step in profile.steps:
        assert step.kernel
        assert step.bytes > 0
        assert step.minimum >= 0
        assert (step.peak_share, step.lost) == (None, None)
    assert profile.minimum > 0
    assert "each step has its own command buffer" in repr(profile)


@pytest.mark.gpu
def test_steps_of_the_trace_do_not_overlap() -> None:
    profile = network().compile(device="metal").session().profile(images(), runs=2)
    events = [event for event in profile.chrome_trace()["traceEvents"] if event["ph"] == "X"]
    assert len(events) == len(profile.steps)
    assert {event["tid"] for event in events} == {0}
    for event, following in itertools.pairwise(events):
        assert event["ts"] + event["dur"] <= following["ts"] + 1e-3


def test_batches_take_several_passes() -> None:
    net = mpscnn.Network(input=(1, 1, 8192), name="wide")
    net.output(net.activation(net.input, "relu", name="relu"))
    profile = net.compile(device="metal").session().profile(np.ones((3, 1, 1, 8192), np.float32), runs=1)
    events = [event for event in profile.chrome_trace()["traceEvents"] if event["ph"] == "X"]
    assert len(profile.steps) == 3
    assert len(events) == 9
    assert next(step for step in profile.steps if step.layers).bytes == 3 * 2 * 4 * 8192


@pytest.mark.gpu
def test_later_runs_are_right() -> None:
    session = network().compile(device="metal").session()
    expected = session.run(images())
    session.profile(np.full_like(images(), np.nan), runs=1)
    again = session.run(images())
    assert isinstance(expected, dict)
    assert isinstance(again, dict)
    for name in expected:
        np.testing.assert_array_equal(expected[name], again[name])


def test_failures_are_errors(emulation: Emulation) -> None:
    session = network().compile(device="metal").session()
    session.run(images())
    emulation.set("command_buffer_error", 8)
    with pytest.raises(mpscnn.DeviceError, match=r"\(code 8\)"):
        session.profile(images(), runs=1)
    assert session.profile(images(), runs=1).minimum > 0
