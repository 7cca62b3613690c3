"""Tests of metal_kernels="auto", which takes the kernels that a benchmark measured to be faster."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from command_line import run
from metal.emulation import Emulation

import mpscnn
from mpscnn.apps.benchmark import Subject, measure_metal_kernels
from mpscnn.apps.benchmark import metal_kernels as measuring
from mpscnn.runtime.metal_choice import record_path
from mpscnn.runtime.options import CompileOptions

AUTO = CompileOptions(device="metal", metal_kernels="auto")


@pytest.fixture(autouse=True)
def no_check(emulation: Emulation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Skip the self-check of the device, which other modules test, and use an empty cache folder."""
    assert emulation.violations() == []
    monkeypatch.setenv("MPSCNN_SKIP_SELF_CHECK", "1")
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "cache"))


def network(channels: int = 4) -> mpscnn.Network:
    net = mpscnn.Network(input=(6, 6, 4), name="small")
    net.output(net.conv2d(net.input, channels, 3, activation="relu"))
    net.initialize_weights(seed=0)
    return net


def record(net: mpscnn.Network, monkeypatch: pytest.MonkeyPatch, own: float, mps: float) -> Path:
    """Record times as if a benchmark had measured them, and return the file."""
    times = iter([mps, own] * 100)
    monkeypatch.setattr(measuring, "_TURN", 1)
    monkeypatch.setattr(measuring, "_timed", lambda run: (run(), next(times))[1])
    measured = measure_metal_kernels(Subject("small", net), AUTO, runs=3)
    assert measured is not None
    assert (measured.own, measured.mps) == ((own,) * 3, (mps,) * 3)
    return record_path(net.graph, [], AUTO)


def chosen(net: mpscnn.Network, **options: Any) -> str:
    return net.compile(**AUTO.replaced(**options).to_dict()).metal_kernels


@pytest.mark.parametrize(("own", "mps", "faster"), [(1.0, 2.0, "own"), (2.0, 1.0, "mps"), (1.0, 1.0, "mps")])
def test_the_faster_kernels_are_taken(
    monkeypatch: pytest.MonkeyPatch, own: float, mps: float, faster: str
) -> None:
    net = network()
    assert chosen(net) == "mps", "nothing was measured"
    record(net, monkeypatch, own, mps)
    assert chosen(net) == faster
    assert chosen(network()) == faster, "weights do not matter"
    assert pickle.loads(pickle.dumps(net.compile(**AUTO.to_dict()))).metal_kernels == faster
    assert chosen(net, metal_kernels="own") == "own"


def test_a_measurement_is_of_one_network_and_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    record(network(), monkeypatch, 1.0, 2.0)
    assert chosen(network(8)) == "mps"
    assert chosen(network(), precision="float16") == "mps"
    assert chosen(network(), precision="float32") == "own", "it is what precision auto means"


@pytest.mark.parametrize("change", [{"system": "another"}, {"kernels": "cuda"}, {"kernels": []}])
def test_entries_that_mean_something_else_do_not_count(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    path = record(network(), monkeypatch, 1.0, 2.0)
    entries = json.loads(path.read_text())
    path.write_text(json.dumps({name: entry | change for name, entry in entries.items()}))
    assert chosen(network()) == "mps"


def test_a_measurement_of_another_gpu_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    path = record(network(), monkeypatch, 1.0, 2.0)
    (entry,) = json.loads(path.read_text()).values()
    path.write_text(json.dumps({"another GPU": entry}))
    assert chosen(network()) == "mps"


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"\xff", b"[" * 60_000, b'{"a": 1}', b" " * 100_000 + b"{}"]
)
def test_a_damaged_record_is_as_none(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    path = record(network(), monkeypatch, 1.0, 2.0)
    path.write_bytes(content)
    assert chosen(network()) == "mps"
    record(network(), monkeypatch, 1.0, 2.0)
    assert chosen(network()) == "own", "a new measurement replaces it"


def test_nothing_is_measured_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network()
    assert measure_metal_kernels(Subject("small", net), AUTO.replaced(device="cpu")) is None
    record(net, monkeypatch, 1.0, 2.0)
    assert net.compile(**AUTO.replaced(device="cpu").to_dict()).device == "cpu"


def test_the_command_measures_and_records(tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    network().save(path)
    command = ("benchmark", str(path), "--device", "metal", "--metal-kernels", "auto", "--runs", "2")
    result = run(*command, "--json")
    assert result.returncode == 0, result.stderr
    shown = json.loads(result.stdout)["metal_kernels"]
    assert set(shown["milliseconds"]) == {"mps", "own"}
    net = mpscnn.load(path).network
    entries = json.loads(record_path(net.graph, [], AUTO).read_text())
    assert entries[shown["device"]]["kernels"] == shown["faster"] == chosen(net)
    result = run(*command)
    assert result.returncode == 0, result.stderr
    faster = json.loads(record_path(net.graph, [], AUTO).read_text())[shown["device"]]["kernels"]
    assert f'takes "{faster}" for this network' in " ".join(result.stdout.split())
