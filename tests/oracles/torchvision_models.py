"""Make torchvision's and timm's networks with random weights and statistics, and compare them with converted ones."""

from __future__ import annotations

import copy
import importlib
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="torch is not installed")

#: The allowed difference from torch's results, relative to the largest result.
TOLERANCE = 1e-5


def torchvision() -> Any:
    """Import torchvision without its compiled operators, which fit one build of torch only and are not used here."""
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    sys.modules.setdefault("torchvision._meta_registrations", types.ModuleType("_meta_registrations"))
    return importlib.import_module("torchvision")


def torchvision_module(name: str) -> Any:
    """Import a module of torchvision, such as "ops.boxes"."""
    torchvision()
    return importlib.import_module(f"torchvision.{name}")


def timm() -> Any:
    """Import timm, which imports torchvision."""
    torchvision()
    return pytest.importorskip("timm", reason="timm is not installed")


def randomized(module: Any, seed: int = 0, gain: float = 1.0) -> Any:
    """Return the module for inference, with random statistics and weights of its batch normalizations.

    Their factors are about `gain`. With 1, numbers in very deep networks grow until each rounding error is amplified.
    """
    draw = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(0.0, 0.2, generator=draw)
            part.running_var.uniform_(0.5, 2.0, generator=draw)
            torch.nn.init.uniform_(part.weight, 0.5 * gain, 1.5 * gain, generator=draw)
            torch.nn.init.normal_(part.bias, 0.0, 0.2, generator=draw)
        if type(part).__name__ == "LayerScale2d":  # factors near 0 would hide the layers before
            torch.nn.init.uniform_(part.gamma, 0.5 * gain, 1.5 * gain, generator=draw)
    return module.eval()


def photo(size: tuple[int, int], batch: int = 2) -> NDArray[np.float32]:
    """Return random photos (batch, height, width, 3) with numbers as large as in normalised photos."""
    return np.random.default_rng(5).normal(size=(batch, *size, 3)).astype(np.float32)


def asked(module: Any, image: NDArray[np.float32]) -> Any:
    """Return what torch computes, in float64 because its error in float32 may be as large as `TOLERANCE`."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    given = torch.from_numpy(np.ascontiguousarray(image.transpose(0, 3, 1, 2)))
    try:
        with torch.no_grad():
            return copy.deepcopy(module).double()(given.double())
    finally:
        torch.set_num_threads(threads)


def saved(module: Any, path: Path) -> Path:
    """Save the module's state dict in a file."""
    torch.save(module.state_dict(), path)
    return path


def assert_close(found: NDArray[Any], expected: NDArray[Any]) -> None:
    """Assert that results differ by less than `TOLERANCE`, and that they are not all about the same number."""
    assert found.shape == expected.shape
    assert np.std(expected) > 1e-3 * np.abs(expected).max()
    worst = np.abs(found - expected).max() / np.abs(expected).max()
    assert worst < TOLERANCE, f"relative error {worst:.2g}"
