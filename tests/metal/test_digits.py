"""Test the bundled digit network and the article's experiment on a Metal device."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from command_line import call
from models.drawn_digits import draw

import mpscnn

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("float16", 5e-3)])
def test_both_engines_read_the_same_digits(precision: str, tolerance: float) -> None:
    digits = [4, 7, 1]
    images = np.concatenate(
        [mpscnn.preprocess(draw(digit), (28, 28), "mnist", channels=1) for digit in digits]
    )
    cpu, metal = (
        mpscnn.load("digits", device=device, precision=precision).program.session().run(images)
        for device in ("cpu", "metal")
    )
    assert np.asarray(metal).argmax(axis=1).tolist() == digits
    np.testing.assert_allclose(metal, cpu, rtol=0, atol=tolerance)


def test_experiment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    digits = np.array([3, 5, 0, 2], np.uint8)
    images = [mpscnn.preprocess(draw(digit), (28, 28), "mnist", channels=1) for digit in digits]
    pixels = np.rint(np.concatenate(images) * 255).astype(np.uint8)
    (tmp_path / "images").write_bytes(struct.pack(">4I", 0x803, 4, 28, 28) + pixels.tobytes())
    (tmp_path / "labels").write_bytes(struct.pack(">2I", 0x801, 4) + digits.tobytes())
    files = ("--idx", str(tmp_path / "images"), "--idx-labels", str(tmp_path / "labels"))
    options = ("--device", "metal", "--inflight", "3", "--json")
    assert call("digits", *files, *options) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["device"], answer["images"], answer["right"]) == ("metal", 4, 4)
