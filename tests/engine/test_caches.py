"""Tests of MPSCNN_CACHE_SIZES: work is divided for other cache sizes, and results do not change by a bit."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import mpscnn
from mpscnn import models

SMALL, LARGE = "1024,16384,65536", "65536,4194304,268435456"


def network() -> mpscnn.Network:
    """Return a network with every kind of kernel whose division of work depends on cache sizes."""
    result = mpscnn.Network(input=(40, 36, 3))
    y = result.conv2d(result.input, 24, 3, strides=2, padding="same", activation="relu6")
    y = result.depthwise_conv2d(y, 3, padding="same", activation="relu6")
    y = result.conv2d(y, 64, 1)
    y = result.conv2d(y, 48, 3, padding="same")  # computed by Winograd's algorithm
    y = result.max_pool2d(result.conv2d(y, 80, 1), 2)
    y = result.resize(y, (33, 29), alignment="corners")
    result.output(result.softmax(y))
    result.initialize_weights(1)
    return result


def run(one: mpscnn.Network, x: NDArray[np.float32], threads: int) -> NDArray[np.float32]:
    result: NDArray[np.float32] = one.compile(device="cpu").session(threads=threads).run(x)
    return result


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("caches", [SMALL, LARGE])
def test_bits_do_not_depend_on_caches(monkeypatch: pytest.MonkeyPatch, caches: str, threads: int) -> None:
    x = np.random.default_rng(1).uniform(-1, 1, (2, 40, 36, 3)).astype(np.float32)
    expected = run(network(), x, threads)
    monkeypatch.setenv("MPSCNN_CACHE_SIZES", caches)
    np.testing.assert_array_equal(run(network(), x, threads), expected)


def test_plans_are_made_for_the_caches_that_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = models.mobilenet_v2()
    subject.initialize_weights()
    choices = {}
    for caches in (SMALL, LARGE):
        monkeypatch.setenv("MPSCNN_CACHE_SIZES", caches)
        explained = subject.compile(device="cpu").explain(threads=1)
        choices[caches] = [step.choice for step in explained.steps]
        _, second, last = (int(size) for size in caches.split(","))
        assert explained.l2_bytes == second * 3 // 4
        assert explained.last_level_bytes == max(explained.l2_bytes, last // 4)
    assert choices[SMALL] != choices[LARGE]


@pytest.mark.parametrize(
    "caches", ["32768", "32768,524288", "1,2,3", "a,b,c", "32768,524288,8388608,1", "32768,524288,-1"]
)
def test_other_texts_are_refused(monkeypatch: pytest.MonkeyPatch, caches: str) -> None:
    monkeypatch.setenv("MPSCNN_CACHE_SIZES", caches)
    with pytest.raises(mpscnn.ParameterError, match=f"MPSCNN_CACHE_SIZES: expected bytes .* got .{caches}"):
        network().compile(device="cpu").session()
