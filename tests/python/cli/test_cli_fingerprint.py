"""Test `mpscnn fingerprint`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import call

import mpscnn


def test_each_precision_of_the_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("fingerprint", "digits", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["device"] == "cpu"
    assert set(shown["refused"]) == {"int8"}  # the network has no integers
    (cpu,) = (entry for entry in mpscnn.devices() if entry["name"] == "cpu")
    assert [*shown["fingerprints"], "int8"] == cpu["precisions"]
    network = mpscnn.load("digits").network
    for precision, found in shown["fingerprints"].items():
        program = network.compile(device="cpu", precision=precision)
        assert found == program.fingerprint() == program.fingerprint(threads=3)
        assert found != program.fingerprint((2, 28, 28, 1))
    assert call("fingerprint", "digits") == 0
    assert shown["fingerprints"]["float32"] in capsys.readouterr().out


def test_what_a_precision_does_not_have_is_told_below_the_table(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    network = mpscnn.Network(input=(4,))
    network.output(network.dense(network.input, 2, name="dense"))
    network.set_weights({"dense.weight": np.full((2, 4), 1e5)})
    network.save(file := tmp_path / "large.safetensors", dtype="float32")
    assert call("fingerprint", str(file)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "" not in lines
    told = [line for line in lines if ": " in line]
    assert lines[-len(told) :] == told
    assert max(map(len, lines[: -len(told)])) < 40
    assert any(line.startswith("float16: layer 'dense': weight 100000") for line in told)
    assert any(line.startswith("int8: layer 'dense'") for line in told)


def test_a_size_that_is_left_free_must_be_given(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    network = mpscnn.Network(input=(None, None, 3))
    network.output(network.conv2d(network.input, 4, 3))
    network.initialize_weights()
    network.save(file := tmp_path / "free.safetensors", dtype="float32")
    with pytest.raises(mpscnn.ShapeError, match="give"):
        network.compile(device="cpu").fingerprint()
    assert call("fingerprint", str(file)) == 1
    assert call("fingerprint", str(file), "--size", "8x9") == 0
    assert (
        network.compile(device="cpu", precision="float32").fingerprint((1, 8, 9, 3))
        in capsys.readouterr().out
    )
