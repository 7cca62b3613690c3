"""Test `max_memory`: the limit of a program and its sessions, and the errors if it is too small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from PIL import Image

import mpscnn


def network() -> mpscnn.Network:
    """Return a network for images of any size, with 10 MB of weights."""
    made = mpscnn.Network(input=(None, None, 3), name="any_size")
    x = made.conv2d(made.input, 8, 3, padding="same", activation="relu")
    made.output(made.dense(made.global_average_pool2d(x), 300_000))
    made.initialize_weights()
    return made


def image(side: int) -> Any:
    return np.zeros((1, side, side, 3), np.float32)


def test_a_plan_beyond_the_limit_names_both_numbers() -> None:
    program = network().compile(device="cpu", max_memory=20_000_000)
    assert program.max_memory == 20_000_000
    session = program.session()
    session.run(image(64))
    beyond = network().compile(device="cpu").arena_bytes((1, 2000, 2000, 3))
    message = (
        rf"network 'any_size': a session for inputs of \(1, 2000, 2000, 3\) takes {beyond} bytes of intermediate "
        rf"results beside {program.weight_bytes} of packed weights, max_memory allows 20000000"
    )
    for run in (session.run, program.session().run):
        with pytest.raises(mpscnn.ShapeError, match=message):
            run(image(2000))
    with pytest.raises(mpscnn.ShapeError, match=message):
        program.output_shapes((1, 2000, 2000, 3))
    session.run(image(64))  # after a refused run the session can be used again


def test_the_limit_is_met_exactly() -> None:
    free = network().compile(device="cpu")
    needed = free.weight_bytes + free.arena_bytes((1, 100, 100, 3))
    network().compile(device="cpu", max_memory=needed).session().run(image(100))
    with pytest.raises(mpscnn.ShapeError, match=f"max_memory allows {needed - 1}"):
        network().compile(device="cpu", max_memory=needed - 1).session().run(image(100))


def test_a_session_may_be_given_less() -> None:
    program = network().compile(device="cpu")
    small = program.session(max_memory=program.weight_bytes + program.arena_bytes((1, 64, 64, 3)))
    small.run(image(64))
    with pytest.raises(mpscnn.ShapeError, match="max_memory allows"):
        small.run(image(1000))
    program.session().run(image(1000))


def test_a_runner_may_be_given_less() -> None:
    program = network().compile(device="cpu")
    minimum = program.weight_bytes + program.arena_bytes((1, 64, 64, 3))
    with mpscnn.Runner(program, 2, max_batch=2, max_wait=0.05, max_memory=minimum) as runner:
        fitting = [runner.submit(image(64)) for _ in range(4)]
        assert all(future.result().shape == (1, 300_000) for future in fitting)
        with pytest.raises(mpscnn.ShapeError, match=f"max_memory allows {minimum}"):
            runner.submit(image(1000)).result()
    program.session().run(image(1000))


@pytest.mark.parametrize("options", [(), ("--runner",)])
def test_a_benchmark_has_the_limit(
    options: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = mpscnn.Network(input=(8, 8, 3))
    made.output(made.dense(made.input, 4))
    made.initialize_weights()
    made.save(tmp_path / "model.safetensors")
    given = str(tmp_path / "model.safetensors"), "--runs", "1", "--max-memory", "100"
    assert call("benchmark", *given, *options) == 1
    assert "max_memory allows 100" in capsys.readouterr().err


def test_weights_beyond_the_limit_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(mpscnn.ShapeError, match=r"packed weights take \d+ bytes, max_memory allows 1000000"):
        network().compile(device="cpu", max_memory=1_000_000)
    network().save(tmp_path / "x.safetensors")
    with pytest.raises(mpscnn.ShapeError, match="max_memory allows 1000000"):
        mpscnn.load(tmp_path / "x.safetensors", device="cpu", max_memory=1_000_000)


def test_a_photo_is_refused_before_its_input_is_made(tmp_path: Path) -> None:
    made = mpscnn.Network(input=(2000, 2000, 3))
    made.output(made.dense(made.global_average_pool2d(made.input), 4))
    made.initialize_weights()
    made.save(tmp_path / "x.safetensors", preprocess="tensorflow")
    model = mpscnn.load(tmp_path / "x.safetensors", device="cpu", max_memory=20_000_000)
    photo = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(mpscnn.ShapeError, match="max_memory allows 20000000"):
        model.predict(photo)
    with mpscnn.Runner(model) as runner, pytest.raises(mpscnn.ShapeError, match="max_memory allows 20000000"):
        runner.submit(photo).result()
    with pytest.raises(mpscnn.ShapeError, match="max_memory allows 20000000"):
        model.features(model.network.layer_names()[:1]).run(photo)


@pytest.mark.parametrize("command", ["classify", "detect", "segment"])
def test_commands_have_the_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    photo = tmp_path / "photo.png"
    Image.new("RGB", (8, 8)).save(photo)
    network().save(tmp_path / "model.safetensors")
    options = "--model", str(tmp_path / "model.safetensors"), "--max-memory", "100"
    assert call(command, str(photo), *options) == 1
    assert "max_memory allows 100" in capsys.readouterr().err


def test_frames_that_fit_one_by_one_only() -> None:
    free = network().compile(device="cpu")
    program = network().compile(
        device="cpu", max_memory=free.weight_bytes + free.arena_bytes((1, 200, 200, 3))
    )
    with mpscnn.Runner(program, 1, max_batch=8, max_wait=0.05) as runner:
        futures = [runner.submit(image(200)) for _ in range(8)]
        assert all(future.result().shape == (1, 300_000) for future in futures)


def test_the_default_is_what_the_process_may_use() -> None:
    maximum = network().compile(device="cpu").max_memory
    assert 1 << 26 < maximum < 1 << 50


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "1 GB", True])
def test_limits_that_are_none(wrong: Any) -> None:
    with pytest.raises(mpscnn.ParameterError, match=r"max_memory must be None or a (whole )?number"):
        network().compile(max_memory=wrong)
    with pytest.raises(mpscnn.ParameterError, match=r"max_memory must be None or a (whole )?number"):
        network().compile(device="cpu").session(max_memory=wrong)
    with pytest.raises(mpscnn.ParameterError, match=r"max_memory must be None or a (whole )?number"):
        mpscnn.Runner(network().compile(device="cpu"), max_memory=wrong)
