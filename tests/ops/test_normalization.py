"""Batch normalization, alone and folded, against the float64 reference."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import precisions, run_layer, seeds, values
from reference.convolution import convolution
from reference.normalization import batch_normalization
from tolerance import assert_close, linear_bound

import mpscnn


def statistics(seed: int, channels: int) -> dict[str, np.ndarray]:
    return {
        "mean": values(seed, (channels,)),
        "variance": np.abs(values(seed + 1, (channels,))) + np.float32(0.1),
        "gamma": values(seed + 2, (channels,)),
        "beta": values(seed + 3, (channels,)),
    }


@given(st.integers(1, 3), st.integers(1, 70), seeds, precisions())
def test_standing_alone(batch: int, channels: int, seed: int, precision: str) -> None:
    x = values(seed, (batch, 3, 4, channels), precision=precision)
    given_statistics = statistics(seed + 1, channels)
    reference = batch_normalization(x, 1e-3, **given_statistics)
    factor = np.abs(given_statistics["gamma"]) / np.sqrt(given_statistics["variance"] + 1e-3)
    magnitude = factor * (np.abs(x) + np.abs(given_statistics["mean"])) + np.abs(given_statistics["beta"])
    result = run_layer("batch_normalization", [x], {}, weights=given_statistics, precision=precision)
    assert_close(result, reference, linear_bound(magnitude), half=precision == "float16")


@given(st.integers(1, 9), st.integers(1, 20), seeds, st.booleans())
def test_folded_into_a_convolution(inputs: int, outputs: int, seed: int, has_bias: bool) -> None:
    x, weight = values(seed, (2, 5, 6, inputs)), values(seed + 1, (outputs, 3, 3, inputs))
    bias = values(seed + 2, (outputs,)) if has_bias else None
    given_statistics = statistics(seed + 3, outputs)
    network = mpscnn.Network(input=(5, 6, inputs))
    y = network.conv2d(network.input, outputs, 3, padding=1, name="conv")
    network.output(network.batch_norm(y, epsilon=1e-3, activation="relu6", name="norm"))
    weights = {"conv.weight": weight, **{f"norm.{role}": value for role, value in given_statistics.items()}}
    network.load_weights(weights if bias is None else weights | {"conv.bias": bias})
    attributes = {"kernel_height": 3, "kernel_width": 3, "padding": "explicit"}
    attributes |= {"pad_top": 1, "pad_bottom": 1, "pad_left": 1, "pad_right": 1}
    plain, magnitude = convolution(x, weight, bias, attributes)
    reference = np.clip(batch_normalization(plain, 1e-3, **given_statistics), 0, 6)
    factor = np.abs(given_statistics["gamma"]) / np.sqrt(given_statistics["variance"] + 1e-3)
    bound = factor * (magnitude + np.abs(given_statistics["mean"])) + np.abs(given_statistics["beta"])
    assert_close(network.compile(precision="float32").session().run(x), reference, linear_bound(bound))


def test_not_folded_where_the_convolution_is_read_twice() -> None:
    x, weight = values(0, (1, 4, 4, 3)), values(1, (3, 1, 1, 3))
    network = mpscnn.Network(input=(4, 4, 3))
    y = network.conv2d(network.input, 3, 1, name="conv")
    network.output(network.add(y, network.batch_norm(y, name="norm")))
    given_statistics = statistics(2, 3)
    network.load_weights({"conv.weight": weight, **{f"norm.{r}": v for r, v in given_statistics.items()}})
    plain, _ = convolution(x, weight, None, {})
    reference = plain + batch_normalization(plain, 1e-3, **given_statistics)
    np.testing.assert_allclose(
        network.compile(precision="float32").session().run(x), reference, rtol=1e-5, atol=1e-5
    )


def test_a_negative_variance_is_refused() -> None:
    network = mpscnn.Network(input=(4, 4, 2))
    network.batch_norm(network.input, name="norm")
    with pytest.raises(mpscnn.WeightsError, match="variance"):
        network.load_weights({"norm.mean": np.zeros(2), "norm.variance": np.array([1.0, -1.0])})
