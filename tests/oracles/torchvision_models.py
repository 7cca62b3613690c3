"""torchvision's and timm's networks with weights at random and statistics that matter, beside what is made of them."""

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

import mpscnn

torch = pytest.importorskip("torch", reason="torch is not installed")

#: How far a network's results may lie from torch's, relative to the largest.
TOLERANCE = 1e-5


def torchvision() -> Any:
    """The package, without its compiled operators: no network here uses one, and they fit one build of torch only."""
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    sys.modules.setdefault("torchvision._meta_registrations", types.ModuleType("_meta_registrations"))
    return importlib.import_module("torchvision")


def randomized(module: Any, seed: int = 0, gain: float = 1.0) -> Any:
    """The module for inference, with batch normalizations that change what passes through.

    Their factors are about `gain`: with 1, sums of very deep networks grow until they amplify each rounding of float32.
    """
    draw = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(0.0, 0.2, generator=draw)
            part.running_var.uniform_(0.5, 2.0, generator=draw)
            torch.nn.init.uniform_(part.weight, 0.5 * gain, 1.5 * gain, generator=draw)
            torch.nn.init.normal_(part.bias, 0.0, 0.2, generator=draw)
        if type(part).__name__ == "LayerScale2d":  # near 0 before training, which hides all that is before it
            torch.nn.init.uniform_(part.gamma, 0.5 * gain, 1.5 * gain, generator=draw)
    return module.eval()


def photo(size: tuple[int, int], batch: int = 2) -> NDArray[np.float32]:
    """(batch, height, width, 3), as large as normalised photos are."""
    return np.random.default_rng(5).normal(size=(batch, *size, 3)).astype(np.float32)


def asked(module: Any, image: NDArray[np.float32]) -> Any:
    """What torch computes, in float64 and on one thread: in float32 its own error may be as large as `TOLERANCE`."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    given = torch.from_numpy(np.ascontiguousarray(image.transpose(0, 3, 1, 2)))
    try:
        with torch.no_grad():
            return copy.deepcopy(module).double()(given.double())
    finally:
        torch.set_num_threads(threads)


def saved(module: Any, path: Path) -> Path:
    """The module's state dict in a file."""
    torch.save(module.state_dict(), path)
    return path


def computed(network: mpscnn.Network, image: NDArray[np.float32]) -> NDArray[Any]:
    """What the network's only output is."""
    result = network.compile(device="cpu", precision="float32").session().run(image)
    assert isinstance(result, np.ndarray)
    return result


def assert_close(found: NDArray[Any], expected: NDArray[Any]) -> None:
    """Within `TOLERANCE`, of results that differ among themselves."""
    assert found.shape == expected.shape
    assert np.std(expected) > 1e-3 * np.abs(expected).max()
    worst = np.abs(found - expected).max() / np.abs(expected).max()
    assert worst < TOLERANCE, f"relative error {worst:.2g}"
