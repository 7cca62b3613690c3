"""Convert the official quantised MobileNets, and compare them with LiteRT and onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from converters import litert_parts
from converters.integer_limits import with_limits_of
from exact_engines import litert_results, onnxruntime_session

import mpscnn
from mpscnn import converters

MODELS = {
    "mobilenet_v2": (["mobilenet_v2_1.0_224_quant.tflite"], {}),
    "mobilenet_v1": (
        [
            "mobilenet_v1_1.0_224_quant_embedding_extractor.tflite",
            "mobilenet_v1_1.0_224_quant_head_layers.tflite",
        ],
        {},
    ),
    "mobilenet_v1_0.75_192": (
        ["mobilenet_v1_0.75_192_quant.tflite"],
        {"depth_multiplier": 0.75, "input_size": 192},
    ),
    "mobilenet_v1_0.25_128": (
        ["mobilenet_v1_0.25_128_quant.tflite"],
        {"depth_multiplier": 0.25, "input_size": 128},
    ),
}
# If the quantised model's first two probabilities are closer than this, floats may rank them differently.
MARGIN = 0.1


@pytest.fixture(scope="module", params=list(MODELS))
def converted(
    request: pytest.FixtureRequest, shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """Return a model's name and its converted file, which keeps the integers of the weights."""
    directory = shared / "models/google"
    output = tmp_path_factory.mktemp("converted") / "model.safetensors"
    converters.convert_files(
        [directory / name for name in MODELS[request.param][0]],
        output,
        labels=directory / "imagenet_labels.txt",
        preprocess="tensorflow",
        dtype="uint8",
    )
    return request.param, output


def photos(shared: Path) -> list[Path]:
    found = [path for path in sorted((shared / "images").iterdir()) if path.suffix in (".bmp", ".jpg")]
    return [path for path in found if "mask" not in path.name]


@pytest.fixture(scope="module")
def clear_answers(converted: tuple[str, Path], shared: Path) -> dict[Path, int]:
    """Return the class that LiteRT finds in each photo, where its first two probabilities are far apart."""
    files = [shared / "models/google" / file for file in MODELS[converted[0]][0]]
    answers = {photo: litert_parts.classify(files, photo) for photo in photos(shared)}
    ranks = {photo: np.argsort(-probabilities)[:2] for photo, probabilities in answers.items()}
    return {
        photo: int(first)
        for photo, (first, second) in ranks.items()
        if answers[photo][first] - answers[photo][second] > MARGIN
    }


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_labels_are_those_of_the_original(
    converted: tuple[str, Path], clear_answers: dict[Path, int], precision: str
) -> None:
    """This takes a second for each model, since LiteRT and mpscnn compute all photos at the full size."""
    model = mpscnn.load(converted[1], device="cpu", precision=precision)
    assert model.labels is not None
    assert model.labels[0] == "background"
    for photo, expected in clear_answers.items():
        found = model.predict(photo, top=1).predictions[0]
        assert found.index == expected, f"{photo.name}: {found.label}, expected {model.labels[expected]}"
        assert found.label == model.labels[expected]
    assert len(clear_answers) >= 5


def test_logits_are_onnxruntimes(converted: tuple[str, Path], shared: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="needs onnx")
    from mpscnn.converters.writing.onnx import export as onnx_export

    _, path = converted
    network = mpscnn.load(path).network.subgraph(["logits"])
    size = network.input.shape[1:3]
    onnx_export.export(network, tmp_path / "model.onnx")
    oracle = onnxruntime_session(tmp_path / "model.onnx")
    session = network.compile(device="cpu", precision="float32").session()
    for photo in photos(shared):
        x = mpscnn.preprocess(photo, (size[0] or 0, size[1] or 0), "tensorflow")
        expected = oracle.run(None, {oracle.get_inputs()[0].name: x})[0]
        np.testing.assert_allclose(session.run(x), expected, rtol=1e-4, atol=1e-4)


def test_they_get_the_librarys_names(converted: tuple[str, Path]) -> None:
    name, path = converted
    architecture = mpscnn.models.mobilenet_v2 if "v2" in name else mpscnn.models.mobilenet_v1
    built = architecture(path, **MODELS[name][1])
    x = np.random.default_rng(0).uniform(-1, 1, (1, *(built.input.shape[1:]))).astype(np.float32)  # type: ignore[arg-type]
    loaded = mpscnn.load(path).network
    built = with_limits_of(loaded, built)
    np.testing.assert_array_equal(built.compile().session().run(x), loaded.compile().session().run(x))
    layer = "expand17" if "v2" in name else "pointwise11"
    assert np.asarray(loaded.compile(outputs=[layer]).session().run(x)).ndim == 4


def test_the_registry_converts_once(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSCNN_MODELS", str(shared / "models/google"))
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path))
    for entry in mpscnn.registry.models():
        if entry.bundled or not all((shared / "models/google" / file.name).exists() for file in entry.files):
            continue
        first = mpscnn.registry.find(entry.name, download=False)
        changed = first.stat().st_mtime_ns
        model = mpscnn.load(entry.name)
        assert mpscnn.registry.find(entry.name).stat().st_mtime_ns == changed
        assert model.network.input.shape == (None, *entry.input_size, 3)
        assert model.labels is not None
        assert len(model.labels) == entry.classes


@pytest.mark.parametrize(
    "file",
    [
        "mlperf_tiny/vww_96_float.tflite",
        "mlperf_tiny/pretrainedResnet.tflite",
        "ultraface/version-slim-320_without_postprocessing.tflite",
    ],
)
def test_float_files_agree_with_litert(shared: Path, tmp_path: Path, file: str) -> None:
    network = converters.read_network([shared / "models" / file])
    shape = [extent or 1 for extent in network.input.shape]
    x = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    results = network.compile(device="cpu", precision="float32").session().run(x)
    found = list(results.values()) if isinstance(results, dict) else [results]
    for result, expected in zip(found, litert_results(shared / "models" / file, x), strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


def test_damaged_tflite_files_are_refused(shared: Path, tmp_path: Path) -> None:
    """This takes a second, since a file of 500 kB is read after 100 different faults."""
    content = (shared / "models/google/mobilenet_v1_0.25_128_quant.tflite").read_bytes()
    generator = np.random.default_rng(0)
    path = tmp_path / "damaged.tflite"
    for size in (0, 3, 8, 40, len(content) // 2):
        path.write_bytes(content[:size])
        with pytest.raises((mpscnn.WeightsError, mpscnn.UnsupportedError), match=r"damaged\.tflite"):
            converters.read_network([path])
    tables = len(content) - 40_000  # structure and names come after the weights
    for _ in range(100):
        changed = bytearray(content)
        for position in generator.integers(tables, len(content), 8):
            changed[position] = generator.integers(0, 256)
        path.write_bytes(bytes(changed))
        try:
            converters.read_network([path])
        except mpscnn.Error:
            continue  # damage may be refused by one of our errors, or not be noticed
