"""Recognise the folder of a SavedModel of TensorFlow."""

from __future__ import annotations

from pathlib import Path

from mpscnn._private.files import exists

SAVED_MODEL = "saved_model.pb"
"""The file that makes a folder a SavedModel."""


def is_saved_model(path: Path) -> bool:
    """Return True for a folder with a SavedModel of TensorFlow."""
    return exists(path / SAVED_MODEL)
