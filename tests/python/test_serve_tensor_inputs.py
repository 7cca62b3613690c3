"""Tensors of photos in `mpscnn serve`: what is held while they are prepared."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from command_line import save_colour_model
from PIL import Image

pytest.importorskip("fastapi", reason="FastAPI is not installed")
pytest.importorskip("uvicorn", reason="uvicorn is not installed")
pytest.importorskip("prometheus_client", reason="prometheus_client is not installed")

from mpscnn.serve.hosting import Compiled, host
from mpscnn.serve.tensor_inputs import input_arrays

SIDE = 1_000
COUNT = 12
COLOURS = [(20 * number, 255 - 20 * number, 7) for number in range(COUNT)]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    path: Path = save_colour_model(tmp_path_factory.mktemp("served") / "colours.safetensors")
    return host(path, 1).compiled


def png(side: int, colour: tuple[int, int, int]) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(stream, "PNG")
    return stream.getvalue()


def test_one_decoded_photo_is_held_at_a_time(compiled: Compiled) -> None:
    (name,) = compiled.model.program.inputs
    files = [png(SIDE, colour) for colour in COLOURS]
    alone = [input_arrays(compiled, {name: [file]}, SIDE * SIDE) for file in files]
    tracemalloc.start()
    try:
        together = input_arrays(compiled, {name: files}, COUNT * SIDE * SIDE)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(together, np.concatenate(alone))
    # A photo is decoded with a copy or two.
    assert SIDE * SIDE * 3 <= peak < 4 * SIDE * SIDE * 3
