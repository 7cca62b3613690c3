"""IDX files for tests."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np


def save_idx(path: Path, array: np.ndarray) -> Path:
    """Writes uint8 as IDX."""
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))
    return path
