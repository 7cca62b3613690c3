"""Test that `mpscnn.quantize(..., epochs=...)` trains with the integers in which the network runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from converters.integer_networks import here, litert
from numpy.typing import NDArray
from quantized_networks import IMAGES, classifier, coloured, noise, results, wide

import mpscnn
from mpscnn import ParameterError, UnsupportedError
from mpscnn.quantization.calibration import calibrate
from mpscnn.quantization.inputs import batches, to_arrays
from mpscnn.quantization.integer_training import IntegerTraining
from mpscnn.quantization.integers import choose_scales, quantize_network
from mpscnn.quantization.preparation import prepare
from mpscnn.runtime.program import named_results


def training_of(network: mpscnn.Network, images: Any) -> tuple[IntegerTraining, mpscnn.Network, Any]:
    """Return the training of a network, the float network, and a batch of its images."""
    prepared, _ = prepare(network)
    given = to_arrays(prepared, images, "images")
    seen = calibrate(prepared, given)
    scales = choose_scales(prepared, seen)
    rounded = quantize_network(prepared, seen, correct_bias=True, scales=scales)
    return IntegerTraining(prepared, rounded, scales), prepared, next(batches(given))


def mixed() -> mpscnn.Network:
    """Return a network with two outputs, and a layer in float32 between integer layers."""
    network = wide()
    network.output(network.conv2d(network["sum"], 3, 1, name="map"))
    network.initialize_weights(3, layers=["map"])
    network.keep_float32(["read"])
    return network


@pytest.mark.parametrize("make", [wide, classifier, mixed])
def test_the_differentiated_graph_has_the_integers_of_the_engine(make: Any) -> None:
    """Also after steps, whose loss is that of the engine's results."""
    training, floats, batch = training_of(make(), IMAGES[:8])
    for _ in range(3):
        integers = training.integers()
        nodes = {node["name"]: node for node in integers.to_dict()["nodes"]}
        followed = [name for name in nodes if f"{name} followed" in training.followed]
        engine = named_results(
            integers.compile(device="cpu", precision="int8", outputs=followed).session(), batch
        )
        training.followed.set_weights(training.network.weights)
        program = training.followed.compile(device="cpu", outputs=[f"{name} followed" for name in followed])
        graph = named_results(program.session(), training.inputs(batch))
        for name in followed:
            stated = nodes[name]["quantization"]
            steps = graph[f"{name} followed"] / stated["scale"]
            assert np.abs(steps - engine[name] / stated["scale"]).max() < 1e-2
            if not nodes[name].get("keep_float32"):
                np.testing.assert_array_equal(np.rint(steps), np.rint(engine[name] / stated["scale"]))
        ends = [name for name in followed if name in {*floats.to_dict()["outputs"], "scores"}]
        right = named_results(floats.compile(device="cpu", outputs=ends).session(), batch)
        loss = np.mean(
            np.concatenate(
                [
                    ((engine[name] - right[name]) / (255 * nodes[name]["quantization"]["scale"])).reshape(
                        len(right[name]), -1
                    )
                    for name in ends
                ],
                axis=1,
            )
            ** 2
        )
        assert training.step(batch, 1e-3) == pytest.approx(loss, rel=1e-4)


def test_gradients_pass_through_the_rounding() -> None:
    """The first step moves each weight against its gradient, which is computed here. Cut results have none."""
    network = mpscnn.Network((6,), name="dense")
    network.output(network.dense(network.input, 4, activation="relu6", name="scores"))
    random = np.random.default_rng(0)
    weight = random.normal(size=(4, 6)).astype(np.float32)
    network.load_weights({"scores.weight": weight, "scores.bias": np.zeros(4, np.float32)})
    images = [3 * image for image in noise(32, 6)]
    training, floats, batch = training_of(network, images)
    before = {name: np.array(values) for name, values in training.network.weights.items()}
    (x,) = batch.values()
    read = training.inputs(batch)["input"]
    q, t = results(training.integers(), [x], "int8"), results(floats, [x], "float32")
    passed = (x @ before["scores.weight"].T + before["scores.bias"] > 0) & (t < 6)
    gradient = ((q - t) * passed).T @ read
    training.step(batch, 1e-3)
    moved = training.network.weights["scores.weight"] - before["scores.weight"]
    largest = np.abs(before["scores.weight"])
    of_outputs = largest.max(1, keepdims=True)
    expected = -1e-3 * of_outputs * (largest / of_outputs).max(0) * np.sign(gradient)
    clear = np.abs(gradient) > 1e-2 * np.abs(gradient).max()
    assert clear.mean() > 0.7
    np.testing.assert_allclose(moved[clear], expected[clear], rtol=1e-2)


def test_three_quarters_of_the_loss_come_back() -> None:
    """Measured on images that did not train. It takes four seconds, since it trains."""
    images, others = coloured(240, seed=7), coloured(200, seed=5)
    network = wide(3)
    plain = mpscnn.quantize(network, images, test_images=others).report
    report = mpscnn.quantize(network, images, test_images=others, epochs=12).report
    assert plain.agreement is not None
    assert report.agreement is not None
    assert plain.agreement < 0.9
    assert 1 - report.agreement <= 0.25 * (1 - plain.agreement)
    assert report.kept == ()
    assert "after 12 epochs of training" in report.verdict()
    assert not report.training_left_out
    assert report.to_dict()["epochs"] == 12


@pytest.fixture(scope="module")
def trained() -> mpscnn.Network:
    return mpscnn.quantize(wide(), IMAGES[:16], epochs=1).network


def test_trained_bits_are_run_bits_in_files(trained: mpscnn.Network, tmp_path: Path) -> None:
    """LiteRT's reference kernels, and files that are read again, compute what the training computed."""
    x = np.concatenate(IMAGES[16:24])
    right = results(trained, [x], "int8")
    for suffix in (".safetensors", ".tflite", ".onnx"):
        if suffix == ".onnx":
            pytest.importorskip("onnx", reason="onnx is not installed")
        trained.save(tmp_path / f"trained{suffix}")
        read = mpscnn.load(tmp_path / f"trained{suffix}", precision="int8").network
        np.testing.assert_array_equal(results(read, [x], "int8"), right)
    for found, own in zip(
        litert((tmp_path / "trained.tflite").read_bytes(), x), here(trained, x), strict=True
    ):
        np.testing.assert_array_equal(found, own)


def test_core_ml_packages_have_the_trained_weights(trained: mpscnn.Network, tmp_path: Path) -> None:
    pytest.importorskip("coremltools", reason="coremltools is not installed")
    trained.save(tmp_path / "trained.mlpackage")
    read = mpscnn.load(tmp_path / "trained.mlpackage").network
    for name, values in trained.weights.items():
        if name.endswith(".weight"):
            own = read.weights[name].reshape(values.shape)
            np.testing.assert_allclose(own, values, rtol=2e-3, atol=1e-4)


def test_fewer_layers_are_kept_after_training() -> None:
    """The promise also holds where training alone is not enough. It takes ten seconds, since it trains four times."""
    network, images = wide(3), coloured(60, seed=7)
    plain = mpscnn.quantize(network, images, loss=8).report
    assert plain.promised
    trained = mpscnn.quantize(network, images, loss=8, epochs=60).report
    assert (trained.promised, trained.epochs) == ((), 60)
    for loss in (1, 8):
        found = mpscnn.quantize(network, images, loss=loss, epochs=2).report
        assert found.loss is not None
        assert found.loss <= loss
        assert len(found.promised) <= len(mpscnn.quantize(network, images, loss=loss).report.promised)


def zero(*shape: int) -> mpscnn.Network:
    """Return a network whose results are always 1."""
    network = mpscnn.Network(shape, name="zero")
    elements = int(np.prod(shape))
    network.output(network.dense(network.flatten(network.input), 3, name="scores"))
    weights = {"scores.weight": np.zeros((3, elements), np.float32), "scores.bias": np.ones(3, np.float32)}
    network.load_weights(weights, layout="OHWI")
    return network


def test_a_training_that_does_not_help_is_left_out() -> None:
    report = mpscnn.quantize(zero(4), noise(4, 4), epochs=3).report
    assert (report.epochs, report.training_left_out) == (0, True)
    assert report.verdict().endswith("; training did not reduce the error, and is left out")
    plain = mpscnn.quantize(zero(4), noise(4, 4)).report
    assert not plain.training_left_out
    assert "training" not in plain.verdict()


def without_gradient() -> mpscnn.Network:
    network = mpscnn.Network((12, 12, 3), name="sorted")
    x = network.conv2d(network.input, 4, 1, name="conv")
    network.output(network.layer("argument", [x], {"kind": "max"}, name="best"))
    network.initialize_weights(0)
    return network


@pytest.mark.parametrize(
    ("make", "epochs", "kind", "message"),
    [
        (wide, -1, ParameterError, "epochs must be a number of at least 0, got -1"),
        (wide, 1.5, ParameterError, "epochs must be a whole number of at least 0, got 1.5"),
        (wide, 2.0, ParameterError, "epochs must be a whole number of at least 0, got 2.0"),
        (without_gradient, 1, UnsupportedError, "best"),
    ],
)
def test_refusals(make: Any, epochs: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        mpscnn.quantize(make(), IMAGES[:2], epochs=epochs)


def test_the_command_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    network = wide()
    network.labels, network.preprocess = [f"class {number}" for number in range(6)], "tensorflow"
    network.save("wide.safetensors")
    from PIL import Image

    Path("photos").mkdir()
    pixels: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, (4, 12, 12, 3), np.uint8)
    for number, photo in enumerate(pixels):
        Image.fromarray(photo).save(f"photos/{number}.png")
    assert call("quantize", "wide.safetensors", "--images", "photos", "--epochs", "2", "--json") == 0
    assert json.loads(capsys.readouterr().out)["epochs"] == 2
    assert call("quantize", "wide.safetensors", "--images", "photos", "--epochs", "1", "--overwrite") == 0
    assert "after 1 epoch of training" in capsys.readouterr().out
    network = zero(12, 12, 3)
    network.labels, network.preprocess = list("abc"), "tensorflow"
    network.save("zero.safetensors")
    said = "training did not reduce the error, and is left out"
    assert call("quantize", "zero.safetensors", "--images", "photos", "--epochs", "1") == 0
    assert said in " ".join(capsys.readouterr().out.split())
    assert (
        call("quantize", "zero.safetensors", "--images", "photos", "--epochs", "1", "--json", "--overwrite")
        == 0
    )
    printed = capsys.readouterr()
    assert json.loads(printed.out)["training_left_out"] is True
    assert said in printed.err
