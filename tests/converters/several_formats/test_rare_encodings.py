"""Healthy files in rare but legal encodings are read with the right numbers, or refused as "not supported"."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.rare_coreai import write_aimodel
from converters.rare_encodings import EXPECTED, FORMATS, STATE, X

import mpscnn
from mpscnn.converters import read_network
from mpscnn.converters.reading.pytorch.state_dict import read_state_dict

WRITERS = dict(sorted(FORMATS.items())) | {"aimodel": write_aimodel}
_OF_WEIGHTS = ("pth", "safetensors")
#: The share of files that may be refused, by format. HDF5 has encodings that Keras does not write, layers of Core ML
#: have fields that change what they compute, torch's pickles have other protocols, and tables may be listed twice.
_REFUSED = {"h5": 0.75, "keras": 0.75, "mlmodel": 0.25, "pth": 0.5, "tflite": 0.25}


def is_read(name: str, seed: int, folder: Path) -> bool:
    """Return True if a file is read with the right numbers, and False if it is refused. Other errors are raised."""
    paths = WRITERS[name](folder, np.random.default_rng([seed, list(WRITERS).index(name)]))
    try:
        found: Any = read_state_dict(paths[0]) if name in _OF_WEIGHTS else read_network(paths)
    except mpscnn.UnsupportedError as error:
        if "damaged" in str(error):
            raise
        return False
    if name in _OF_WEIGHTS:
        for key, values in STATE.items():
            np.testing.assert_array_equal(found.array(key).astype(np.float32), values)
        return True
    shape = (1, *found.inputs[0].shape[1:])
    results = found.compile(device="cpu", precision="float32").run(X.reshape(shape))
    np.testing.assert_allclose(np.asarray(results).reshape(1, 2), EXPECTED, rtol=1e-4, atol=1e-5)
    return True


@pytest.mark.parametrize("name", WRITERS)
def test_rare_encodings(name: str, tmp_path: Path, full: bool) -> None:
    """The full tier tries 300 files of each format. PyTorch and onnxruntime take some seconds to import.

    Each program of Core AI is parsed in a process of its own, which takes some tenths of a second.
    """
    count, refused = 300 if full else 3 if name == "aimodel" else 12, 0
    for seed in range(count):
        folder = tmp_path / str(seed)
        folder.mkdir()
        try:
            refused += not is_read(name, seed, folder)
        except Exception as error:
            raise AssertionError(f"{name}, seed {seed}: {type(error).__name__}: {error}") from error
    assert refused <= _REFUSED.get(name, 0.0) * count
