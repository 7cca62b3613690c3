"""Binaries of macOS wheels are stripped before they are signed, and the wheel still fits its RECORD."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / ".ci" / "sign_wheel.py"
MACHO = b"\xcf\xfa\xed\xfe"


def write_tools(folder: Path) -> None:
    """Write replacements for Apple's tools.

    Each appends a word to the binary and a line with its arguments to a log.
    """
    for name, script in (
        ("strip", 'printf " stripped" >> "$2"'),
        (
            "codesign",
            'case "$1" in --force) printf " signed" >> "$4";; *) grep -q "stripped signed" "$3";; esac',
        ),
    ):
        tool = folder / name
        tool.write_text(f'#!/bin/sh\necho "{name} $*" >> "{folder}/log"\n{script}\n', "utf-8")
        tool.chmod(0o755)


def digest(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def sign(wheel: Path, tools: Path) -> subprocess.CompletedProcess[str]:
    if not SCRIPT.exists():
        pytest.skip("source distributions do not hold .ci")
    path = os.pathsep.join([str(tools), os.environ["PATH"]])
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(wheel)],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_binaries_are_stripped_then_signed_then_verified(tmp_path: Path) -> None:
    write_tools(tmp_path)
    wheel = tmp_path / "mpscnn-1.0-cp312-cp312-macosx_11_0_arm64.whl"
    files = {"mpscnn/lib/libmpscnn.1.dylib": MACHO + b" code", "mpscnn/__init__.py": b"pass\n"}
    record = "".join(f"{name},{digest(data)},{len(data)}\n" for name, data in files.items())
    record += "mpscnn-1.0.dist-info/RECORD,,\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in (files | {"mpscnn-1.0.dist-info/RECORD": record.encode()}).items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o755 if "lib" in name else 0o644) << 16
            archive.writestr(entry, data)
    done = sign(wheel, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 binaries stripped and signed" in done.stdout
    tools = [line.split()[:2] for line in (tmp_path / "log").read_text("utf-8").splitlines()]
    assert tools == [["strip", "-x"], ["codesign", "--force"], ["codesign", "--verify"]]
    with zipfile.ZipFile(wheel) as archive:
        library = archive.read("mpscnn/lib/libmpscnn.1.dylib")
        assert library == MACHO + b" code stripped signed"
        assert archive.read("mpscnn/__init__.py") == b"pass\n"
        lines = archive.read("mpscnn-1.0.dist-info/RECORD").decode().splitlines()
        assert f"mpscnn/lib/libmpscnn.1.dylib,{digest(library)},{len(library)}" in lines
        assert lines[-1] == "mpscnn-1.0.dist-info/RECORD,,"
        assert archive.getinfo("mpscnn/lib/libmpscnn.1.dylib").external_attr >> 16 == 0o755


def test_a_tool_that_fails_is_the_end(tmp_path: Path) -> None:
    write_tools(tmp_path)
    (tmp_path / "codesign").write_text("#!/bin/sh\necho 'no identity' >&2\nexit 1\n", "utf-8")
    wheel = tmp_path / "mpscnn-1.0-cp312-cp312-macosx_11_0_arm64.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("mpscnn/_core.so", MACHO)
    before = wheel.read_bytes()
    done = sign(wheel, tmp_path)
    assert done.returncode != 0
    assert "codesign --force --sign -" in done.stderr
    assert "no identity" in done.stderr
    assert wheel.read_bytes() == before
