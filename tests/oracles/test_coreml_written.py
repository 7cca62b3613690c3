"""Export networks as Core ML models by means of coremltools, and read them again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement import computed
from command_line import call
from converters.onnx_writer.test_onnx_export import LAYERS, fill, network_of
from numpy.typing import NDArray

import mpscnn
from mpscnn import Network, converters
from mpscnn.converters.writing.coreml import export
from mpscnn.converters.writing.coreml.export import TARGETS
from mpscnn.errors import ParameterError, UnsupportedError

coremltools = pytest.importorskip("coremltools", reason="coremltools is not installed")
pytestmark = [
    pytest.mark.full,
    pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

RECURRENT: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("lstm", {}),
    "lstm of other functions": ("lstm", {"activation": "hard_sigmoid", "cell_activation": "relu"}),
    "gru": ("gru", {}),
    "gru with its gate before the product": ("gru", {"reset_after": False}),
}


@pytest.mark.parametrize("suffix", [".mlpackage", ".mlmodel"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_layers(name: str, reverse: bool, suffix: str, tmp_path: Path) -> None:
    kind, more = RECURRENT[name]
    network = Network(input=(5, 6))
    made = getattr(network, kind)(network.input, 4, reverse=reverse, name="memory", **more)
    network.output(network.dense(network.concat([made.last, network.flatten(made.steps)]), 3))
    fill(network)
    path = tmp_path / f"one{suffix}"
    if suffix == ".mlmodel" and name == "gru":
        with pytest.raises(UnsupportedError, match="resets after the product"):
            converters.export_coreml(network, path)
        return
    converters.export_coreml(network, path)
    x = np.random.default_rng(1).normal(size=(1, 5, 6)).astype(np.float32)
    np.testing.assert_allclose(
        computed(converters.read_network([path]), x), computed(network, x), rtol=1e-4, atol=1e-5
    )


def test_a_gru_that_resets_after_the_product_needs_ios_18(tmp_path: Path) -> None:
    network = Network(input=(5, 6))
    network.output(network.gru(network.input, 4).last)
    network.initialize_weights(seed=2)
    with pytest.raises(
        ParameterError, match="a GRU that resets after the product run from iOS18 on: choose a later target"
    ):
        converters.export_coreml(network, tmp_path / "one.mlpackage", target="iOS17")
    converters.export_coreml(network, tmp_path / "one.mlpackage")
    written = coremltools.models.MLModel(str(tmp_path / "one.mlpackage"), skip_model_load=True).get_spec()
    block = written.mlProgram.functions["main"].block_specializations["CoreML8"]
    (gru,) = [one for one in block.operations if one.type == "gru"]
    assert gru.inputs["reset_after"].arguments


def content(path: Path) -> dict[str, bytes]:
    """Return the bytes of each file of a model."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {str(file.relative_to(path)): file.read_bytes() for file in files if file.is_file()}


CHOICES: dict[str, tuple[str, dict[str, Any]]] = {
    **{
        f"{suffix} {dtype}": (suffix, {"dtype": dtype})
        for suffix in (".mlpackage", ".mlmodel")
        for dtype in ("float32", "float16", "uint8")
    },
    **{
        f"palette of {bits} bits": (".mlpackage", {"palette": bits, "dtype": dtype})
        for bits, dtype in ((4, "float32"), (8, "float16"))
    },
}


def written_again(network: Network, folder: Path, choice: str, times: int) -> list[dict[str, bytes]]:
    """Write a network, read it, write what was read, and so on. Return the files of each time."""
    suffix, settings = CHOICES[choice]
    files = []
    for time in range(times):
        path = folder / f"{time}" / f"one{suffix}"
        path.parent.mkdir()
        converters.export_coreml(network, path, **settings)
        files.append(content(path))
        network = converters.read_network([path])
    return files


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("name", ["digits", "cifar10_mobilenet_v2"])
def test_a_model_that_was_read_is_written_to_the_same_bytes(name: str, choice: str, tmp_path: Path) -> None:
    if "palette" in choice:
        pytest.importorskip("sklearn", reason="palettes need scikit-learn")
    first, second = written_again(mpscnn.load(name, device="cpu").network, tmp_path, choice, 2)
    assert first == second


@pytest.mark.parametrize("choice", CHOICES)
def test_classifiers_of_logits_are_the_same_file(choice: str, tmp_path: Path) -> None:
    """The softmax that the file gets after a dense layer is a layer of the network that is read."""
    if "palette" in choice:
        pytest.importorskip("sklearn", reason="palettes need scikit-learn")
    network = mpscnn.Network(input=(8, 8, 3))
    x = network.avg_pool2d(network.conv2d(network.input, 12, 3, name="features"), 6)
    network.output(network.dense(network.reshape(x, (12,)), 5, name="logits"))
    network.initialize_weights(seed=1)
    network.preprocess, network.labels = "torch", list("abcde")
    first, second = written_again(network, tmp_path, choice, 2)
    assert first == second


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("end", ["softmax", "log_softmax", "relu", "relu6", "sigmoid", "hard_sigmoid", "elu"])
def test_a_function_after_a_reshape_of_one_pixel_is_the_same_file(
    end: str, choice: str, tmp_path: Path
) -> None:
    """Networks such as `models.mobilenet_v2` end so. Readers move the reshape behind the function."""
    if "palette" in choice:
        pytest.importorskip("sklearn", reason="palettes need scikit-learn")
    network = Network(input=(8, 8, 3))
    x = network.global_average_pool2d(network.conv2d(network.input, 12, 3, name="features"), name="pool")
    x = network.flatten(network.conv2d(x, 5, 1, name="classifier"), name="logits")
    made = getattr(network, end, None)
    network.output(made(x, name="end") if made else network.activation(x, end, name="end"))
    network.initialize_weights(seed=1)
    first, second = written_again(network, tmp_path, choice, 2)
    assert first == second


@pytest.mark.parametrize("choice", [choice for choice in CHOICES if choice.endswith(("float32", "float16"))])
def test_squeezenet_with_labels_is_the_same_file_from_the_second_on(choice: str, tmp_path: Path) -> None:
    """In programs of float16 the softmax after the mean gets another name when it is first read."""
    network = mpscnn.models.squeezenet1_1(classes=5, input_size=64)
    network.initialize_weights(seed=1)
    network.preprocess, network.labels = "torch", list("abcde")
    _, second, third = written_again(network, tmp_path, choice, 3)
    assert second == third


@pytest.mark.parametrize("suffix", [".mlpackage", ".mlmodel"])
@pytest.mark.parametrize("kind", ["one scale", "three scales", "BGR with three scales", "gray"])
def test_the_preprocessing_of_a_model_that_was_read_is_written_to_the_same_bytes(
    kind: str, suffix: str, tmp_path: Path
) -> None:
    network = Network(input=(8, 8, 1 if kind == "gray" else 3))
    network.output(network.conv2d(network.input, 4, 3, name="conv"))
    fill(network)
    network.preprocess = PHOTOS[kind]
    first, second = written_again(network, tmp_path, f"{suffix} float32", 2)
    assert first == second


def test_layers_that_are_kept_stay_float32_in_programs_of_float16(tmp_path: Path) -> None:
    network = Network(input=(6, 6, 3))
    x = network.conv2d(network.input, 4, 3, name="conv")
    network.output(network.dense(x, 5, name="dense"))
    fill(network)
    network.keep_float32(["dense"])
    converters.export_coreml(network, tmp_path / "one.mlpackage", dtype="float16")
    back = converters.read_network([tmp_path / "one.mlpackage"])
    kept = {node["operation"]: node.get("keep_float32", False) for node in back.to_dict()["nodes"]}
    assert not kept["convolution"]
    assert kept["fully_connected"]


def pixels(network: Network) -> NDArray[np.float32]:
    """Return the network's input that its preprocessing makes of a photo of random samples."""
    samples = np.random.default_rng(2).integers(0, 256, (1, *network.input.shape[1:])).astype(np.float32)  # type: ignore[arg-type]
    settings = dict(network.preprocess or {})  # type: ignore[arg-type]
    mean, scale = np.float32(settings["mean"]), np.float32(settings["scale"])
    if settings.get("order") == "bgr":
        samples, mean, scale = samples[..., ::-1], mean[::-1], scale[::-1]
    return np.ascontiguousarray((samples - mean) * scale)


PHOTOS = {
    "one scale": {"mean": [127.5] * 3, "scale": [1 / 127.5] * 3},
    "three scales": {"mean": [123.0, 117.0, 104.0], "scale": [0.017, 0.018, 0.0171]},
    "BGR": {"order": "bgr", "mean": [123.0, 117.0, 104.0], "scale": [0.017] * 3},
    "BGR with three scales": {"order": "bgr", "mean": [123.0, 117.0, 104.0], "scale": [0.017, 0.018, 0.0171]},
    "gray": {"order": "gray", "mean": [20.0], "scale": [0.01]},
}


@pytest.mark.parametrize("suffix", [".mlpackage", ".mlmodel"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("kind", PHOTOS)
def test_classifiers_of_photos(kind: str, dtype: str, suffix: str, tmp_path: Path) -> None:
    """The written model takes photos and has the labels. It gives probabilities, though the network gives logits."""
    channels = 1 if kind == "gray" else 3
    network = Network(input=(16, 12, channels), name="photos")
    x = network.conv2d(network.input, 8, 3, strides=2, activation="relu")
    network.output(network.dense(network.reduce_mean(x, ("height", "width")), 4))
    fill(network)
    network.preprocess, network.labels = PHOTOS[kind], ["a", "b", "c", "d"]
    path = tmp_path / f"photos{suffix}"
    converters.export_coreml(network, path, dtype=dtype, information={"license": "MIT", "made by": "us"})
    back = converters.read_network([path])
    assert back.labels == network.labels
    assert dict(back.preprocess).get("order", "rgb") == PHOTOS[kind].get("order", "rgb")  # type: ignore[arg-type]
    logits = computed(network, pixels(network)).astype(np.float64)
    exponentials = np.exp(logits - logits.max())
    tolerance = 1e-4 if dtype == "float32" else 2e-2
    assert np.abs(computed(back, pixels(back)) - exponentials / exponentials.sum()).max() < tolerance
    spec = coremltools.utils.load_spec(str(path))
    assert spec.description.metadata.license == "MIT"
    assert spec.description.metadata.userDefined == {"made by": "us"}
    assert spec.description.input[0].type.WhichOneof("Type") == "imageType"


@pytest.mark.parametrize("suffix", [".mlpackage", ".mlmodel"])
@pytest.mark.parametrize("kind", PHOTOS)
def test_a_written_network_takes_the_input_of_its_source(kind: str, suffix: str, tmp_path: Path) -> None:
    """The reader makes preprocessing of the scaling of photos. So `compare` may give both networks the same input."""
    network = Network(input=(16, 12, 1 if kind == "gray" else 3), name="photos")
    network.output(network.conv2d(network.input, 8, 3, strides=2, activation="relu", name="conv"))
    fill(network)
    network.preprocess = PHOTOS[kind]
    path = tmp_path / f"photos{suffix}"
    converters.export_coreml(network, path)
    back = converters.read_network([path])
    assert [node["operation"] for node in back.to_dict()["nodes"]] == ["convolution"]
    given, found = (dict(one.preprocess) for one in (network, back))  # type: ignore[arg-type]
    for key in ("mean", "scale"):
        np.testing.assert_allclose(found[key], given[key], rtol=1e-6)
    assert mpscnn.compare(network, back).equal


@pytest.mark.parametrize("suffix", [".mlpackage", ".mlmodel"])
def test_probabilities_stay_as_they_are(suffix: str, tmp_path: Path) -> None:
    model = mpscnn.load("cifar10_mobilenet_v2", device="cpu")
    path = tmp_path / f"everyday{suffix}"
    converters.export_coreml(model.network, path)
    photo = mpscnn.samples.photo("cat")
    expected, found = (one.predict(photo).top(10) for one in (model, mpscnn.load(path, device="cpu")))
    assert [one.label for one in found[:3]] == [one.label for one in expected[:3]]
    assert abs(found[0].probability - expected[0].probability) < 1e-3


@pytest.mark.parametrize("suffix", [".mlpackage", ".mlmodel"])
def test_equal_networks_are_equal_files(suffix: str, tmp_path: Path) -> None:
    network = network_of(LAYERS["convolution"])
    paths = [tmp_path / name / f"one{suffix}" for name in ("first", "second")]
    for path in paths:
        path.parent.mkdir()
        converters.export_coreml(network, path)
        converters.export_coreml(network, path)  # the second call replaces the file
    files = [sorted(file for file in path.parent.rglob("*") if file.is_file()) for path in paths]
    assert [file.name for file in files[0]] == [file.name for file in files[1]]
    for one, other in zip(*files, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_models_and_commands_keep_the_licence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command info shows it, and what the file offers to an app."""
    saved, commanded = tmp_path / "model.mlmodel", tmp_path / "commanded.mlmodel"
    model = mpscnn.load("page_digits")
    model.save(saved)
    assert call("convert", "page_digits", str(commanded)) == 0
    for path in (saved, commanded):
        spec = coremltools.utils.load_spec(str(path))
        metadata = spec.description.metadata
        assert b"conversion_date" not in spec.SerializeToString()  # the bytes are the same on all days
        assert metadata.license == model.information["license"]
        assert metadata.userDefined["source"] == model.information["source"]
    assert call("info", str(saved)) == 0
    shown = capsys.readouterr().out
    for text in (
        "app input:     'image' (photo of 160 x 160 pixels), 'iouThreshold' (number, optional)",
        "app output:    'confidence' (array), 'coordinates' (array)",
        "suppression of boxes of all classes above an IoU of 0.45",
        "labels:        10: '0', '1',",
        f"license:       {model.information['license']}",
        f"file:          {saved}",
    ):
        assert text in shown


def test_targets(tmp_path: Path) -> None:
    network = network_of(LAYERS["convolution"])
    for target, version in (("iOS15", 6), ("ios16", 7), ("IOS17", 8), ("iOS18", 9)):
        converters.export_coreml(network, tmp_path / "one.mlpackage", target=target)
        assert coremltools.utils.load_spec(str(tmp_path / "one.mlpackage")).specificationVersion == version
    with pytest.raises(ParameterError, match=r"programs run from iOS15 on: write one\.mlmodel for iOS14"):
        converters.export_coreml(network, tmp_path / "one.mlpackage", target="iOS14")
    with pytest.raises(ParameterError, match="unknown target 'iOS99'"):
        converters.export_coreml(network, tmp_path / "one.mlpackage", target="iOS99")


def test_neural_networks_for_later_systems_are_those_for_ios_14(tmp_path: Path) -> None:
    network = network_of(LAYERS["convolution"])
    contents = {}
    for target in (None, *TARGETS):
        path = tmp_path / f"{target}.mlmodel"
        converters.export_coreml(network, path, target=target, dtype="uint8")
        contents[target] = path.read_bytes()
    assert coremltools.utils.load_spec(str(tmp_path / "iOS18.mlmodel")).specificationVersion <= 5
    assert all(content == contents["iOS14"] for target, content in contents.items() if target != "iOS13")


_ADVICE = re.compile(
    r"write (?P<name>\S+) for (?P<target>iOS\d+)|run from (?P<oldest>iOS\d+) on: choose a later target"
)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("choice", [{}, {"dtype": "float16"}, {"dtype": "uint8"}, {"palette": 4}])
@pytest.mark.parametrize("suffix", [".mlpackage", ".mlmodel"])
def test_what_a_refusal_of_a_target_advises_works(
    suffix: str, choice: dict[str, Any], target: str, tmp_path: Path
) -> None:
    if "palette" in choice:
        pytest.importorskip("sklearn", reason="palettes need scikit-learn")
    network = network_of(LAYERS["convolution"])
    path = tmp_path / f"one{suffix}"
    try:
        converters.export_coreml(network, path, target=target, **choice)
    except ParameterError as error:
        refusal = str(error)
        advice = _ADVICE.search(refusal)
    else:
        assert path.exists()
        return
    assert advice, refusal
    path = tmp_path / (advice["name"] or path.name)
    converters.export_coreml(network, path, target=advice["target"] or advice["oldest"], **choice)
    assert path.exists()


@pytest.mark.parametrize(
    ("count", "joined", "reason"),
    [
        (201, False, "has 201 outputs; a Core ML model may have 200"),
        (1_001, True, "1,001 operations read the result 'input'; in a Core ML model 1,000 may"),
    ],
)
def test_many_outputs_and_readers_are_refused(tmp_path: Path, count: int, joined: bool, reason: str) -> None:
    """The time of coremltools grows with the square of their number."""
    network = mpscnn.Network(input=(4,))
    results = [network.relu(network.input) for _ in range(count)]
    for result in [network.concat(results)] if joined else results:
        network.output(result)
    with pytest.raises(UnsupportedError, match=reason):
        network.save(tmp_path / "many.mlpackage")


def test_a_warning_announces_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_MANY_LAYERS", 1)
    with pytest.warns(RuntimeWarning, match="coremltools can take minutes to write 2 operations") as said:
        converters.export_coreml(network_of(LAYERS["convolution"]), tmp_path / "two.mlmodel")
    assert said[0].filename == __file__


def test_free_sizes(tmp_path: Path) -> None:
    network = Network(input=(None, None, 3), name="free")
    network.output(network.conv2d(network.input, 2, 3))
    fill(network)
    with pytest.raises(UnsupportedError, match="--size"):
        converters.export_coreml(network, tmp_path / "one.mlpackage")
    converters.export_coreml(network, tmp_path / "one.mlpackage", size=(9, 8))
    assert converters.read_network([tmp_path / "one.mlpackage"]).input.shape == (None, 9, 8, 3)


@pytest.mark.parametrize(
    ("suffix", "choice"),
    [
        (".mlpackage", {"dtype": "uint8"}),
        (".mlmodel", {"dtype": "uint8"}),
        (".mlpackage", {"palette": 8}),
        (".mlpackage", {"palette": 4}),
    ],
)
def test_compressed_weights(
    suffix: str, choice: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each weight that is read is the nearest one that the integers or the palette can express. Nothing is printed."""
    if "palette" in choice:
        pytest.importorskip("sklearn", reason="palettes need scikit-learn")
    network = mpscnn.models.mobilenet_v1(classes=10, depth_multiplier=0.25, input_size=64)
    network.initialize_weights(seed=1)
    path, plain = tmp_path / f"one{suffix}", tmp_path / f"plain{suffix}"
    converters.export_coreml(network, path, **choice)
    converters.export_coreml(network, plain)
    assert capsys.readouterr() == ("", "")
    sizes = [
        sum(file.stat().st_size for file in [one, *one.rglob("*")] if file.is_file()) for one in (path, plain)
    ]
    assert sizes[0] < 0.45 * sizes[1]
    # coremltools leaves small weights as they are.
    pairs = [
        (given, found)
        for given, found in zip(*map(_kernels, (network, converters.read_network([path]))), strict=True)
        if given.size > 2048
    ]
    assert len(pairs) > 10
    for given, found in pairs:
        if "palette" in choice:
            values = np.unique(found)
            assert values.size <= 2 ** choice["palette"]
            nearest = np.abs(given.reshape(-1, 1) - values).min(1)
            np.testing.assert_allclose(
                np.abs(given - found).reshape(-1), nearest, atol=2e-3 * np.abs(given).max()
            )
        else:
            rows = given.reshape(given.shape[0], -1)
            step = 2 * np.abs(rows).max(1) / 254
            assert np.all(
                np.abs(given - found).reshape(rows.shape) <= 0.52 * step[:, None] + 1e-3 * np.abs(rows)
            )


@pytest.mark.parametrize("magnitude", [1e-7, 0.03, 40.0])
def test_weights_of_8_bits_stay_when_they_are_written_again(magnitude: float, tmp_path: Path) -> None:
    """This includes weights far from 0, where float32 is coarse, and weights that coremltools would round to 0."""
    random = np.random.default_rng(3)
    network = Network(input=(8, 8, 3))
    x = network.conv2d(network.input, 64, 3, name="conv")
    x = network.conv2d_transpose(x, 24, 3, name="transposed")
    network.output(network.dense(x, 40, name="dense"))
    network.initialize_weights(seed=1)
    weights = {}
    for name, array in network.weights.items():
        widths = random.uniform(0.2, 3.0, array.shape[:1] + (1,) * (array.ndim - 1))
        numbers = random.normal(size=array.shape) * widths + random.choice([0.0, 9.0])
        weights[name] = (numbers * magnitude).astype(np.float32)
    network.load_weights(weights, layout="OHWI")
    first, second, third = written_again(network, tmp_path, ".mlmodel uint8", 3)
    assert first == second == third
    kernels = zip(
        _kernels(network), _kernels(converters.read_network([tmp_path / "0" / "one.mlmodel"])), strict=True
    )
    for given, found in kernels:
        rows, others = (one.reshape(len(one), -1) for one in (given, found))
        steps = (rows.max(1) - rows.min(1)) / 255
        assert np.all(np.abs(rows - others) <= 0.505 * steps[:, None] + 1e-7 * np.abs(rows))


def _kernels(network: Network) -> list[NDArray[np.float32]]:
    return [array for name, array in network.weights.items() if name.endswith(".weight")]


@pytest.mark.parametrize(
    ("name", "choice", "message"),
    [
        ("one.mlpackage", {"palette": 5}, "1, 2, 4, 6, 8 bits, not 5"),
        ("one.mlmodel", {"palette": 4}, r"palettes are for packages: write one\.mlpackage"),
        ("one.mlpackage", {"palette": 4, "dtype": "uint8"}, "either integers"),
        ("one.mlpackage", {"dtype": "uint8", "target": "iOS15"}, "compressed weights run from iOS16 on"),
        ("one.mlpackage", {"dtype": "int4"}, "float32, float16 or uint8"),
    ],
)
def test_what_compressed_weights_are_refused(
    name: str, choice: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ParameterError, match=message):
        converters.export_coreml(network_of(LAYERS["convolution"]), tmp_path / name, **choice)
