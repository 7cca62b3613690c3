"""Walk over the operators of each format with extreme operands: each small file is read or refused at little cost."""

from __future__ import annotations

import contextlib
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from mpscnn import converters
from mpscnn.errors import Error

pytest.importorskip("onnx", reason="needs onnx")
FUZZ = Path(__file__).parent
#: The largest allocations of the default tier: a few arrays of the largest size that a reader makes itself.
ALLOCATED = 450 << 20


@pytest.fixture
def extremes(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(FUZZ)
    path = list(sys.path)
    import extreme_files

    yield extreme_files
    sys.path[:] = path


def read(path: Path) -> object:
    return converters.read_network([path])


def test_a_draw_of_each_operator_of_onnx_allocates_little(extremes: ModuleType, tmp_path: Path) -> None:
    path, names = tmp_path / "extreme.onnx", set()
    for name, content in extremes.draws(seed=1, count=1):
        path.write_bytes(content)
        tracemalloc.start()
        try:
            with contextlib.suppress(Error):
                read(path)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < ALLOCATED, f"{name}: {peak:,} bytes for a file of {len(content):,}"
        names.add(name.split("-")[0])
    assert names == set(extremes.KINDS)


@pytest.mark.full
@pytest.mark.parametrize("source", ["draws", "examples"])
def test_extreme_files_of_onnx_cost_little(source: str, extremes: ModuleType, tmp_path: Path) -> None:
    from small_costs import measure

    read_seeds(tmp_path, extremes)  # imports the reader before the process is forked
    files = extremes.draws(seed=2, count=30) if source == "draws" else extremes.enlarged_examples()
    path, findings, accepted, count = tmp_path / "extreme.onnx", [], 0, 0
    for name, content in files:
        path.write_bytes(content)
        outcome = measure(read, path)
        count += 1
        accepted += outcome.kind == "accepted"
        if outcome.finding:
            findings.append(f"{name} ({len(content)} bytes): {outcome.finding}")
    assert not findings, "\n".join(findings[:50])
    assert accepted > count // 10


def read_seeds(folder: Path, extremes: ModuleType) -> None:
    for _, content in list(extremes.draws(seed=1, count=1))[:20]:
        (folder / "seed.onnx").write_bytes(content)
        with contextlib.suppress(Error):
            read(folder / "seed.onnx")
