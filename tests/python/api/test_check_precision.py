"""Test `mpscnn.check_precision`, `mpscnn check-precision` and layers that stay float32 in float16 networks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call, save_photo

import mpscnn
from mpscnn.comparison.precision_check import PrecisionReport


def network_with_large_numbers() -> mpscnn.Network:
    """Return a network whose second layer's results exceed float16. The third layer scales them down again."""
    network = mpscnn.Network(input=(6, 5, 3), name="large")
    x = network.conv2d(network.input, 4, 1, name="first")
    x = network.conv2d(x, 4, 1, name="second")
    x = network.batch_norm(x, name="norm")
    x = network.activation(x, "relu", name="relu")
    x = network.conv2d(x, 4, 3, padding="same", name="third")
    network.output(network.flatten(network.global_average_pool2d(x, name="pool"), name="flat"))
    network.initialize_weights(seed=1)
    network.load_weights(
        {
            "second.weight": 10_000 * np.abs(network.weights["second.weight"]),
            "second.bias": np.full(4, 60_000, np.float32),
            "norm.mean": np.zeros(4, np.float32),
            "norm.variance": np.ones(4, np.float32),
            "third.weight": 1e-5 * network.weights["third.weight"],
        },
        layout="OHWI",
    )
    return network


def some_images() -> list[np.ndarray]:
    return [np.random.default_rng(i).uniform(-1, 1, (1, 6, 5, 3)).astype(np.float32) for i in range(3)]


def outputs(network: mpscnn.Network, precision: str, x: np.ndarray) -> np.ndarray:
    result = network.compile(device="cpu", precision=precision).session().run(x)
    assert isinstance(result, np.ndarray)
    return result


def test_layers_stay_float32() -> None:
    network, x = network_with_large_numbers(), some_images()[0]
    exact = outputs(network, "float32", x)
    assert not np.isfinite(outputs(network, "float16", x)).all()
    network.keep_float32(["relu"])
    np.testing.assert_allclose(outputs(network, "float16", x), exact, rtol=0.05)  # small weights lose digits
    # If all layers are kept, only the inputs are rounded.
    network.keep_float32(["first", "second", "third", "pool"])
    halves = x.astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(outputs(network, "float16", x), outputs(network, "float32", halves))
    network.keep_float32(["relu", network["second"]], keep=False)
    assert not np.isfinite(outputs(network, "float16", x)).all()


def test_only_the_kept_layer_changes() -> None:
    """The kept layer's result has more digits than a half. Its neighbours' results do not."""
    network, x = mpscnn.Network(input=(4, 4, 8)), np.random.default_rng(0).uniform(-1, 1, (1, 4, 4, 8))
    first = network.conv2d(network.input, 16, 3, padding="same", activation="relu", name="first")
    second = network.depthwise_conv2d(first, 3, padding="same", name="second")
    third = network.conv2d(second, 8, 1, name="third")
    for tensor in (first, second, third):
        network.output(tensor)
    network.initialize_weights(seed=2)
    network.keep_float32(["second"])
    results = network.compile(device="cpu", precision="float16").session().run(x.astype(np.float32))
    assert isinstance(results, dict)
    rounded = {name: bool((y == y.astype(np.float16)).all()) for name, y in results.items()}
    assert rounded == {"first": True, "second": False, "third": True}


def test_model_files_hold_it(tmp_path: Path) -> None:
    network = network_with_large_numbers()
    network.keep_float32(["second"])
    network.save(tmp_path / "model.safetensors", dtype="float32")
    model = mpscnn.load(tmp_path / "model.safetensors", precision="float16")
    x = some_images()[0]
    with model.session() as session:
        np.testing.assert_array_equal(session.run(x), outputs(network, "float16", x))
    kept = [node["name"] for node in model.network.to_dict()["nodes"] if node.get("keep_float32")]
    assert kept == ["second"]
    assert "keep_float32" not in json.dumps(mpscnn.Network(input=(3,)).to_dict())


@pytest.mark.parametrize(("layer", "message"), [("image", "is an input"), ("missing", "no layer 'missing'")])
def test_what_cannot_be_kept(layer: str, message: str) -> None:
    with pytest.raises(mpscnn.ParameterError, match=message):
        network_with_large_numbers().keep_float32([layer])


@pytest.mark.parametrize(
    ("layers", "message"),
    [("second", "a sequence of layers, got 'second'"), ([3], "has layers by name, got 3")],
)
def test_layers_are_a_sequence(layers: Any, message: str) -> None:
    with pytest.raises(mpscnn.ParameterError, match=message):
        network_with_large_numbers().keep_float32(layers)


# ---- The report --------------------------------------------------------------------------------------------------


def test_report() -> None:
    network = network_with_large_numbers()
    report = mpscnn.check_precision(network, some_images())
    layers = {layer.name: layer for layer in report.layers}
    assert list(layers) == ["first", "relu", "third", "pool", "flat"]
    exact = np.stack([outputs(network.subgraph(["relu"]), "float32", x) for x in some_images()])
    assert layers["relu"].largest == np.abs(exact).max()
    assert layers["relu"].overflows == np.count_nonzero(exact > 65504) > 0
    assert layers["relu"].own_error == np.inf
    assert layers["first"].overflows == 0
    assert layers["first"].own_error < 0.001
    assert layers["third"].weights_lost > 0.9
    assert layers["third"].weight_largest == pytest.approx(np.abs(network.weights["third.weight"]).max())
    assert "relu" in report.keep
    assert not np.isfinite(report.error)
    assert report.kept_error <= report.tolerance
    network.keep_float32(report.keep)
    again = mpscnn.check_precision(network, some_images())
    assert (again.keep, again.error) == ((), report.kept_error)
    assert [layer.name for layer in again.layers if layer.kept] == list(report.keep)


def test_nothing_to_keep() -> None:
    network = mpscnn.Network(input=(6, 5, 3))
    network.output(network.conv2d(network.input, 4, 3, name="conv"))
    network.initialize_weights()
    report = mpscnn.check_precision(network, some_images())
    assert report.keep == ()
    assert 0.0 < report.error < 0.001
    assert report.layers[0].error == pytest.approx(report.error)
    assert "nothing needs to stay float32" in report.verdict()
    together = mpscnn.check_precision(network, [np.concatenate(some_images())])
    assert (together.images, together.error) == (report.images, pytest.approx(report.error))
    # A tolerance that float16 cannot reach is reported as such.
    report = mpscnn.check_precision(network, some_images(), tolerance=1e-6)
    assert report.keep == ("conv",)
    assert report.kept_error > 1e-6
    assert "which is not enough" in report.verdict()


def test_refused() -> None:
    network = network_with_large_numbers()
    with pytest.raises(mpscnn.ParameterError, match="no images"):
        mpscnn.check_precision(network, [])
    for images in (5.5, None, [np.array(["a"])]):
        with pytest.raises(mpscnn.ParameterError, match="images must be"):
            mpscnn.check_precision(network, images)
    with pytest.raises(mpscnn.UnsupportedError, match="does not say how a photo becomes its input"):
        mpscnn.check_precision(network, "photo.jpg")
    with pytest.raises(mpscnn.ParameterError, match="the images are not all finite"):
        mpscnn.check_precision(network, [np.full((1, 4, 4, 3), np.nan, np.float32)])
    for tolerance in ("a", None, 0.0, float("nan")):
        with pytest.raises(mpscnn.ParameterError, match="tolerance must be above 0"):
            mpscnn.check_precision(network, some_images(), tolerance=tolerance)  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ParameterError, match="expected a Network, got str"):
        mpscnn.check_precision("digits", some_images())  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ParameterError, match="float8"):
        mpscnn.check_precision(network, some_images(), precision="float8")
    with pytest.raises(mpscnn.ShapeError):
        mpscnn.check_precision(network, [np.zeros((1, 3, 3, 7), np.float32)])


def test_weights_that_float16_cannot_hold() -> None:
    """A network with such weights is compiled in float16 only if their layer is kept in float32.

    The weight with the batch normalization folded into it is checked.
    """
    network = network_with_large_numbers()
    network.load_weights(
        {"norm.variance": np.full(4, 1e-6, np.float32), "third.weight": 0 * network.weights["third.weight"]},
        layout="OHWI",
    )
    x = some_images()[0]
    with pytest.raises(mpscnn.WeightsError, match="does not fit into float16"):
        outputs(network, "float16", x)
    report = mpscnn.check_precision(network, some_images())
    assert report.error == np.inf
    assert "relu" in report.keep
    relu = next(layer for layer in report.layers if layer.name == "relu")
    largest = np.abs(network.weights["second.weight"]).max() / np.sqrt(1e-6 + 1e-3)
    assert relu.weight_largest == pytest.approx(largest, rel=1e-3)
    network.keep_float32(report.keep)
    np.testing.assert_allclose(outputs(network, "float16", x), outputs(network, "float32", x), rtol=0.01)


# ---- The command -------------------------------------------------------------------------------------------------


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, photos = tmp_path / "model.safetensors", tmp_path / "photos"
    network_with_large_numbers().save(path, dtype="float32", preprocess="unit", labels=list("abcd"))
    photos.mkdir()
    for colour in ("red", "gray"):
        save_photo(photos / f"{colour}.png", colour)
    before = path.read_bytes()
    assert call("check-precision", str(path), "--images", str(photos)) == 1
    shown = capsys.readouterr().out
    assert "over 2 images" in shown
    assert "relu" in shown
    assert path.read_bytes() == before
    changed = tmp_path / "changed.safetensors"
    options = ("--images", str(photos), "--keep-float32", "auto", "--json")
    assert call("check-precision", str(path), *options, "--output", str(changed)) == 0
    keep = json.loads(capsys.readouterr().out)["keep"]
    assert "relu" in keep
    assert call("check-precision", str(changed), "--images", str(photos)) == 0
    model = mpscnn.load(changed)
    assert model.labels == list("abcd")
    for name, values in mpscnn.load(path).network.weights.items():
        np.testing.assert_array_equal(model.network.weights[name], values)
    # Set the kept layers by name, in the file itself.
    assert call("check-precision", str(path), "--keep-float32", "first,third") == 2
    assert call("check-precision", str(path), "--keep-float32", "first,third", "--overwrite") == 0
    nodes = mpscnn.load(path).network.to_dict()["nodes"]
    assert [node["name"] for node in nodes if node.get("keep_float32")] == ["first", "third"]
    capsys.readouterr()
    assert call("check-precision", "cifar10_mobilenet_v2", "--keep-float32", "auto") == 2
    assert "--output" in capsys.readouterr().err


def test_layers_are_kept_in_float16_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.safetensors"
    network_with_large_numbers().save(path, dtype="float32")
    before = path.read_bytes()
    arguments = ("check-precision", str(path), "--precision", "bfloat16", "--keep-float32", "auto")
    assert call(*arguments) == 2
    assert "in float16 only" in " ".join(capsys.readouterr().err.split())
    assert path.read_bytes() == before


def test_the_command_takes_the_precisions_that_it_looks_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network_with_large_numbers().save(path := tmp_path / "model.safetensors")
    assert call("check-precision", str(path), "--precision", "int8") == 2
    assert "'float16', 'bfloat16'" in capsys.readouterr().err
    assert call("check-precision", "--help") == 0
    assert "--precision [float16|bfloat16]" in capsys.readouterr().out


def test_what_is_beyond_the_tolerance_in_bfloat16() -> None:
    report = PrecisionReport("net", "bfloat16", 3, (), tolerance=0.01, error=0.5, keep=(), kept_error=0.5)
    assert "in float16 only" in report.verdict()
    assert "nothing needs to stay float32" in replace(report, tolerance=1.0).verdict()


def test_several_inputs_are_refused_in_words_of_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = mpscnn.Network(input={"a": (4, 4, 3), "b": (4, 4, 3)}, name="two")
    network.output(network.add(*network.inputs, name="sum"))
    path = tmp_path / "two.safetensors"
    network.save(path)
    assert call("check-precision", str(path)) == 1
    assert "two.safetensors has 2 inputs; a network with one can be checked" in capsys.readouterr().err
    for suffix in (".safetensors", ".onnx", ".tflite", ".mlmodel", ".mlpackage"):
        with pytest.raises(
            mpscnn.ParameterError, match="a photo becomes the only input, and network 'two' has 2"
        ):
            network.save(path.with_suffix(suffix), preprocess="torch")


def _beyond(network: mpscnn.Network, x: Any, operation: str) -> Any:
    """Append an operation that cannot include an activation. Its results are about 200,000."""
    if operation == "sum":
        return network.reduce_sum(x, "channels", name="large")
    if operation == "l2":
        return network.reduce_l2(x, "channels", name="large")
    if operation == "matrix product":
        rows = network.reshape(x, (16, 64))
        return network.matmul(rows, rows, transpose_b=True, name="large")
    if operation == "weighted sum":
        return network.layer("weighted_reduction", [x, x], {"kind": "sum"}, name="large")
    raise AssertionError(operation)


@pytest.mark.parametrize("operation", ["sum", "l2", "matrix product", "weighted sum"])
@pytest.mark.parametrize("behind", ["activation", "normalization", "two"])
def test_layers_in_front_of_an_activation_are_proposed(operation: str, behind: str) -> None:
    """A layer that cannot include an activation rounds its own result.

    So keeping only the activation in float32 would change nothing.
    """
    network = mpscnn.Network(input=(4, 4, 64), name="net")
    squares = operation in ("matrix product", "weighted sum")
    factor = 60.0 if squares else 30_000.0 if operation == "l2" else 3_000.0
    x = network.conv2d(network.input, 64, 1, name="first")
    y = _beyond(network, x, operation)
    if behind == "normalization":
        y = network.batch_norm(y, name="small")
    else:
        y = network.activation(y, {"kind": "linear", "a": 1e-5}, name="small")
    if behind == "two":
        y = network.activation(y, "tanh", name="end")
    network.output(y)
    network.initialize_weights(seed=0)
    network.load_weights(
        {"first.weight": factor * np.eye(64, dtype=np.float32).reshape(64, 1, 1, 64)}, layout="OHWI"
    )
    if behind == "normalization":
        network.load_weights(
            {"small.variance": np.full_like(network.weights["small.variance"], 1e10)}, layout="OHWI"
        )
    images = [np.random.default_rng(i).uniform(0.8, 1.0, (1, 4, 4, 64)).astype(np.float32) for i in range(2)]
    found = mpscnn.check_precision(network, images)
    assert not found.error <= found.tolerance
    assert "large" in found.keep
    assert found.kept_error <= found.tolerance
    network.keep_float32(found.keep)
    exact, kept = (outputs(network, precision, images[0]) for precision in ("float32", "float16"))
    np.testing.assert_allclose(kept, exact, rtol=0.02)
