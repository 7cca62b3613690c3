"""Test that kernels of a GPU with memory of its own use this memory only: each array crosses the bus once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from metal.emulation import Emulation
from metal.test_training import assert_losses_agree, blobs, losses_of, quarters

import mpscnn
from mpscnn import _core
from mpscnn.training.optimizers import Adam


@pytest.fixture(autouse=True)
def discrete(emulation: Emulation, monkeypatch: pytest.MonkeyPatch) -> Emulation:
    monkeypatch.setenv(
        "MPSCNN_SKIP_SELF_CHECK", "1"
    )  # the record of the check is of the GPU with unified memory
    emulation.set("discrete_memory", 1)
    return emulation


class Traffic:
    """Counts what kernels do with memory outside the GPU, and the bytes that are copied."""

    def __init__(self, emulation: Emulation) -> None:
        self._emulation = emulation
        self._before = self._counts()

    def _counts(self) -> tuple[int, int]:
        return self._emulation.get("shared_arguments"), self._emulation.get("copied_bytes")

    def since(self) -> tuple[int, int]:
        """Return the number of kernels' arguments in shared memory, and the copied bytes."""
        shared, copied = self._counts()
        return shared - self._before[0], copied - self._before[1]


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_weights_and_moments_are_read_by_kernels_in_the_gpus_memory(
    emulation: Emulation, precision: str
) -> None:
    batches = [blobs(8, seed) for seed in range(4)]
    expected = losses_of(quarters(), batches, "cpu", optimizer=Adam(1e-3))
    trainer = mpscnn.Trainer(quarters(), device="metal", seed=3, optimizer=Adam(1e-3), precision=precision)
    found = [trainer.step(*batches[0])]
    traffic = Traffic(emulation)
    found += [trainer.step(*batch) for batch in batches[1:]]
    shared, copied = traffic.since()
    assert shared == 0
    weights = sum(weight.nbytes for weight in quarters().weights.values())
    # A step reads and writes weights and two moments. Statistics of the normalization have no moments.
    assert 2 * 2 * weights < copied / 3 < 2 * 3 * weights + 2 * sum(array.nbytes for array in batches[0])
    assert_losses_agree(found, expected, precision)


def test_a_long_run_copies_its_inputs_and_outputs_once(
    emulation: Emulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run has several command buffers. The first copies the inputs, and the last copies the outputs."""
    net = mpscnn.Network(input=(9, 7, 4))
    hidden = net.conv2d(net.input, 8, 3, activation="relu")
    net.output(net.conv2d(hidden, 4, 3))
    net.output(hidden)
    net.initialize_weights(seed=1)
    x = np.random.default_rng(0).random((3, 9, 7, 4), np.float32)
    right = net.compile(device="cpu").session().run(x)
    monkeypatch.setenv("MPSCNN_METAL_GMACS", "1e-6")
    session = net.compile(device="metal", metal_kernels="own").session()
    buffers, traffic = emulation.get("command_buffers_made"), Traffic(emulation)
    results = session.run(x)
    assert emulation.get("command_buffers_made") - buffers == 2
    assert traffic.since() == (0, x.nbytes + sum(result.nbytes for result in results.values()))
    for name, result in results.items():
        np.testing.assert_allclose(result, right[name], atol=1e-4)


@pytest.mark.parametrize("pages", [False, True])
def test_signals_are_convolved_in_the_gpus_memory(emulation: Emulation, pages: bool) -> None:
    signal = mpscnn.empty((3, 500)) if pages else np.empty((3, 500), np.float32)
    signal[...] = np.random.default_rng(0).random((3, 500), np.float32)
    weights = np.array([0.5, 1.0, -0.25], np.float32)
    traffic = Traffic(emulation)
    result = mpscnn.convolve1d(signal, weights, device="metal")
    assert traffic.since() == (0, signal.nbytes + weights.nbytes + result.nbytes)
    np.testing.assert_allclose(result, mpscnn.convolve1d(signal, weights, device="cpu"), atol=1e-5)


def graph_of_copies() -> _core.Graph:
    """Return a graph with outputs that are inputs, or that share an array with other outputs."""
    graph = _core.Graph("copies")
    x, y = (graph.add_variable(name, (3, 4)) for name in "xy")
    total = graph.add_node("squared_sum", "total", [x], "{}", "")
    for output in (total, graph.add_node("reshape", "again", [total], '{"shape": [1, 1, 1]}', ""), y, x):
        graph.mark_output(output)
    return graph


def test_outputs_that_share_an_array_are_copied_each(emulation: Emulation) -> None:
    session = mpscnn.Network.from_graph(graph_of_copies()).compile(device="metal").session()
    x, y = np.ones((3, 4), np.float32), np.arange(12, dtype=np.float32).reshape(3, 4)
    traffic = Traffic(emulation)
    results = session.run({"x": x, "y": y})
    assert traffic.since() == (0, 2 * (x.nbytes + y.nbytes) + 2 * 4)
    np.testing.assert_array_equal(results["total"].ravel(), [12])
    np.testing.assert_array_equal(results["again"].ravel(), [12])
    np.testing.assert_array_equal(results["x"], x)
    np.testing.assert_array_equal(results["y"], y)


def test_a_profile_shows_the_copies() -> None:
    session = mpscnn.Network.from_graph(graph_of_copies()).compile(device="metal").session()
    arrays: Any = {name: np.ones((3, 4), np.float32) for name in "xy"}
    steps = session.profile(arrays, runs=1).steps
    assert [step.kernel for step in steps] == ["MTLBlitCommandEncoder", "array_sum", "MTLBlitCommandEncoder"]
    assert [step.bytes for step in steps] == [2 * 96, 52, 2 * (96 + 8)]


def test_a_copy_that_metal_refuses_is_an_error_by_name(emulation: Emulation) -> None:
    session = mpscnn.Network.from_graph(graph_of_copies()).compile(device="metal").session()
    arrays: Any = {name: np.ones((3, 4), np.float32) for name in "xy"}
    for succeeding, message in ((0, "copy inputs to"), (2, "copy outputs from")):
        emulation.set("successes_first", succeeding)
        emulation.set("fail_encoders", 1)
        with pytest.raises(mpscnn.DeviceError, match=f"Metal gives no encoder to {message} the GPU's memory"):
            session.run(arrays)
    np.testing.assert_array_equal(session.run(arrays)["total"].ravel(), [12])
