"""Test the sample photos of the package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import mpscnn
from mpscnn import ParameterError, samples


def test_the_samples_are_photos_with_sources_and_small_in_all() -> None:
    paths = [samples.photo(name) for name in samples.names()]
    assert len(paths) == 3
    assert sum(path.stat().st_size for path in paths) < 200_000
    sources = (paths[0].parent.parent / "SOURCES.md").read_text("utf-8")
    for path in paths:
        with Image.open(path) as photo:
            assert min(photo.size) >= 300
        assert f"| photos/{path.name} |" in sources
    assert mpscnn.load().predict(samples.photo("cat")).top(1)[0].label == "cat"


def test_a_wrong_name_leads_to_the_right_one() -> None:
    with pytest.raises(
        ParameterError, match="there is no sample photo 'cats'; there are astronaut, cat, coffee"
    ):
        samples.photo("cats")


def test_the_module_prints_paths_for_commands() -> None:
    """This takes a second, since it starts three processes."""
    run = [sys.executable, "-m", "mpscnn.samples"]
    assert subprocess.check_output([*run, "cat"], text=True) == f"{samples.photo('cat')}\n"
    assert len(subprocess.check_output(run, text=True).splitlines()) == 3
    wrong = subprocess.run([*run, "dog"], capture_output=True, text=True, check=False)
    known = "there are astronaut, cat, coffee"
    assert (wrong.returncode, wrong.stderr) == (1, f"error: there is no sample photo 'dog'; {known}\n")


def test_the_picture_of_a_result_is_saved(tmp_path: Path) -> None:
    result = mpscnn.load().predict(samples.photo("cat"))
    result.save(tmp_path / "cat.png")
    with Image.open(tmp_path / "cat.png") as picture:
        assert picture.size == result.draw().size
    for name in ("cat.nothing", "absent/cat.png"):
        with pytest.raises(ParameterError, match="cat"):
            result.save(tmp_path / name)
