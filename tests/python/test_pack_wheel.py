"""Wheels that are packed again hold what they held."""

from __future__ import annotations

import random
import runpy
import sys
import zipfile
import zlib
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "pack_wheel.py"


def test_a_wheel_keeps_all_but_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not SCRIPT.exists():
        pytest.skip("source distributions do not hold .ci")
    # What makes the same streams, only larger ones, stands for zopfli.
    package, module = ModuleType("zopfli"), ModuleType("zopfli.zlib")
    module.compress = lambda data, **_: zlib.compress(data, 9)  # type: ignore[attr-defined]
    package.zlib = module  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "zopfli", package)
    monkeypatch.setitem(sys.modules, "zopfli.zlib", module)

    wheel = tmp_path / "a-1.0-py3-none-any.whl"
    noise = random.Random(1).randbytes(5000)
    files = {
        "a/text.py": b"same\n" * 3000,
        "a/lib.so": noise,
        "a/empty": b"",
        "a/\u00e9.txt": b"named in UTF-8",
    }
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, (2026, 11, 21, 13, 59, 58))
            entry.external_attr = 0o100755 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    with zipfile.ZipFile(wheel) as archive:
        before = archive.infolist()
    size = wheel.stat().st_size

    monkeypatch.setattr(sys, "argv", ["pack_wheel.py", str(wheel)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert capsys.readouterr().out == f"{wheel.name}: {size} bytes become {wheel.stat().st_size}\n"
    assert wheel.stat().st_size < size
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        assert {entry.filename: archive.read(entry) for entry in archive.infolist()} == files
        for old, new in zip(before, archive.infolist(), strict=True):
            assert (old.date_time, old.external_attr) == (new.date_time, new.external_attr)
        assert archive.getinfo("a/lib.so").compress_type == zipfile.ZIP_STORED
