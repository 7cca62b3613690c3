"""Profiles are complete and consistent. If a profile is impossible, the error has the reason."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call, save_colour_model, save_photo
from PIL import Image

import mpscnn
from mpscnn import ParameterError, models
from mpscnn._private.bars import bar_picture


def network_of_all_sorts() -> mpscnn.Network:
    """Return a network with fused, folded, dropped and copied layers, layers of several steps, and two outputs."""
    net = mpscnn.Network(input=(24, 20, 3), name="all sorts")
    x = net.conv2d(net.input, 16, 3, strides=2, padding="same", name="conv")
    x = net.batch_norm(x, name="folded")
    x = net.activation(x, "relu6", name="attached")
    x = net.dropout(x, name="dropped")
    y = net.depthwise_conv2d(net.pad(x, 1, name="border"), 3, name="depthwise")
    y = net.conv2d(y, 16, 1, name="pointwise")
    x = net.add(x, y, name="sum")
    x = net.concat([x, net.max_pool2d(x, 3, strides=1, padding="same", name="pool")], name="both")
    x = net.group_norm(x, 4, name="norm")
    net.output(x)
    x = net.dense(net.flatten(x, name="flat"), 5, name="dense")
    net.output(net.softmax(x, name="softmax"))
    net.initialize_weights()
    return net


def profiled(
    net: mpscnn.Network, *, device: str, batch: int = 1, threads: int = 1, precision: str = "float32"
) -> mpscnn.Profile:
    program = net.compile(device=device, precision=precision)
    shape = (batch, *(extent or 0 for extent in net.input.shape[1:]))
    return program.session(threads=threads).profile(np.ones(shape, np.float32), runs=3)


@pytest.mark.parametrize("threads", [1, 2])
def test_every_layer_is_done_once(threads: int) -> None:
    net = network_of_all_sorts()
    profile = profiled(net, device="cpu", threads=threads)
    done = [layer for step in profile.steps for layer in step.layers] + list(profile.layers_without_step)
    assert sorted(done) == sorted(layer["name"] for layer in net.describe()["layers"])
    steps = {layer: step for step in profile.steps for layer in step.layers}
    assert steps["conv"].layers == ("conv", "folded", "attached", "dropped")
    assert steps["border"].kernel.startswith("depthwise 3x3")
    assert "sum" in steps["pointwise"].layers
    assert steps["pool"].kernel == "pooling 3x3"
    assert steps["dense"].kernel == "dense"
    assert "flat" in profile.layers_without_step
    assert {step.part_of for step in profile.steps if step.part_of} == {("norm",)}
    assert {step.name for step in profile.steps if step.part_of} == {"part of norm"}


@pytest.mark.parametrize("batch", [1, 3])
def test_flops_are_those_of_the_definition(batch: int) -> None:
    net = network_of_all_sorts()
    layers = {layer["name"]: layer["flops"] for layer in net.describe()["layers"]}
    profile = profiled(net, device="cpu", batch=batch)
    # A folded batch normalization is part of the weights, and dropout is skipped.
    assert profile.flops == batch * (sum(layers.values()) - layers["folded"] - layers["dropped"])
    classifier = models.mobilenet_v1(depth_multiplier=0.25, input_size=128)
    classifier.initialize_weights()
    assert profiled(classifier, device="cpu").flops == sum(
        layer["flops"]
        for layer in classifier.describe()["layers"]
        if layer["operation"] != "batch_normalization"
    )


def test_bytes_are_those_of_tensors_and_weights() -> None:
    net = mpscnn.Network(input=(8, 8, 16), name="one")
    net.output(net.conv2d(net.input, 32, 1, name="conv"))
    net.initialize_weights()
    (step,) = profiled(net, device="cpu", batch=2).steps
    assert step.bytes >= 4 * (2 * 64 * (16 + 32) + 16 * 32)
    assert step.bytes <= 4 * (2 * 64 * (16 + 32) + 16 * 64 + 64)  # packed for vectors, with a bias


def test_times_add_up() -> None:
    profile = profiled(network_of_all_sorts(), device="cpu", threads=2)
    assert len(profile.milliseconds) == 3
    for run, whole in enumerate(profile.milliseconds):
        steps = [step.milliseconds[run] for step in profile.steps]
        assert all(time >= 0 for time in steps)
        assert 0 < sum(steps) <= whole
    assert sum(step.share for step in profile.steps) == pytest.approx(1)
    assert sum(total.milliseconds for total in profile.by_kind()) == pytest.approx(
        sum(step.minimum for step in profile.steps)
    )
    assert sum(total.flops for total in profile.by_kind()) == profile.flops
    assert profile.minimum <= profile.median
    assert profile.minimum == min(profile.milliseconds)


def test_figures_follow_from_times() -> None:
    profile = profiled(network_of_all_sorts(), device="cpu")
    assert profile.threads == 1
    assert profile.instruction_set == mpscnn.build_config()["instruction_set"]
    assert profile.peak is not None
    assert profile.peak > 0
    assert profile.peak_of_one_thread == profile.peak
    step = next(step for step in profile.steps if "conv" in step.layers)
    assert step.gflops_per_second == pytest.approx(step.flops / step.minimum / 1e6)
    assert step.gigabytes_per_second == pytest.approx(step.bytes / step.minimum / 1e6)
    assert step.peak_share == pytest.approx(step.gflops_per_second / profile.peak)
    assert step.lost == pytest.approx(step.minimum * (1 - step.peak_share))


def test_trace_is_complete_and_events_of_one_row_do_not_overlap(tmp_path: Path) -> None:
    profile = profiled(network_of_all_sorts(), device="cpu", threads=2)
    profile.save_trace(tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text("utf-8"))
    assert trace == profile.chrome_trace()
    rows: dict[int, list[dict[str, Any]]] = defaultdict(list)
    names = {}
    for event in trace["traceEvents"]:
        if event["ph"] == "M" and event["name"] == "thread_name":
            names[event["tid"]] = event["args"]["name"]
        if event["ph"] == "X":
            rows[event["tid"]].append(event)
    assert names[0] == "steps"
    assert names[1] == "thread 0"
    assert set(rows) <= set(names)
    assert len(rows[0]) == len(profile.steps)
    assert {event["cat"] for event in rows[0]} == {step.kind for step in profile.steps}
    for events in rows.values():
        events.sort(key=lambda event: event["ts"])
        for event, following in itertools.pairwise(events):
            assert event["ts"] + event["dur"] <= following["ts"] + 1e-6
    # The threads' work lies within their steps.
    for tid, events in rows.items():
        for event in events if tid else []:
            assert any(
                step["ts"] <= event["ts"] and event["ts"] + event["dur"] <= step["ts"] + step["dur"] + 1e-6
                for step in rows[0]
                if step["name"] == event["name"]
            )


def test_json_comes_back() -> None:
    profile = profiled(network_of_all_sorts(), device="cpu")
    again = mpscnn.Profile.from_dict(json.loads(profile.to_json()))
    assert again == profile
    assert again.to_dict() == profile.to_dict()
    with pytest.raises(mpscnn.ParameterError, match="no trace"):
        again.chrome_trace()


def test_it_shows_itself() -> None:
    profile = profiled(network_of_all_sorts(), device="cpu")
    text = repr(profile)
    assert text.startswith("all sorts: input 1 x 24 x 20 x 3, ")
    assert "conv ... dropped (4 layers)  convolution 3x3/2" in text
    assert "sum of all steps" in text
    page = profile._repr_html_()
    assert page.count("<tr>") == 1 + len(profile.by_kind()) + 1 + len(profile.steps)
    assert "conv ... dropped (4 layers)" in page


def test_profiles_and_descriptions_are_tables_and_pictures(tmp_path: Path) -> None:
    network = mpscnn.load().network
    for table, count in ((mpscnn.profile(network, runs=1), 1), (network.describe(), 2)):
        assert [list(row) for row in csv.reader(io.StringIO(table.to_csv()))][1:] == [
            ["" if cell is None else str(cell) for cell in row] for row in table.rows()
        ]
        assert len(table.rows()) > 10 * count
        table.save(tmp_path / "table.png")
        with Image.open(tmp_path / "table.png") as picture:
            assert picture.size == table.plot().size
            assert picture.height > 14 * len(table.rows())
        with pytest.raises(ParameterError, match="unknown file extension"):
            table.save(tmp_path / "table.unknown")


def test_pictures_of_many_bars_show_the_largest() -> None:
    bars = [(f"bar {index}", float(index % 7)) for index in range(10_000)]
    assert bar_picture("all", bars).height < 15_000
    assert bar_picture("none", []).height > 0


def test_copies_are_steps() -> None:
    net = mpscnn.Network(input=(6, 5, 3), name="copies")
    net.output(net.activation(net.input, "relu", name="relu"))
    program = net.compile(device="cpu")
    flipped = np.ones((2, 6, 5, 3), np.float16)[:, ::-1]
    kernels = [step.kernel for step in program.session().profile(flipped, runs=1).steps]
    assert kernels == ["copy of an input", "affine", "copy of an output"]


def test_results_do_not_matter() -> None:
    net = network_of_all_sorts()
    session = net.compile(device="cpu", precision="float16").session(threads=2)
    x = np.full((1, 24, 20, 3), np.nan, np.float32)
    assert session.profile(x, runs=1).precision == "float16"
    y = np.random.default_rng(0).standard_normal((1, 24, 20, 3), np.float32)
    first = session.run(y)
    session.profile(x, runs=1)
    second = session.run(y)
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("runs", [0, -1, 100_001, 2.0, True, "3"])
def test_numbers_of_runs_that_are_refused(runs: Any) -> None:
    session = network_of_all_sorts().compile(device="cpu").session()
    with pytest.raises(mpscnn.ParameterError, match=r"runs must be a (whole )?number from 1 to 100000"):
        session.profile(np.ones((1, 24, 20, 3), np.float32), runs=runs)


def test_inputs_that_are_refused() -> None:
    session = network_of_all_sorts().compile(device="cpu").session()
    with pytest.raises(mpscnn.ShapeError, match="3 feature channels, not 4"):
        session.profile(np.ones((1, 24, 20, 4), np.float32))
    with pytest.raises(mpscnn.ShapeError, match="float32"):
        session.profile(np.ones((1, 24, 20, 3), np.uint8))


def test_a_session_in_use_is_refused() -> None:
    begun, ended = threading.Event(), threading.Event()

    def wait(x: Any, out: Any) -> None:
        begun.set()
        assert ended.wait(300)
        out[:] = x

    network = mpscnn.Network(input=(4, 4, 3))
    network.output(network.custom(wait, network.input))
    session = network.compile(device="cpu").session(threads=1)
    x = np.ones((1, 4, 4, 3), np.float32)
    running = threading.Thread(target=session.run, args=(x,))
    running.start()
    try:
        assert begun.wait(300)
        with pytest.raises(mpscnn.StateError, match="one caller at a time"):
            session.profile(x)
    finally:
        ended.set()
        running.join()


def test_check_finite_still_checks() -> None:
    session = network_of_all_sorts().compile(device="cpu").session(check_finite=True)
    with pytest.raises(mpscnn.Error, match="input"):
        session.profile(np.full((1, 24, 20, 3), np.nan, np.float32))


# ---- The command ---------------------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(save_colour_model(tmp_path / "colours.safetensors"))


def test_command(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("profile", model, "--threads", "1", "--runs", "2", "--device", "cpu") == 0
    text = capsys.readouterr().out
    assert text.startswith("colours: input 1 x 8 x 8 x 3, ")
    assert "1 thread\n" in text
    for word in ("pool", "dense", "softmax", "sum of all steps", "kernels"):
        assert word in text


def test_command_with_a_photo_a_trace_and_json(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, trace = save_photo(tmp_path / "photo.png", "red"), tmp_path / "trace.json"
    options = ("--input", str(photo), "--trace", str(trace), "--json", "--runs", "1", "--device", "cpu")
    assert call("profile", model, *options) == 0
    profile = mpscnn.Profile.from_dict(json.loads(capsys.readouterr().out))
    assert len(profile.milliseconds) == 1
    assert json.loads(trace.read_text("utf-8"))["traceEvents"]


@pytest.mark.parametrize("order", ["time", "lost"])
def test_command_sorts(order: str, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("profile", model, "--sort", order, "--device", "cpu") == 0
    steps = capsys.readouterr().out.split("\n\n")[1].splitlines()[2:-2]
    cells = [re.split(" {2,}", step) for step in steps]
    assert {row[0] for row in cells} == {"pool", "dense", "softmax"}
    if order == "time":
        times = [float(row[2]) for row in cells]
        assert times == sorted(times, reverse=True)


def test_command_on_an_architecture(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("profile", "deep_mnist", "--random-weights", "--runs", "1", "--device", "cpu")
    assert call(*arguments, "--json") == 0
    assert json.loads(capsys.readouterr().out)["network"] == "deep_mnist"
    assert call(*arguments, "--input", "photo.png") == 2
    assert "does not say how a photo becomes its input" in capsys.readouterr().err


def test_command_cannot_write_a_trace(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "missing" / "trace.json"
    assert call("profile", model, "--device", "cpu", "--trace", str(missing)) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_one_call_measures_networks_models_and_programs() -> None:
    model = mpscnn.load()
    # Threads are chosen by measurement, and the division into steps depends on them.
    layers = {
        name
        for step in model.program.session().profile(np.zeros((1, 64, 64, 3), np.float32), runs=1).steps
        for name in step.layers
    }
    for one in (model, model.network, model.program):
        assert {name for step in mpscnn.profile(one, runs=1).steps for name in step.layers} == layers
    with pytest.raises(mpscnn.ParameterError, match="expected a Network, Model or Program, got int"):
        mpscnn.profile(3)
    with pytest.raises(mpscnn.ParameterError, match="precision is for a Network"):
        mpscnn.profile(model, precision="float16")
