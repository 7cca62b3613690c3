"""Test `mpscnn doctor`."""

from __future__ import annotations

import errno
import json
import os
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from command_line import Command

import mpscnn
from mpscnn.apps.cli import failures
from mpscnn.apps.cli.commands.doctor import _self_checks
from mpscnn.runtime.metal_choice import read_record


def test_it_tells_what_the_library_tells(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    (cache / "self_check").mkdir(parents=True)
    (cache / "self_check" / "1.txt").write_text("mpscnn 0\nApple M0\nright\n")
    (cache / "model.bin").write_bytes(bytes(1000))
    monkeypatch.setenv("MPSCNN_CACHE", str(cache))
    monkeypatch.setenv("MPSCNN_MODELS", str(tmp_path / "none"))
    monkeypatch.setenv("MPSCNN_SERVE_TOKEN", "a secret")
    result = command("doctor", "--json")
    assert result.returncode == 0
    found = json.loads(result.stdout)
    assert found["mpscnn"] == mpscnn.__version__
    assert found["build"] == mpscnn.build_config()
    assert found["devices"] == mpscnn.devices()
    assert found["packages"]["numpy"] == np.__version__
    assert found["packages"]["typer"] == metadata.version("typer")
    assert found["variables"]["MPSCNN_CACHE"] == str(cache)
    assert found["variables"]["MPSCNN_SERVE_TOKEN"] == "(set; not shown)"
    assert "a secret" not in result.stdout
    kept, models = found["caches"]
    size = 1000 + (cache / "self_check" / "1.txt").stat().st_size
    assert (kept["path"], kept["exists"], kept["files"], kept["bytes"]) == (str(cache), True, 2, size)
    assert (models["exists"], models["files"]) == (False, 0)
    assert found["self_checks"] == {"1.txt": "mpscnn 0\nApple M0\nright"}


def test_records_that_are_no_small_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe or a device is not read, a loop of links is told, and of a long file the beginning is printed."""
    (records := tmp_path / "self_check").mkdir()
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path))
    os.mkfifo(records / "pipe.txt")
    (records / "device.txt").symlink_to("/dev/zero")
    (records / "loop.txt").symlink_to(records / "loop.txt")
    (records / "long.txt").write_bytes(b"a" * (1 << 20))
    found = _self_checks()
    assert len(found.pop("long.txt")) == 1 << 16
    for name, said in found.items():
        assert f"{name}: {'cannot be read' if name == 'loop.txt' else 'is not a regular file'}" in said
    assert len(found) == 3
    assert read_record(records / "pipe.txt") == {}


def test_a_cache_whose_name_no_system_takes(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSCNN_CACHE", "/" + 10_000 * "a")
    found = json.loads(command("doctor", "--json").stdout)
    assert (found["caches"][0]["exists"], found["self_checks"]) == (False, {})


def test_long_messages_of_the_system_are_shortened(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "_discard_output", lambda: None)
    with pytest.raises(SystemExit), failures.handle_errors():
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), 60_000 * "a")
    assert "characters) ..." in (said := capsys.readouterr().err)
    assert len(said) < 3_000


def test_the_text_has_every_fact(command: Command) -> None:
    lines = command("doctor").stdout.splitlines()
    assert f"mpscnn: {mpscnn.__version__}" in lines
    assert f"  numpy: {np.__version__}" in lines
    for key in mpscnn.build_config():
        assert any(line.startswith(f"  {key}: ") for line in lines), key
    assert any(line.startswith("  name cpu, ") and "quota" in line for line in lines)
