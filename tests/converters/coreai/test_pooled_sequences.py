"""Maxima of padded sequences and of images of one row are written as Core AI's programs, and read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mpscnn
from mpscnn.converters import export_coreai, read_network

pytest.importorskip("coreai", reason="coreai-core is not installed")


@pytest.mark.parametrize("before", [False, True], ids=["input", "after a convolution"])
@pytest.mark.parametrize("padding", [(0, 0), (1, 1), (0, 1), (2, 1)])
def test_padded_maxima_of_sequences(tmp_path: Path, before: bool, padding: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    layers = [torch.nn.ConstantPad1d(padding, -np.inf), torch.nn.MaxPool1d(5, 2)]
    module = torch.nn.Sequential(*([torch.nn.Conv1d(4, 4, 3)] if before else []), *layers).eval()
    x = torch.rand(1, 4, 13) - 2
    network = mpscnn.from_torch(module, x)
    export_coreai(network, tmp_path / "one.aimodel")
    again = read_network(tmp_path / "one.aimodel")
    values = np.random.default_rng(0).random((1, *network.input.shape[1:]), np.float32) - 2
    expected = network.compile(device="cpu").run(values)
    np.testing.assert_allclose(again.compile(device="cpu").run(values), expected, rtol=1e-5, atol=1e-6)
