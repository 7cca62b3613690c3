"""Tests of chains (convolutions that run band by band): results have the same bits as layer by layer."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from kernels_here import needs_fma
from numpy.typing import NDArray

import mpscnn
from mpscnn import models
from mpscnn.graph.features import extractor_network

ACTIVATIONS: list[Any] = ["relu6", "relu", None, "prelu", "tanh", "leaky_relu"]


def run(
    network: mpscnn.Network, x: NDArray[np.float32], fusion: str, precision: str = "float32", threads: int = 1
) -> list[NDArray[Any]]:
    """Return all outputs with a setting of MPSCNN_FUSION."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPSCNN_FUSION", fusion)
        session = network.compile(device="cpu", precision=precision).session(threads=threads)
        first, again = outputs(session.run(x)), outputs(session.run(x))
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first, again, strict=True))
    return first


def outputs(result: Any) -> list[NDArray[Any]]:
    return list(result.values()) if isinstance(result, dict) else [result]


def same(network: mpscnn.Network, x: NDArray[np.float32], fusion: str, precision: str, threads: int) -> bool:
    alone = run(network, x, "none", precision)
    chained = run(network, x, fusion, precision, threads)
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(alone, chained, strict=True))


@st.composite
def chains(draw: st.DrawFn) -> mpscnn.Network:
    """Draw a network of a few inverted residuals, depthwise separable convolutions and plain convolutions."""
    channels = draw(st.integers(1, 20))
    network = mpscnn.Network(input=(draw(st.integers(1, 20)), draw(st.integers(1, 20)), channels))
    x = network.input
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["residual", "separable", "first"]))
        activation = draw(st.sampled_from(ACTIVATIONS))
        outputs = draw(st.integers(1, 40))
        if kind == "first":
            x = network.conv2d(
                x, outputs, 3, strides=draw(st.integers(1, 2)), padding="same", activation=activation
            )
        y = x
        if kind == "residual":
            expanded = channels * draw(st.integers(1, 6)) if kind == "residual" else 0
            y = network.conv2d(y, max(2, expanded), 1, activation=activation)
        strides = draw(st.integers(1, 2))
        y = network.depthwise_conv2d(
            y,
            draw(st.sampled_from([3, 3, 5])),
            strides=strides,
            dilation=draw(st.integers(1, 2)) if strides == 1 else 1,
            padding="same",
            activation=activation,
        )
        keeps = kind == "residual" and strides == 1
        y = network.conv2d(
            y, x.shape[-1] if keeps else outputs, 1, activation=draw(st.sampled_from(ACTIVATIONS))
        )
        x = network.add(x, y) if keeps else y
    network.output(x)
    network.initialize_weights(draw(st.integers(0, 100)))
    return network


@settings(max_examples=60)
@given(
    network=chains(),
    batch=st.integers(1, 3),
    rows=st.integers(0, 7),
    channels=st.sampled_from([0, 16, 32, 64]),
    stages=st.integers(2, 8),
    threads=st.integers(1, 4),
    precision=st.sampled_from(["float32", "float16"]),
    nan=st.booleans(),  # not always: it may spread over all results of a small network
)
def test_chains_change_no_bit(
    network: mpscnn.Network,
    batch: int,
    rows: int,
    channels: int,
    stages: int,
    threads: int,
    precision: str,
    nan: bool,
) -> None:
    shape = (batch, *(extent or 1 for extent in network.input.shape[1:]))
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    if nan:
        x[0, 0, 0, 0] = np.nan
    assert same(network, x, f"rows={rows},channels={channels},stages={stages}", precision, threads)


def mobilenet() -> tuple[mpscnn.Network, NDArray[np.float32]]:
    network = models.mobilenet_v2(depth_multiplier=0.35, input_size=96)
    network.initialize_weights(1)
    return network, np.random.default_rng(0).normal(size=(2, 96, 96, 3)).astype(np.float32)


@pytest.mark.parametrize(
    "fusion", ["auto", "rows=2", "rows=4,channels=32,stages=3", "rows=0,channels=64,stages=2"]
)
def test_a_mobilenet_in_chains_has_the_same_bits(fusion: str) -> None:
    network, x = mobilenet()
    for threads in (1, 3):
        assert same(network, x, fusion, "float32", threads)


@pytest.mark.parametrize("follower", ["pointwise", "depthwise"])
@pytest.mark.parametrize("fusion", ["auto", "rows=2", "rows=0,channels=64"])
def test_a_transformed_convolution_begins_no_chain(follower: str, fusion: str) -> None:
    """A Winograd convolution cannot begin a chain, because the chain's kernels cannot read its packed weights."""
    network = mpscnn.Network(input=(24, 20, 32))
    y = network.conv2d(network.input, 48, 3, padding="same", activation="relu", name="dense")
    y = (
        network.conv2d(y, 24, 1)
        if follower == "pointwise"
        else network.depthwise_conv2d(y, 3, padding="same")
    )
    network.output(network.conv2d(y, 40, 1))
    network.initialize_weights(1)
    x = np.random.default_rng(0).normal(size=(1, 24, 20, 32)).astype(np.float32)
    for threads in (1, 2):
        assert same(network, x, fusion, "float32", threads)


def test_layers_that_are_wanted_are_not_fused_away() -> None:
    network, x = mobilenet()
    extractor = extractor_network(network, ["expand3", "depthwise3", "add3"])
    assert same(extractor, x, "rows=2", "float32", 1)


def test_check_finite_names_the_layer_within_a_chain() -> None:
    network = mpscnn.Network(input=(8, 8, 4))
    y = network.conv2d(network.input, 24, 1, activation="relu", name="expand")
    y = network.depthwise_conv2d(y, 3, padding="same", activation="relu6", name="depthwise")
    network.output(network.conv2d(y, 4, 1, name="project"))
    network.initialize_weights(1)
    weights = np.zeros((24, 1, 1, 4), np.float32)
    weights[5, 0, 0, 2] = 1e30
    ones = np.ones((24, 3, 3, 1), np.float32)  # with ones, relu6 hides the infinity
    network.load_weights({"expand.weight": weights, "depthwise.weight": ones}, layout="OHWI")
    x = np.ones((1, 8, 8, 4), np.float32)
    x[0, 3, 6, 2] = 1e30
    assert np.isfinite(run(network, x, "rows=2")[0]).all()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPSCNN_FUSION", "rows=2")
        session = network.compile(device="cpu").session(check_finite=True)
        with pytest.raises(
            mpscnn.ParameterError, match="layer 'expand': infinity at image 0, row 3, column 6, channel 5"
        ):
            session.run(x)


@pytest.mark.parametrize(
    "text", ["fast", "rows", "rows=-1", "rows=2,", "stages=1", "stages=9", "columns=2", "rows=2x"]
)
def test_other_settings_are_refused(text: str) -> None:
    network, x = mobilenet()
    with pytest.raises(mpscnn.ParameterError, match="MPSCNN_FUSION: expected"):
        run(network, x, text)


def test_explain_shows_every_layer_once() -> None:
    network = models.mobilenet_v2()  # large enough for chains, whatever the caches
    network.initialize_weights(1)
    program = network.compile(device="cpu")
    explained = program.explain(threads=1)
    layers = [layer for step in explained.steps for layer in step.layers]
    assert len(set(layers)) == len(layers)
    assert {"conv1", "expand2", "depthwise2", "project2", "add3", "conv_last"} <= set(layers)
    chains = [step for step in explained.steps if step.kernel == "chain"]
    assert chains
    for step in chains:
        assert step.predicted_us is not None
        alone = step.alternatives[0]
        assert alone.layers == step.layers  # without a chain, the step is the same
        assert step.reason in repr(explained)
    assert explained.threads == 1
    assert program.explain(threads=3).threads == 3


def test_explain_says_what_is_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    network, _ = mobilenet()
    monkeypatch.setenv("MPSCNN_FUSION", "none")
    assert not [step for step in network.compile(device="cpu").explain().steps if step.kernel == "chain"]
    monkeypatch.setenv("MPSCNN_FUSION", "rows=2,channels=64,stages=3")
    chains = [step for step in network.compile(device="cpu").explain().steps if step.kernel == "chain"]
    assert chains
    assert all("2 rows" in step.choice and "64 channels" in step.choice for step in chains)
    small = mpscnn.Network(input=(10, 10, 16))
    y = small.conv2d(small.input, 32, 1)
    small.output(small.depthwise_conv2d(y, 3, padding="same"))
    small.initialize_weights()
    (step,) = small.compile(device="cpu", precision="float32").explain().steps
    assert "pass 12.8 kB to each other, which fits" in step.reason  # 10 x 10 x 32 numbers


def test_explain_predicts_nothing_for_a_chain_that_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    network = mpscnn.Network(input=(1024, 1024, 16))
    y = network.conv2d(network.input, 96, 1, name="expand")
    network.output(network.depthwise_conv2d(y, 3, padding="same", name="depthwise"))
    network.initialize_weights()
    monkeypatch.setenv("MPSCNN_FUSION", "rows=0")  # the whole result of "expand", 400 MB, is one band
    (step,) = network.compile(device="cpu").explain(threads=1).steps
    assert (step.kernel, step.predicted_us) == ("chain", None)


def predicted(network: mpscnn.Network, threads: int = 1) -> list[float]:
    steps = network.compile(device="cpu").explain(threads=threads).steps
    times = [step.predicted_us for step in steps if step.predicted_us is not None]
    assert len(times) == len(steps)
    return times


def test_explain_predicts_every_step_of_the_published_networks() -> None:
    for network in (models.mobilenet_v2(), models.deeplab_v3(input_size=129), models.deep_mnist()):
        network.initialize_weights()
        assert all(time > 0 for time in predicted(network))


def convolution(size: int, inputs: int, outputs: int, kernel: int, dilation: int = 1) -> mpscnn.Network:
    network = mpscnn.Network(input=(size, size, inputs))
    network.output(network.conv2d(network.input, outputs, kernel, padding="same", dilation=dilation))
    network.initialize_weights()
    return network


def test_explain_predicts_what_convolutions_alone_take() -> None:
    # With so many channels, products determine the time, whether or not the tensors fit into a cache.
    (small,), (large,) = predicted(convolution(32, 256, 256, 1)), predicted(convolution(64, 256, 256, 1))
    assert 3.5 < large / small < 4.5
    (dense,), (threads,) = (
        predicted(convolution(64, 64, 64, 1)),
        predicted(convolution(64, 64, 64, 1), threads=2),
    )
    assert threads < dense
    network = mpscnn.Network(input=(4096,))
    network.output(network.dense(network.input, 1000))
    network.initialize_weights()
    # Each weight is read once: at 1 to 200 bytes for a nanosecond, whatever the machine.
    assert 4 * 4096 * 1000 / 200e3 < predicted(network)[0] < 4 * 4096 * 1000 / 1e3


@needs_fma
def test_explain_predicts_fewer_products_where_tiles_are_transformed() -> None:
    (products,) = predicted(convolution(56, 64, 64, 3, dilation=2))
    (transformed,) = predicted(convolution(56, 64, 64, 3))
    assert 0.25 < transformed / products < 0.5


def test_explain_predicts_nothing_for_kernels_that_it_does_not_know() -> None:
    network = mpscnn.Network(input=(8, 8, 16))
    network.output(network.local_response_norm(network.input, 3))
    (step,) = network.compile(device="cpu").explain(threads=1).steps
    assert step.predicted_us is None


def test_explain_shows_where_tensors_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSCNN_FUSION", "rows=4,channels=64,stages=3")
    network = mpscnn.Network(input=(32, 20, 18))
    y = network.conv2d(network.input, 144, 1, name="expand")
    y = network.depthwise_conv2d(y, 3, padding="same", name="depthwise")
    y = network.conv2d(y, 18, 1, name="project")
    sum_ = network.add(network.input, y, name="sum")
    pooled = network.max_pool2d(sum_, 2, name="pooled")
    other = network.average_pool2d(sum_, 2, name="other")
    joined = network.concat([pooled, other], name="joined")
    network.output(network.dense(network.max_pool2d(joined, 2, name="last"), 3, name="scores"))
    network.initialize_weights()
    explained = network.compile(device="cpu").explain(threads=1)
    tensors = {tensor.name: tensor for tensor in explained.tensors}
    assert list(tensors) == [
        "image", "expand", "depthwise", "sum", "pooled", "other", "joined", "last", "scores"
    ]  # fmt: skip
    assert tensors["expand"].shape == (1, 32, 20, 144)
    assert (tensors["image"].memory, tensors["scores"].memory) == ("input", "output")
    assert tensors["image"].layout == "as the array's strides say"
    # First a band of 4 rows with the border of the window, then the band alone.
    assert tensors["expand"].layout == "6 of 32 rows, panels of 64 channels"
    assert tensors["depthwise"].layout == "4 of 32 rows"
    vector = {"baseline": 4, "neon": 4, "avx2": 8, "avx512": 16, "amx": 16}[explained.instruction_set]
    pitch = -(-18 // vector) * vector
    assert (tensors["sum"].memory, tensors["sum"].pixel_pitch) == ("arena", pitch)
    assert tensors["sum"].layout == f"{pitch} a pixel, {pitch - 18} padding"
    whole = -(-36 // vector) * vector
    assert (tensors["other"].within, tensors["other"].pixel_pitch) == ("joined", whole)
    assert tensors["joined"].within is None
    assert tensors["last"].pixel_pitch == 36  # a dense layer reads it as one row
    assert "arena, in joined" in repr(explained)


def test_explain_shows_a_result_that_is_pooled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSCNN_FUSION", "rows=4")
    network = mpscnn.Network(input=(32, 32, 3))
    y = network.conv2d(network.input, 16, 3, padding="same", name="conv")
    network.output(network.max_pool2d(y, 2, name="pool"))
    network.initialize_weights()
    explained = network.compile(device="cpu").explain(threads=1)
    (step,) = explained.steps
    assert (step.kernel, step.choice) == ("pooled convolution", "with its pooling")
    assert step.predicted_us is not None
    assert [tensor.memory for tensor in explained.tensors] == ["input", "chain", "output"]
    assert explained.tensors[1].layout == "some rows, until they are pooled"


def test_explain_needs_a_size() -> None:
    network = mpscnn.Network(input=(None, None, 3), name="free")
    network.output(network.conv2d(network.input, 4, 3, padding="same"))
    network.initialize_weights()
    program = network.compile(device="cpu")
    with pytest.raises(mpscnn.ShapeError, match="give its shape"):
        program.explain()
    with pytest.raises(mpscnn.ParameterError, match="threads"):
        program.explain((1, 8, 8, 3), threads=0)
    assert len(program.explain((2, 8, 8, 3)).steps) == 1
