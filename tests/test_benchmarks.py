"""Test that the benchmarks run and write what they promise. Their figures are not tested."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mpscnn

PROJECT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.full


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=PROJECT, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("script", ["startup.py", "memory.py"])
def test_processes_are_measured(script: str) -> None:
    pytest.importorskip("onnxruntime")
    table = run(f"benchmarks/{script}", "--peers", "onnxruntime", "--threads", "1", "--rounds", "1")
    for name in ("import numpy", "mpscnn", "onnxruntime", "mpscnn in C"):
        assert f"| {name} |" in table


def test_performance_writes_the_marked_parts_only(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("cv2")
    page, readme = tmp_path / "performance.md", tmp_path / "README.md"
    shutil.copy(PROJECT / "docs" / "performance.md", page)
    shutil.copy(PROJECT / "README.md", readme)
    before = page.read_text()
    settings = ("--only", "mobilenet_v2", "--peers", "onnxruntime", "--threads", "1", "--rounds", "1")
    files = ("--page", str(page), "--readme", str(readme))
    if mpscnn.build_config()["instruction_set"] not in ("avx2", "avx512", "amx"):
        files = files[:2]  # the README has columns for these sets only
    run(
        "benchmarks/performance.py",
        *settings,
        "--precision",
        "float32",
        "--starts",
        "1",
        "--photo-runs",
        "1",
        *files,
    )
    after = page.read_text()

    def outside(text: str) -> list[str]:
        kept, inside = [], False
        for line in text.splitlines():
            if line.startswith("<!-- ") and "written by" in line:
                inside = "more_networks" not in line
            elif line.startswith("<!-- end of "):
                inside = False
            elif not inside:
                kept.append(line)
        return kept

    assert outside(after) == outside(before)
    assert after.count("\n| MobileNetV2 1.0, 224 | 1 | ") == 1
    lines = zip(
        readme.read_text().splitlines(), (PROJECT / "README.md").read_text().splitlines(), strict=True
    )
    changed = [line for line, before in lines if line != before]
    rows = ("| MobileNet V2, 224 x 224 | ", "| JPEG, 1280 x 720, to the label of MobileNet V2 | ")
    assert len(changed) == len(files) // 4 * len(rows)
    assert all(line.startswith(row) for line, row in zip(changed, rows, strict=False))
    assert page.with_suffix(".svg").read_text().startswith("<svg")


def test_a_page_without_parts_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Performance\n")
    command = [sys.executable, "benchmarks/performance.py", "--page", str(page)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert "has no part 'networks'" in done.stderr


def test_folders_are_classified_by_all_engines() -> None:
    for module in ("torch", "onnxruntime", "cv2"):
        pytest.importorskip(module)
    table = run("benchmarks/folder.py", "--photos", "100", "--size", "320x240", "--rounds", "1")
    for name in ("mpscnn classify", "torch, DataLoader", "onnxruntime, threads"):
        assert f"| {name} |" in table
