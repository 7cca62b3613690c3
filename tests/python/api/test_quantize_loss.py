"""Test that `mpscnn.quantize` keeps the fewest layers in float32 for a promised accuracy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import LABELS, call, save_colour_model, save_photo
from quantized_networks import IMAGES, SHAPE, noise, results, wide

import mpscnn
from mpscnn import ParameterError


@pytest.fixture(scope="module")
def promised() -> Any:
    """Return the network and the report for two points."""
    return mpscnn.quantize(wide(), IMAGES, loss=2)


def test_the_fewest_layers_stay_in_float32(promised: Any) -> None:
    """The fewest are tested by leaving out each one, which takes a second and a half."""
    network = wide()
    plain = mpscnn.quantize(network, IMAGES).report
    assert plain.agreement is not None
    assert plain.agreement < 0.9
    assert (plain.loss, plain.promised) == (None, ())
    made, report = promised
    names = [layer.name for layer in report.promised]
    assert report.loss is not None
    assert report.loss <= 2
    assert report.agreement == pytest.approx(1 - report.loss / 100)
    assert set(names) == {"stem", "expand", "project", "sum", "read"}  # they write and read the wide channels
    assert set(report.kept) == set(names)
    effects = [layer.effect for layer in report.promised]
    assert effects == sorted(effects, reverse=True)
    assert "points lost" in report.verdict()
    float32, int8 = (
        results(one, IMAGES, kind).argmax(1) for one, kind in ((network, "float32"), (made, "int8"))
    )
    assert (float32 == int8).mean() == pytest.approx(report.agreement)
    for name in names:  # none of them can be left out
        fewer = mpscnn.quantize(
            network, IMAGES, keep_float32=[other for other in names if other != name]
        ).report
        assert fewer.agreement is not None
        assert fewer.agreement < 0.98


def test_known_classes_count_instead_of_equal_answers() -> None:
    network = wide()
    true = results(network, IMAGES, "float32").argmax(1)
    true[::4] = (true[::4] + 1) % 6  # float32 is right on three quarters
    report = mpscnn.quantize(network, IMAGES, test_classes=true.tolist(), loss=1).report
    assert report.accuracy_before == pytest.approx(0.75)
    assert report.accuracy is not None
    assert report.accuracy >= 0.74
    assert report.loss == pytest.approx(100 * (0.75 - report.accuracy))


@pytest.mark.parametrize("with_classes", [False, True])
def test_a_loss_of_the_promised_size_is_allowed(with_classes: bool) -> None:
    """One of 200 images is half a point, which has no exact number: 100 * (1 - 0.995) is more than 0.5."""
    network = mpscnn.Network((1,), name="one")
    network.output(network.dense(network.input, 2, name="scores"))
    network.load_weights(
        {"scores.weight": np.array([[0], [1]], np.float32), "scores.bias": np.zeros(2, np.float32)}
    )
    images = [np.full((1, 1), value, np.float32) for value in [1.0] * 100 + [-1.0] * 99 + [1e-4]]
    true = [1] * 100 + [0] * 99 + [1]  # the last result is 0 in integers, so class 0
    report = mpscnn.quantize(network, images, test_classes=true if with_classes else None, loss=0.5).report
    assert (report.loss, report.promised) == (0.5, ())


def test_no_layer_stays_in_float32_if_integers_are_enough() -> None:
    report = mpscnn.quantize(wide(), IMAGES, loss=100).report
    assert report.promised == report.kept == ()
    kept = mpscnn.quantize(wide(), IMAGES, loss=100, keep_float32=["last"]).report
    assert (kept.promised, kept.kept) == ((), ("last",))


def two_outputs() -> mpscnn.Network:
    network = wide()
    network.output(network["sum"])
    return network


def one_layer() -> mpscnn.Network:
    network = mpscnn.Network((4,), name="one")
    network.output(network.dense(network.input, 40, name="scores"))
    network.initialize_weights(seed=0)
    return network


@pytest.mark.parametrize(
    ("network", "images", "loss", "message"),
    [
        (wide, IMAGES[:2], -1, "loss must be 0 to 100 points, got -1"),
        (wide, IMAGES[:2], "0.5", "loss must be 0 to 100 points, got '0.5'"),
        (two_outputs, IMAGES[:2], 0.5, "loss needs a network whose results are classes or objects"),
        (one_layer, noise(300, 4), 0, "loses more than 0 points unless all layers stay in float32"),
    ],
)
def test_refusals(network: Any, images: Any, loss: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        mpscnn.quantize(network(), images, loss=loss)


def test_the_command_says_which_layers_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    network = wide()
    network.labels, network.preprocess = [f"class {number}" for number in range(6)], "tensorflow"
    network.save("wide.safetensors")
    random = np.random.default_rng(0)
    Path("photos").mkdir()
    from PIL import Image

    for number in range(60):
        pixels = random.integers(0, 226, 3) + random.integers(0, 30, SHAPE)
        Image.fromarray(pixels.astype(np.uint8)).save(f"photos/{number}.png")
    assert call("quantize", "wide.safetensors", "--images", "photos", "--loss", "2") == 0
    said = capsys.readouterr().out
    assert "kept in float32 to lose at most 2 points, with their effect on the results:" in said
    assert "  sum (add): " in said
    model = save_colour_model(tmp_path / "colours.safetensors")
    for label in LABELS:
        Path("colours", label).mkdir(parents=True)
        save_photo(Path("colours", label, "one.png"), label)
    assert call("quantize", str(model), "--images", "colours", "--loss", "0.5") == 0
    assert "kept in float32 to lose" not in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx", ".tflite"])
def test_files_keep_the_mixture(tmp_path: Path, suffix: str, promised: Any) -> None:
    network = promised.network
    network.save(tmp_path / f"mixed{suffix}")
    read = mpscnn.load(tmp_path / f"mixed{suffix}", precision="int8").network
    right, found = (results(one, IMAGES, "int8") for one in (network, read))
    assert (found.argmax(1) == right.argmax(1)).mean() >= 0.98
    if suffix != ".onnx":  # such a file cannot say that a float layer between integer layers does not round
        np.testing.assert_array_equal(found, right)
