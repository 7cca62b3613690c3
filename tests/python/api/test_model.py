"""Test `mpscnn.Model` in several threads: its network is created once, and each session has one user at a time."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import numpy as np
import pytest

import mpscnn
from mpscnn import _core


@pytest.fixture
def model(tmp_path: Path) -> mpscnn.Model:
    network = mpscnn.Network((4,))
    network.output(network.dense(network.input, 2, name="dense"))
    network.initialize_weights()
    network.save(tmp_path / "dense.safetensors")
    return mpscnn.load(tmp_path / "dense.safetensors", device="cpu")


def test_threads_that_ask_at_once_get_one_network(
    model: mpscnn.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_make_one, make = threading.Barrier(2), mpscnn.Network.from_graph

    def from_graph(graph: _core.Graph) -> mpscnn.Network:
        with contextlib.suppress(threading.BrokenBarrierError):
            # This times out where cached_property has a lock (Python 3.10 and 3.11).
            both_make_one.wait(timeout=0.5)
        return make(graph)

    monkeypatch.setattr(mpscnn.Network, "from_graph", from_graph)
    found: list[mpscnn.Network] = []
    threads = [threading.Thread(target=lambda: found.append(model.network)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] is found[1] is model.network


def test_changing_the_network_leaves_the_model_as_it_is(model: mpscnn.Model) -> None:
    x = np.ones((1, 4), np.float32)
    before = model.program.session(threads=1).run(x)
    model.network.load_weights({"dense.weight": np.zeros((2, 4)), "dense.bias": np.zeros(2)})
    np.testing.assert_array_equal(model.program.session(threads=1).run(x), before)
    assert not np.any(model.network.weights["dense.weight"])


def test_a_session_is_lent_to_one_caller_and_then_to_the_next(model: mpscnn.Model) -> None:
    with model.session() as first, model.session() as second:
        assert first is not second
    with pytest.raises(KeyError), model.session() as third:
        raise KeyError
    assert third in (first, second)
    with model.session() as fourth:
        assert fourth is third
