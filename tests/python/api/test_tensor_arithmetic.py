"""The operators of a network's tensors, `a + b` and others, add layers."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import mpscnn


def test_arithmetic_of_tensors() -> None:
    net = mpscnn.Network(input=(2, 2, 3))
    x = net.input
    y = net.relu(x - 0.5)
    results = {
        "x + y": x + y,
        "x - y": x - y,
        "x * y": x * y,
        "x / (y + 1)": x / (y + 1),
        "x + 2": x + 2,
        "2 + x": 2 + x,
        "x - 0.25": x - 0.25,
        "0.25 - x": 0.25 - x,
        "x * 3": x * 3,
        "np.float32(3) * x": np.float32(3) * x,
        "x / 4": x / 4,
        "4 / x": 4 / x,
        "-x": -x,
        "1 / x": 1 / x,
    }
    for result in results.values():
        net.output(result)
    given = np.random.default_rng(1).uniform(0.5, 2, (2, 2, 2, 3)).astype(np.float32)
    found = net.compile(device="cpu").run(given)
    known = {"np": np, "x": given, "y": np.maximum(given - np.float32(0.5), 0)}
    for text, result in results.items():
        np.testing.assert_allclose(found[result.name], eval(text, known), rtol=1e-6, err_msg=text)
    copied = copy.deepcopy(net)
    assert (copied.input + 1).shape == x.shape
    assert len(copied.layer_names()) == len(net.layer_names()) + 1


def test_quotients_of_zeros_and_infinities_have_the_sign_of_the_divisor() -> None:
    net = mpscnn.Network(input=(4,))
    net.output(-2 / net.input)
    x = np.array([[-0.0, 0.0, -np.inf, np.inf]], np.float32)
    with np.errstate(divide="ignore"):
        expected = np.float32(-2) / x
    np.testing.assert_array_equal(net.compile(device="cpu").run(x), expected)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("x + ones", "got <Tensor 'image' .*> and ndarray"),
        ("ones + x", "got ndarray and <Tensor 'image'"),
        ("x * True", "a tensor and a finite number, got"),
        ("x - float('nan')", "got <Tensor 'image' .*> and nan"),
        ("x / 0", "cannot be divided by 0"),
        ("x + other", "belongs to another network"),
        ("x + '1'", "got <Tensor 'image' .*> and str"),
    ],
)
def test_other_operands_are_refused(expression: str, message: str) -> None:
    net = mpscnn.Network(input=(2, 2, 3))
    known = {"net": net, "x": net.input, "other": mpscnn.Network(input=(2, 2, 3)).input, "ones": np.ones(3)}
    with pytest.raises(mpscnn.ParameterError, match=message):
        eval(expression, known)
    assert net.layer_names() == ["image"]
