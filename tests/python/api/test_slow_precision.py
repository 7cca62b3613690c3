"""A precision that takes longer than float32 on this processor is told once, wherever it is asked for."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import run

import mpscnn
from mpscnn._private import given_warnings
from mpscnn.apps.serve.hosting import host

SLOW = {
    precision
    for precision, is_slow in {
        "bfloat16": mpscnn.devices()[0].get("bfloat16_sums") == "blocks",
        "float16": mpscnn.build_config()["system"].endswith("x86_64"),
    }.items()
    if is_slow
}


@pytest.fixture(autouse=True)
def _nothing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(given_warnings, "_given", set())


@contextmanager
def told() -> Iterator[list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        yield given


def convolutions() -> mpscnn.Network:
    network = mpscnn.Network((16, 16, 3))
    network.output(network.conv2d(network.conv2d(network.input, 8, 3), 8, 3))
    network.initialize_weights()
    return network


def _from_onnx(precision: str) -> object:
    onnx = pytest.importorskip("onnx")
    path = Path("network.onnx")
    convolutions().save(path)
    return mpscnn.onnx_backend.prepare(onnx.load(path), precision=precision)


def _served(precision: str) -> object:
    convolutions().save("network.safetensors")
    return host("network.safetensors", 1, device="cpu", precision=precision)  # type: ignore[arg-type]


ASKED: dict[str, Callable[[str], Any]] = {
    "load": lambda precision: mpscnn.load(convolutions(), device="cpu", precision=precision),  # type: ignore[call-overload]
    "Model": lambda precision: mpscnn.Model(convolutions(), device="cpu", precision=precision),  # type: ignore[arg-type]
    "compile": lambda precision: convolutions().compile(device="cpu", precision=precision),  # type: ignore[arg-type]
    "features": lambda precision: mpscnn.FeatureExtractor(
        convolutions(),
        "conv2d_1",
        device="cpu",
        precision=precision,  # type: ignore[arg-type]
    ),
    "onnx_backend": _from_onnx,
    "service": _served,
}


@pytest.mark.parametrize("way", ASKED)
def test_each_way_tells_once(way: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for precision in {"float32", "auto", *mpscnn.devices()[0]["precisions"]} - {"int8"}:
        with told() as given:
            for _ in range(2):
                ASKED[way](precision)
        assert [entry.category for entry in given] == [mpscnn.SlowPrecisionWarning] * (precision in SLOW)
        for entry in given:
            assert str(entry.message).startswith(f"{precision} takes longer than float32 on this processor")
            assert entry.filename == __file__


@pytest.mark.parametrize("command", [("explain",), ("benchmark", "--runs", "1")], ids=lambda given: given[0])
def test_commands_tell_in_a_line(command: tuple[str, ...], tmp_path: Path) -> None:
    """Takes 2 seconds, because it starts processes: pytest catches warnings of this one."""
    path = tmp_path / "network.safetensors"
    convolutions().save(path)
    lines = run(command[0], str(path), *command[1:], "--precision", "float16").stderr.splitlines()
    assert len(lines) == ("float16" in SLOW)
    assert all(line.startswith("warning: float16 takes longer than float32") for line in lines)


def test_what_mpscnn_chooses_is_not_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Measurements compile all precisions, and dense layers are faster in 16 bits, as their weights are smaller."""
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path))
    network, photos = convolutions(), [np.zeros((1, 16, 16, 3), np.float32)]
    dense = mpscnn.Network((64,))
    dense.output(dense.dense(dense.input, 64))
    dense.initialize_weights()
    with told() as given:
        mpscnn.compare_precisions(network, photos, runs=1)
        mpscnn.check_precision(network, photos)
        for within in (0.0, 0.1, 1.0):
            mpscnn.load(network, device="cpu", precision="auto", within=within)
            network.compile(device="cpu", within=within)
        for precision in {"float16", "bfloat16"} & {*mpscnn.devices()[0]["precisions"]}:
            dense.compile(device="cpu", precision=precision)  # type: ignore[arg-type]
    assert given == []


def test_a_warning_that_is_filtered(recwarn: pytest.WarningsRecorder) -> None:
    warnings.simplefilter("ignore", mpscnn.SlowPrecisionWarning)
    convolutions().compile(device="cpu", precision="float16")
    assert not recwarn.list
