"""HDF5 files whose parts refer to each other again and again cost what their bytes cost."""

from __future__ import annotations

import contextlib
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from converters.hdf5_writer import message_beyond_its_block, repeated_continuations, shared_group
from work import lines_run

import mpscnn
from mpscnn import converters


def test_layers_that_share_one_group(tmp_path: Path) -> None:
    """The layers read the list of names once, so the work is in proportion to the file."""
    path = tmp_path / "model.h5"
    work = []
    for size in (20, 40):
        path.write_bytes(shared_group(size, 5 * size))
        work.append(lines_run(lambda: converters.read_network([path])))
    assert work[1] < 2.2 * work[0]
    session = converters.read_network([path]).compile(device="cpu", precision="float32").session()
    np.testing.assert_array_equal(session.run(np.ones((1, 1), np.float32)), [[0.5**40]])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (repeated_continuations(60, 100), "its parts refer to each other more often than its size allows"),
        (message_beyond_its_block(1500), "a message of 65535 bytes at 56 is longer than its block"),
    ],
)
def test_headers_that_repeat_a_block(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(mpscnn.WeightsError) as refused:
            converters.read_network([path])
        assert tracemalloc.get_traced_memory()[1] < 20 * len(content)
    finally:
        tracemalloc.stop()
    assert reason in str(refused.value)
    assert lines_run(lambda: _read_or_refuse(path)) < 10 * len(content)


def _read_or_refuse(path: Path) -> None:
    with contextlib.suppress(mpscnn.Error):
        converters.read_network([path])
