"""Test `mpscnn benchmark` and its Python functions: figures, peers in their own processes, and refusals."""

from __future__ import annotations

import importlib.util
import inspect
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call, colour_network, run, save_colour_model
from constant_detector import SETTINGS, constant_network
from converters.tflite_writer import CODES, Operator, Tensor, write_tflite
from project_scripts import script

import mpscnn
from mpscnn.apps.benchmark import (
    PEERS,
    Measurement,
    Peer,
    RunnerMeasurement,
    Subject,
    engines,
    measure,
    measure_runner,
    open_subject,
    subject,
    worker,
)
from mpscnn.apps.benchmark.peers import with_unsigned_bytes
from mpscnn.vision.detector import DetectionHead

ALL_PEERS = script("benchmarks", "peer_files.all_peers").ALL_PEERS


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(save_colour_model(tmp_path / "colours.safetensors"))


def test_figures() -> None:
    times = tuple(float(value) for value in range(1, 102))
    result = Measurement("mpscnn", "1", "CPU", 1, times, flops=51_000_000, peak_bytes=1, difference=None)
    assert (result.minimum, result.median, result.p95) == (1.0, 51.0, 96.0)
    assert result.images_per_second == pytest.approx(1000 / 51)
    assert result.gflops == pytest.approx(1.0)  # 51 million operations in 51 ms


def test_measuring_with_onnxruntime(model: str) -> None:
    pytest.importorskip("onnxruntime")
    ours, theirs = measure(open_subject(model), peers=[PEERS["onnxruntime"]], threads=1, runs=7)
    assert (ours.engine, theirs.engine) == ("mpscnn", "onnxruntime")
    for result in (ours, theirs):
        assert len(result.milliseconds) == 7
        assert all(time > 0 for time in result.milliseconds)
        assert 1_000_000 < result.peak_bytes < 2_000_000_000
        assert result.threads == 1
        assert result.flops == colour_network().describe()["layers"][0]["flops"] + 18 + 12
    assert ours.version == mpscnn.__version__
    assert ours.difference is None
    assert theirs.difference is not None
    assert theirs.difference < 1e-5


def test_options_reach_the_network(model: str) -> None:
    with pytest.raises(mpscnn.Error, match="device must be auto"):
        measure(open_subject(model), device="other", runs=1)
    with pytest.raises(mpscnn.Error, match="device must be auto"):
        measure_runner(open_subject(model), device="other", runs=1)


def test_measuring_with_litert(shared: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    source = shared / "models" / "google" / "mobilenet_v1_0.25_128_quant.tflite"
    _, theirs = measure(open_subject(str(source)), peers=[PEERS["litert"]], threads=1, runs=2)
    assert theirs.note == "CPU, uint8"
    assert theirs.difference is not None
    # The outputs are probabilities, and one of the engines computes in 8-bit integers.
    assert theirs.difference < 0.1


def test_quantised_networks_are_measured_in_integers(tmp_path: Path) -> None:
    """Engines that read ONNX files get QDQ graphs. Engines that would compute in floats are refused."""
    pytest.importorskip("onnxruntime")
    network = mpscnn.Network(input=(6, 5, 3), name="small")
    network.output(network.conv2d(network.input, 4, 3, name="conv"))
    network.initialize_weights()
    draw = np.random.default_rng(0)
    images = [draw.uniform(-1.0, 1.0, (1, 6, 5, 3)).astype(np.float32) for _ in range(4)]
    quantized, _ = mpscnn.quantize(network, images)
    subject = Subject("small", quantized)
    ours, theirs = measure(subject, peers=[PEERS["onnxruntime"]], threads=1, runs=2, precision="int8")
    assert (ours.note.endswith("int8"), theirs.note) == (True, "CPU, int8")
    assert theirs.difference is not None
    assert theirs.difference <= 1.01 * quantized.to_dict()["nodes"][0]["quantization"]["scale"]
    unsigned = with_unsigned_bytes(quantized)
    stated = [
        entry["quantization"] for entry in (*unsigned.to_dict()["inputs"], *unsigned.to_dict()["nodes"])
    ]
    assert {entry["type"] for entry in stated} == {"uint8"}
    np.testing.assert_array_equal(
        *(net.compile(precision="int8").run(images[0]) for net in (quantized, unsigned))
    )
    for engine in ("ncnn", "mnn", "torch"):
        with pytest.raises(
            mpscnn.UnsupportedError, match=f"{engine}: mpscnn does not write networks of integers"
        ):
            ALL_PEERS[engine].network_file(subject, tmp_path)
    assert not Subject("floats", network).is_quantized


@pytest.mark.parametrize("engine", ["onnxruntime", "litert"])
def test_other_engines_compute_the_outputs_of_a_detector(engine: str, tmp_path: Path) -> None:
    """Their files do not choose boxes."""
    PEERS[engine].require()
    network = constant_network()
    anchors = np.full((1, 4), 0.5, np.float32)
    network.detection = DetectionHead(SETTINGS | {"anchors": {"rule": "stored"}}, anchors)
    _, theirs = measure(Subject("detector", network), peers=[PEERS[engine]], threads=1, runs=1)
    assert theirs.difference is not None
    assert theirs.difference < 1e-5


def test_several_outputs_and_images_are_compared(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    network = mpscnn.Network(input=(6, 5, 3), name="two")
    x = network.output(network.conv2d(network.input, 4, 3, padding="same", name="conv"))
    network.output(network.global_max_pool2d(x, name="largest"))
    network.initialize_weights()
    network.save(tmp_path / "two.safetensors", dtype="float32")
    _, theirs = measure(open_subject(str(tmp_path / "two.safetensors")), peers=[PEERS["onnxruntime"]], runs=1)
    assert theirs.difference is not None
    assert theirs.difference < 1e-5


def test_float16_differs_measurably(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    network = mpscnn.Network(input=(6, 5, 3), name="half")
    network.output(network.conv2d(network.input, 4, 3, name="conv"))
    network.initialize_weights()
    network.save(tmp_path / "half.safetensors", dtype="float32")
    path = str(tmp_path / "half.safetensors")
    ours, theirs = measure(open_subject(path), peers=[PEERS["onnxruntime"]], precision="float16", runs=1)
    assert "float16" in ours.note
    assert theirs.difference is not None
    assert 1e-5 < theirs.difference < 1e-1


def test_a_failing_engine_is_named(model: str) -> None:
    with pytest.raises(mpscnn.Error, match=r"^mpscnn: (?!ParameterError).*float8"):
        measure(open_subject(model), precision="float8", runs=1)


def test_refusals(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = open_subject(model)
    with pytest.raises(mpscnn.ParameterError, match="runs must be at least 1"):
        measure(opened, runs=0)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)  # as if each package were installed
    with pytest.raises(mpscnn.UnsupportedError, match="onnxruntime does not compute in bfloat16"):
        PEERS["onnxruntime"].require("bfloat16")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        mpscnn.UnsupportedError,
        match=r"onnxruntime and onnx are not installed: pip install '[^']*\[bench\]'",
    ):
        PEERS["onnxruntime"].require()


# ---- Peers ---------------------------------------------------------------------------------------------------------


def every_layer() -> mpscnn.Network:
    """Return a network with each layer that is written for all peers. Its borders differ at the top and the bottom."""
    network = mpscnn.Network(input=(12, 13, 3), name="every_layer")
    x = network.conv2d(network.input, 8, 3, strides=2, padding="same", activation="relu6")
    y = network.depthwise_conv2d(x, 3, dilation=2, padding="same", activation="relu")
    x = network.max_pool2d(network.add(x, y), 2, strides=2, padding="same")
    rows = network.reshape(x, (-1, 4))
    network.output(network.concat([rows, rows], axis=1))
    mean = network.conv2d(network.global_average_pool2d(x), 4, 1)
    mean = network.resize(network.conv2d(mean, 4, 1), (3, 4), alignment="corners")
    network.output(network.concat([mean, x]))
    network.output(upsampled(network, gated(network, x)))
    network.output(network.softmax(network.dense(x, 5, activation="relu")))
    network.initialize_weights()
    return network


def gated(network: mpscnn.Network, x: mpscnn.Tensor) -> mpscnn.Tensor:
    """Append a block with the other layers of MobileNetV3, EfficientNet and ShuffleNet: (3, 4, 8) -> (3, 4, 8)."""
    halves = [network.slice(x, channels=part) for part in ((0, 4), (4, 8))]
    y = network.conv2d(halves[0], 4, 3, padding=1, activation="hard_swish")
    y = network.depthwise_conv2d(y, 3, padding=1, activation={"kind": "swish", "b": 1})
    gate = {"kind": "hard_sigmoid", "a": 1 / 6, "b": 0.5}
    for activation in ("sigmoid", gate):
        means = network.global_average_pool2d(y)
        y = network.multiply(y, network.conv2d(means, 4, 1, activation=activation))
    return network.channel_shuffle(network.concat([halves[1], y]), 2)


def upsampled(network: mpscnn.Network, x: mpscnn.Tensor) -> mpscnn.Tensor:
    """Append layers with padding given by numbers, and all layers that enlarge an image: (3, 4, 8) -> (6, 8, ...)."""
    x = network.conv2d(x, 4, 3, strides=2, padding=1)  # the result has 2 x 2 pixels
    x = network.max_pool2d(network.resize(x, (5, 7)), 3, strides=2, padding=1)  # 3 x 4 pixels
    return network.concat(
        [
            network.conv2d_transpose(x, 2, 2, strides=2),
            network.resize(x, (6, 8), method="nearest", alignment="asymmetric"),
        ]
    )


@pytest.mark.filterwarnings("ignore")  # torch emits warnings about its own code
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("peer", ALL_PEERS.values(), ids=lambda peer: peer.name)
def test_every_peer_computes_the_same(peer: Peer, batch: int) -> None:
    try:
        peer.require()
    except mpscnn.UnsupportedError as error:
        pytest.skip(str(error))
    ours, theirs = measure(
        Subject("every_layer", every_layer(), batch=batch), peers=[peer], threads=1, runs=2
    )
    assert ours.magnitude > 0.01
    assert theirs.difference is not None
    assert theirs.difference < 1e-5


def added_twice() -> mpscnn.Network:
    """Return a network whose sum has a second reader. oneDNN's graph compiler computes the second sum in place."""
    network = mpscnn.Network(input=(16, 16, 8), name="added_twice")
    parts = network.split(network.conv2d(network.input, 16, 1, activation="hard_swish"), 2)
    for _ in range(2):
        y = network.conv2d(parts[-1], 8, 3, padding=1, activation="hard_swish")
        y = network.conv2d(y, 8, 3, padding=1, activation="hard_swish")
        parts.append(network.add(parts[-1], y))
    network.output(network.conv2d(network.concat(parts), 16, 1))
    network.initialize_weights()
    return network


@pytest.mark.filterwarnings("ignore")
def test_torch_is_measured_with_right_answers() -> None:
    pytest.importorskip("torch")
    _, theirs = measure(Subject("added_twice", added_twice()), peers=[ALL_PEERS["torch"]], threads=1, runs=1)
    assert theirs.difference is not None
    assert theirs.difference < 1e-5 * theirs.magnitude


def test_layers_that_are_not_written(tmp_path: Path) -> None:
    network = mpscnn.Network(input=(4, 4, 3), name="other")
    network.output(network.conv2d(network.input, 2, 1, activation="tanh", name="unknown"))
    network.initialize_weights()
    with pytest.raises(mpscnn.UnsupportedError, match=r"layer 'unknown': the activation .*tanh"):
        list(script("benchmarks", "peer_files.layer").peer_layers(network, 1))
    network = mpscnn.Network(input=(4, 4, 3), name="other")
    network.output(network.resize(network.input, (8, 8), method="nearest", name="blocks"))
    if all(importlib.util.find_spec(module) for module in ALL_PEERS["torch"].modules):
        with pytest.raises(
            mpscnn.UnsupportedError, match="layer 'blocks': a resize other than bilinear, corners or"
        ):
            ALL_PEERS["torch"].network_file(Subject("other", network), tmp_path)


def test_a_peer_that_fails_is_left_out(model: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    (tmp_path / "network.onnx").write_text("not ONNX")  # an existing file is not converted again
    failures: dict[str, mpscnn.Error] = {}
    results = measure(
        open_subject(model),
        peers=[PEERS["onnxruntime"]],
        runs=1,
        directory=tmp_path,
        failed=lambda engine, error: failures.update({engine: error}),
    )
    assert [result.engine for result in results] == ["mpscnn"]
    assert "onnxruntime" in str(failures["onnxruntime"])
    with pytest.raises(mpscnn.Error, match="onnxruntime: "):
        measure(open_subject(model), peers=[PEERS["onnxruntime"]], runs=1, directory=tmp_path)


def test_random_weights() -> None:
    opened = open_subject("mobilenet_v1", random_weights=True)
    assert opened.input_shape == (1, 224, 224, 3)
    assert opened.flops == pytest.approx(2 * 569e6, rel=0.01)  # Howard et al. 2017, table 8: 569 million MACs
    with pytest.raises(mpscnn.ParameterError, match=r"mobilenet_v1, .*ssdlite_mobilenet_v2.*, got 'resnet'"):
        open_subject("resnet", random_weights=True)


def test_free_sizes_are_refused() -> None:
    network = mpscnn.Network(input=(None, None, 3), name="free")
    network.output(network.conv2d(network.input, 1, 1))
    with pytest.raises(mpscnn.ParameterError, match="leaves its input's size free"):
        _ = Subject("free", network).input_shape


# ---- The worker's protocol ---------------------------------------------------------------------------------------


COUNTING = """
class Counting:
    note = "test"
    runs = 0

    def __init__(self, setup, x):
        self.x = x

    def run(self):
        Counting.runs += 1

    def outputs(self):
        return [self.x + 1, self.x * 2, self.x * 0 + Counting.runs]

ENGINES = {"counting": Counting}
"""
"""A file with an engine that counts its runs."""


def answers(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    replies = io.StringIO()
    worker.serve(io.StringIO("".join(json.dumps(request) + "\n" for request in requests)), replies)
    return [json.loads(line) for line in replies.getvalue().splitlines()]


def test_worker(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.float32([1, 2]))
    adapters = tmp_path / "counting.py"
    adapters.write_text(COUNTING)
    setup = {"engine": "counting", "adapters": str(adapters), "input": str(tmp_path / "x.npy")}
    loaded, timed, written, peak = answers([setup, {"runs": 4}, {"output": str(tmp_path)}, {"finish": True}])
    assert loaded == {"note": "test"}
    assert len(timed["milliseconds"]) == 4
    assert written == {"count": 3}
    assert np.load(tmp_path / "1.npy").tolist() == [2, 4]
    # The engine ran once while it was loaded, once unmeasured at the start of the turn, and four times measured.
    assert np.load(tmp_path / "2.npy").tolist() == [6, 6]
    assert peak["peak_bytes"] > 1_000_000


def test_worker_answers_failures(tmp_path: Path) -> None:
    setup = {"engine": "none", "adapters": str(PEERS["litert"].adapters), "input": "x.npy"}
    missing, unknown, no_file = answers(
        [{"runs": 1}, setup, setup | {"adapters": str(tmp_path / "engines.py")}]
    )
    assert missing == {"error": "no engine is loaded"}
    assert unknown["error"].startswith("KeyError")
    assert no_file["error"].startswith("FileNotFoundError")


def test_quantized_tensors() -> None:
    tensor = {"dtype": np.uint8, "quantization": (0.5, 10)}
    quantized = engines.quantize(np.float32([-100, 0, 1, 1000]), tensor)
    assert quantized.tolist() == [0, 10, 12, 255]
    assert engines.dequantize(quantized, tensor).tolist() == [-5.0, 0.0, 1.0, 122.5]


# ---- The command -------------------------------------------------------------------------------------------------


def test_command(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("benchmark", model, "--threads", "1", "--runs", "3") == 0
    title, headers, _, row = capsys.readouterr().out.splitlines()
    assert title.startswith("colours.safetensors: input 1 x 8 x 8 x 3, ")
    assert title.endswith("1 thread, 3 runs")
    for column in ("min ms", "median ms", "p95 ms", "images/s", "GFLOP/s", "peak memory"):
        assert column in headers
    assert row.split()[:2] == ["mpscnn", mpscnn.__version__]


def test_command_json(model: str) -> None:
    pytest.importorskip("onnxruntime")
    result = run("benchmark", model, "--runs", "2", "--threads", "2", "--compare", "onnxruntime", "--json")
    assert result.returncode == 0
    answer = json.loads(result.stdout)
    assert (answer["model"], answer["input"]) == ("colours.safetensors", [1, 8, 8, 3])
    ours, theirs = answer["engines"]
    assert (ours["engine"], ours["threads"], ours["runs"], ours["difference"]) == ("mpscnn", 2, 2, None)
    assert theirs["difference"] < 1e-5
    assert 0 < ours["milliseconds"]["min"] <= ours["milliseconds"]["median"] <= ours["milliseconds"]["p95"]


def test_command_leaves_out_what_is_impossible(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert call("benchmark", model, "--runs", "1", "--compare", "litert,onnxruntime", "--json") == 1
    captured = capsys.readouterr()
    assert captured.err.count("not installed: pip install") == 2
    assert [entry["engine"] for entry in json.loads(captured.out)["engines"]] == ["mpscnn"]


@pytest.mark.parametrize("compare", ["tensorflow", "torch", "onnxruntime,onnxruntime"])
def test_command_usage(compare: str, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("benchmark", model, "--compare", compare) == 2
    assert "--compare" in capsys.readouterr().err


def test_architectures_of_the_package_can_be_measured() -> None:
    assert {"deep_mnist", "mobilenet_v2", "ssdlite_mobilenet_v2", "resnet50"} <= set(subject.ARCHITECTURES)
    assert not {"mobilenet_v1_features", "ssd_head"} & set(subject.ARCHITECTURES)
    for name, build in subject.ARCHITECTURES.items():
        last = build().describe()["layers"][-1]
        has_choice = "output" in inspect.signature(getattr(mpscnn.models, name)).parameters
        assert not (has_choice and last["operation"] == "softmax"), f"{name} hides what engines differ in"


# ---- The runner --------------------------------------------------------------------------------------------------


def test_figures_of_a_runner() -> None:
    measured = RunnerMeasurement(
        device="CPU",
        precision="float32",
        numbers="float32, weights int8",
        inflight=3,
        max_batch=1,
        sessions=2,
        threads=1,
        session_rates=(100.0, 50.0, 200.0),
        runner_rates=(190.0, 100.0, 300.0),
        map_rates=(195.0, 110.0, 380.0),
        latencies=tuple(float(value) for value in range(1, 102)),
    )
    assert measured.images_per_second == 190.0
    assert measured.speedup == pytest.approx(1.9)  # the median of 1.9, 2.0 and 1.5
    assert measured.map_images_per_second == 195.0
    assert measured.map_speedup == pytest.approx(1.95)
    assert [measured.latency(percentile) for percentile in (50, 95, 100)] == [51.0, 96.0, 101.0]


def test_measuring_a_runner(model: str) -> None:
    measured = measure_runner(open_subject(model), inflight=2, threads=1, max_batch=2, runs=20)
    assert (measured.inflight, measured.max_batch, measured.threads) == (2, 2, 1)
    assert len(measured.session_rates) == len(measured.runner_rates) == len(measured.map_rates) >= 1
    assert len(measured.latencies) >= 20
    assert 0 < measured.latency(50) <= measured.latency(99) <= measured.latency(100)
    assert measured.speedup > 0
    assert measured.map_speedup > 0
    with pytest.raises(mpscnn.ParameterError, match="runs must be at least 1"):
        measure_runner(open_subject(model), runs=0)


def test_the_command_measures_a_runner(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("benchmark", model, "--runner", "--inflight", "2", "--runs", "5")
    assert call(*options, "--max-batch", "3") == 0
    text = capsys.readouterr().out
    assert re.search(
        r"one thread +[0-9.]+ +1\.00\nrunner, 2 in flight, \d x \d threads, batches of up to 3 ", text
    )
    assert re.search(
        r"latency in ms  50%: [0-9.]+  90%: [0-9.]+  95%: [0-9.]+  99%: [0-9.]+  longest: ", text
    )
    assert call(*options, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["images_per_second"]["runner"] > 0
    assert set(printed["latency_milliseconds"]) == {"p50", "p90", "p95", "p99", "max"}
    assert call(*options, "--compare", "onnxruntime") == 2
    assert "one thread only" in capsys.readouterr().err


def test_a_quantised_file_is_measured_in_its_integers(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = shared / "models/mlperf_tiny/vww_96_int8.tflite"
    assert call("benchmark", str(file), "--precision", "int8", "--runs", "1") == 0
    assert "int8" in capsys.readouterr().out


def test_litert_gets_a_file_that_mpscnn_writes(tmp_path: Path) -> None:
    """Nothing of a user's file reaches it but what mpscnn reads."""
    relu = Operator(CODES["RELU"], [0], [1])
    content = write_tflite([Tensor("x", (1, 5)), Tensor("y", (1, 5))], [relu], [0], [1])
    (tmp_path / "model.tflite").write_bytes(content + b"unread")
    written = PEERS["litert"].network_file(open_subject(str(tmp_path / "model.tflite")), tmp_path)
    assert written.read_bytes()[4:8] == b"TFL3"
    assert b"unread" not in written.read_bytes()
