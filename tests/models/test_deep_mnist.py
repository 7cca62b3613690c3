"""Test Deep MNIST: its structure, its eight raw files, and the model file that is made of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import mpscnn
from mpscnn import converters
from mpscnn.models import deep_mnist, export_deep_mnist

# The files of the article, with the numbers of elements that it passes to `loadTensor`.
ARTICLES_FILES = {
    "W_conv1": 5 * 5 * 1 * 32,
    "b_conv1": 32,
    "W_conv2": 5 * 5 * 32 * 64,
    "b_conv2": 64,
    "W_fc1": 7 * 7 * 64 * 1024,
    "b_fc1": 1024,
    "W_fc2": 1024 * 10,
    "b_fc2": 10,
}


def random_network() -> mpscnn.Network:
    """Return Deep MNIST with random weights so small that several probabilities are well above 0."""
    network = deep_mnist()
    network.initialize_weights(seed=3)
    weights = dict(network.weights)
    generator = np.random.default_rng(3)
    for name in weights:
        if name.endswith("bias"):
            weights[name] = generator.normal(0, 0.1, weights[name].shape).astype(np.float32)
    network.load_weights(weights, layout="OHWI")
    return network


@pytest.fixture(scope="module")
def network() -> mpscnn.Network:
    return random_network()


@pytest.fixture
def folder(network: mpscnn.Network, tmp_path: Path) -> Path:
    export_deep_mnist(network, tmp_path / "weights")
    return tmp_path / "weights"


def pixels(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).random((count, 28, 28, 1), np.float32)


def run(network: mpscnn.Network, images: NDArray[np.float32]) -> NDArray[np.float32]:
    result = network.compile(device="cpu", precision="float32").session(threads=1).run(images)
    assert isinstance(result, np.ndarray)
    return result


def test_its_layers(network: mpscnn.Network) -> None:
    shapes = {
        "conv1": (28, 28, 32),
        "pool1": (14, 14, 32),
        "conv2": (14, 14, 64),
        "pool2": (7, 7, 64),
        "fc1": (1024,),
        "fc2": (10,),
        "softmax": (10,),
    }
    assert [layer["name"] for layer in network.describe()["layers"]] == list(shapes)
    assert {name: network[name].shape[1:] for name in shapes} == shapes


def test_the_eight_files_have_the_articles_sizes(folder: Path) -> None:
    assert {path.name: path.stat().st_size for path in folder.iterdir()} == {
        name: 4 * count for name, count in ARTICLES_FILES.items()
    }


def test_what_is_exported_is_loaded(network: mpscnn.Network, folder: Path) -> None:
    loaded = deep_mnist(folder)
    for name, values in network.weights.items():
        np.testing.assert_array_equal(loaded.weights[name], values)
    # in the order [out][height][width][in]
    raw = np.fromfile(folder / "W_conv2", "<f4")
    assert raw[((3 * 5 + 1) * 5 + 4) * 32 + 7] == network.weights["conv2.weight"][3, 1, 4, 7]
    raw = np.fromfile(folder / "W_fc1", "<f4")
    assert raw[((1000 * 7 + 2) * 7 + 6) * 64 + 63] == network.weights["fc1.weight"][1000, 2, 6, 63]


def test_it_is_torchs_network(network: mpscnn.Network) -> None:
    torch = pytest.importorskip("torch", reason="needs torch")
    functional = torch.nn.functional
    weights = {name: torch.tensor(values) for name, values in network.weights.items()}
    images = pixels(4)
    x = torch.from_numpy(images).permute(0, 3, 1, 2)
    for layer in ("conv1", "conv2"):
        kernel, bias = weights[f"{layer}.weight"].permute(0, 3, 1, 2), weights[f"{layer}.bias"]
        x = functional.max_pool2d(functional.conv2d(x, kernel, bias, padding=2).relu(), 2)
    x = functional.conv2d(x, weights["fc1.weight"].permute(0, 3, 1, 2), weights["fc1.bias"]).relu().flatten(1)
    x = functional.linear(x, weights["fc2.weight"].flatten(1), weights["fc2.bias"])
    logits = deep_mnist(network.weights, output="logits")
    np.testing.assert_allclose(run(logits, images), x.numpy(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(run(network, images), x.softmax(1).numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ARTICLES_FILES)
def test_a_file_of_another_size_is_named_with_what_is_expected(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\0" * 12)
    message = rf"{name}: 12 bytes, but {4 * ARTICLES_FILES[name]:,} are expected: float32 \[[0-9\]\[]+\]$"
    with pytest.raises(mpscnn.WeightsError, match=message):
        deep_mnist(folder)


def test_exchanged_files_are_recognised_by_their_sizes(folder: Path) -> None:
    (folder / "W_conv2").replace(folder / "W_conv1")
    with pytest.raises(
        mpscnn.WeightsError,
        match=r"W_conv1: 204,800 bytes, but 3,200 are expected: float32 \[32\]\[5\]\[5\]\[1\]; "
        r"this is the size of W_conv2$",
    ):
        deep_mnist(folder)


def test_a_missing_file_is_named_with_all_that_are_expected(folder: Path) -> None:
    (folder / "b_fc1").unlink()
    with pytest.raises(
        mpscnn.WeightsError, match=r"b_fc1: cannot be read: No such file.*W_fc1 \(12,845,056 b"
    ):
        deep_mnist(folder)


def test_values_that_are_not_finite_are_refused(folder: Path) -> None:
    (folder / "b_fc2").write_bytes(np.full(10, np.nan, "<f4").tobytes())
    with pytest.raises(mpscnn.WeightsError, match="fc2"):
        deep_mnist(folder)


def test_other_widths(tmp_path: Path) -> None:
    small = deep_mnist(channels=(16, 32), hidden=128)
    small.initialize_weights()
    export_deep_mnist(small, tmp_path)
    with pytest.raises(mpscnn.WeightsError, match=r"W_conv1: 1,600 bytes, but 3,200"):
        deep_mnist(tmp_path)
    again = deep_mnist(tmp_path, channels=(16, 32), hidden=128)
    np.testing.assert_array_equal(run(again, pixels(2)), run(small, pixels(2)))


def test_arguments(tmp_path: Path) -> None:
    with pytest.raises(mpscnn.ParameterError, match="output must be 'softmax' or 'logits', got 'labels'"):
        deep_mnist(output="labels")
    for channels in (5, (5,)):
        with pytest.raises(mpscnn.ParameterError, match="channels must be two numbers"):
            deep_mnist(channels=channels)  # type: ignore[arg-type]
    with pytest.raises(mpscnn.WeightsError, match="it has no weights"):
        export_deep_mnist(deep_mnist(), tmp_path)
    other = mpscnn.Network(input=(2, 2, 1), name="other")
    other.output(other.dense(other.input, 3, name="fc"))
    other.initialize_weights()
    with pytest.raises(
        mpscnn.WeightsError, match=r"'other': the eight files hold conv1\.weight.*; it has fc\.w"
    ):
        export_deep_mnist(other, tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(mpscnn.WeightsError, match="file: cannot be written"):
        export_deep_mnist(random_network(), tmp_path / "file")


def test_the_folder_becomes_a_model_file(network: mpscnn.Network, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "deep_mnist.safetensors"
    converters.convert_files([folder], output, preprocess="mnist", dtype="float32")
    model = mpscnn.load(output, device="cpu", precision="float32")
    assert model.name == "deep_mnist"
    assert model.labels == list("0123456789")
    np.testing.assert_array_equal(run(model.network, pixels(2)), run(network, pixels(2)))
    assert run(deep_mnist(output), pixels(1)).shape == (1, 10)
    for given in ({"outputs": ["conv1"]}, {"shapes": {"image": (1, 28, 28, 1)}}):
        with pytest.raises(mpscnn.UnsupportedError, match="shapes and outputs cannot be chosen"):
            converters.read_network([folder], **given)
    with pytest.raises(mpscnn.ParameterError, match="an architecture can be chosen for files of weights"):
        converters.read_network([folder], architecture="deep_mnist")
    (tmp_path / "empty").mkdir()
    with pytest.raises(mpscnn.UnsupportedError, match="empty: is a folder; expected a model file"):
        converters.read_network([tmp_path / "empty"])
