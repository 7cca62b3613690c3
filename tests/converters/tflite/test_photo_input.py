"""Test the preprocessing that converted files state, and the notes if they state none."""

from __future__ import annotations

import shlex
import zipfile
from pathlib import Path

import numpy as np
import pytest
from command_line import call
from converters import litert_parts
from converters.tflite_writer import Operator, Tensor, constant, quantized, write_metadata, write_tflite

import mpscnn
from mpscnn import converters

CLASSIFIERS = {
    "mobilenet_v2": ["mobilenet_v2_1.0_224_quant.tflite"],
    "mobilenet_v1": [
        "mobilenet_v1_1.0_224_quant_embedding_extractor.tflite",
        "mobilenet_v1_1.0_224_quant_head_layers.tflite",
    ],
    "mobilenet_v1_0.75_192": ["mobilenet_v1_0.75_192_quant.tflite"],
    "mobilenet_v1_0.25_128": ["mobilenet_v1_0.25_128_quant.tflite"],
}


def classifier(image: Tensor) -> bytes:
    """Return a file in which the mean of each channel of an image is the score of a class."""
    channels = image.shape[3]
    tensors = [image, constant("axes", [1, 2], "int32"), Tensor("mean", (1, channels))]
    return write_tflite(tensors, [Operator(40, [0, 1], [2], 27)], [0], [2])


def read(tmp_path: Path, image: Tensor) -> mpscnn.Network:
    path = tmp_path / "file.tflite"
    path.write_bytes(classifier(image))
    return converters.read_network([path])


def image(dtype: str, channels: int = 3) -> Tensor:
    return Tensor("x", (1, 4, 5, channels), dtype)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("dtype", "scale", "zero_point", "expected"),
    [
        ("uint8", 1 / 128, 128, (-1.0, 127 / 128)),
        ("uint8", 1.0, 0, (0.0, 255.0)),
        ("int8", 1.0, -128, (0.0, 255.0)),
        ("int8", 1 / 64, 0, (-2.0, 127 / 64)),
    ],
)
def test_quantised_images(
    tmp_path: Path, channels: int, dtype: str, scale: float, zero_point: int, expected: tuple[float, float]
) -> None:
    """Samples of 0 and of 255 become the least and the greatest number of the input's type."""
    network = read(tmp_path, quantized(image(dtype, channels), [scale], [zero_point]))
    assert network.preprocess is not None
    for sample, number in zip((0, 255), expected, strict=True):
        photo = np.full((4, 5, channels) if channels == 3 else (4, 5), sample, np.uint8)
        np.testing.assert_array_equal(
            mpscnn.preprocess(photo, (4, 5), network.preprocess, channels=channels), number
        )


def test_images_of_bytes_without_a_quantization(tmp_path: Path) -> None:
    network = read(tmp_path, image("uint8"))
    assert network.preprocess == {"mean": [0.0] * 3, "scale": [1.0] * 3}


@pytest.mark.parametrize(
    "given",
    [
        image("float32"),
        image("int8"),
        image("uint8", channels=4),
        quantized(image("uint8"), [1.0, 2.0, 3.0], [0, 0, 0]),
        quantized(image("uint8"), [0.0], [0]),
        quantized(image("uint8"), [float("nan")], [0]),
        quantized(image("float32"), [0.5], [0]),
    ],
)
def test_files_that_do_not_say(tmp_path: Path, given: Tensor) -> None:
    assert read(tmp_path, given).preprocess is None


def test_a_model_file_keeps_it(tmp_path: Path) -> None:
    network = read(tmp_path, quantized(image("uint8"), [0.5], [100]))
    network.save(tmp_path / "model.safetensors")
    model = mpscnn.load(tmp_path / "model.safetensors", device="cpu")
    assert model.preprocess is not None
    assert model.preprocess["mean"] == [100.0] * 3
    assert model.preprocess["scale"] == [0.5] * 3
    assert model.network.preprocess == model.preprocess
    network.save(tmp_path / "model.safetensors", preprocess="unit")
    other = mpscnn.load(tmp_path / "model.safetensors").preprocess
    assert other is not None
    assert other["mean"] == [0.0] * 3


def converted(tmp_path: Path, given: Tensor, *options: str) -> Path:
    source, output = tmp_path / "file.tflite", tmp_path / "model.safetensors"
    source.write_bytes(classifier(given))
    # LiteRT does not compute means of integers as floats.
    assert call("convert", str(source), str(output), "--no-check", "--overwrite", *options) == 0
    return output


def test_convert_warns_where_a_file_does_not_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="needs Pillow")
    photo = tmp_path / "photo.png"
    pillow.new("RGB", (8, 8), (10, 20, 30)).save(photo)
    output = converted(tmp_path, image("float32"))
    warning = capsys.readouterr().err
    assert warning.startswith("warning: ")
    assert "file.tflite does not say how a photo becomes the network's input" in warning
    assert "--preprocess NAME" in warning
    assert call("classify", "--model", str(output), str(photo)) == 1
    assert f"mpscnn info {shlex.quote(str(output))} --set preprocess=NAME" in capsys.readouterr().err
    for given, options in (
        (image("float32"), ("--preprocess", "unit")),
        (quantized(image("uint8"), [0.5], [0]), ()),
    ):
        output = converted(tmp_path, given, *options)
        assert capsys.readouterr().err == ""
        assert call("classify", "--model", str(output), str(photo)) == 0
        assert "class 2" in capsys.readouterr().out.splitlines()[1]


def test_convert_does_not_warn_of_networks_that_take_no_photos(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    converted(tmp_path, image("float32", channels=4))
    assert capsys.readouterr().err == ""


def test_convert_with_a_size(tmp_path: Path) -> None:
    free = Tensor("x", (1, 1, 1, 3), signature=(-1, -1, -1, 3))
    output = converted(tmp_path, free, "--size", "6x7", "--preprocess", "unit")
    assert mpscnn.load(output).network.input.shape == (None, 6, 7, 3)
    output = converted(tmp_path, free, "--preprocess", "unit")
    assert mpscnn.load(output).network.input.shape == (None, None, None, 3)


# ---- The published files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_published_classifiers_need_no_option(
    name: str, shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [shared / "models/google" / file for file in CLASSIFIERS[name]]
    output, photo = tmp_path / "model.safetensors", shared / "images/bird.bmp"
    assert call("convert", *map(str, files), str(output)) == 0
    assert capsys.readouterr().err == ""
    assert call("classify", "--model", str(output), str(photo)) == 0
    expected = int(litert_parts.classify(files, photo).argmax())
    labels = mpscnn.load(output).labels  # if the file's metadata have labels
    named = f"class {expected}" if labels is None else labels[expected].partition(",")[0]
    assert named in capsys.readouterr().out.splitlines()[1]


@pytest.mark.ci
def test_the_published_segmenter_needs_no_option(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    google = shared / "models/google"
    output, labels = tmp_path / "model.safetensors", str(google / "pascal_voc_segmentation_labels.txt")
    source, photo = (
        google / "deeplabv3_mnv2_pascal_quant.tflite",
        str(shared / "images/bird_segmentation.bmp"),
    )
    assert call("convert", str(source), str(output), "--labels", labels) == 0
    (note,) = capsys.readouterr().err.splitlines()
    assert note.endswith("the ARG_MAX 'ArgMax' at the end is left out, so the output is the scores")
    assert call("segment", "--model", str(output), photo) == 0
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:]] == ["background", "bird"]
    assert call("classify", "--model", str(output), photo) == 1
    assert "mpscnn segment" in capsys.readouterr().err


# ---- Metadata --------------------------------------------------------------------------------------------------


def described(path: Path, metadata: bytes, archive: dict[str, str] | None = None) -> Path:
    """Write a classifier with metadata, and with an archive at its end."""
    tensors = [image("float32"), constant("axes", [1, 2], "int32"), Tensor("mean", (1, 3))]
    operators = [Operator(40, [0, 1], [2], 27)]
    path.write_bytes(write_tflite(tensors, operators, [0], [2], metadata=metadata))
    if archive:
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as packed:
            for name, text in archive.items():
                packed.writestr(name, text)
    return path


@pytest.mark.parametrize(
    ("mean", "deviation", "expected"),
    [
        ([127.5], [127.5], {"mean": [127.5] * 3, "scale": [1 / 127.5] * 3}),
        ([1.0, 2.0, 3.0], [2.0], {"mean": [1.0, 2.0, 3.0], "scale": [0.5] * 3}),
        ([1.0, 2.0], [2.0], None),
    ],
)
def test_metadata_say_how_photos_are_normalised(
    tmp_path: Path, mean: list[float], deviation: list[float], expected: object
) -> None:
    path = described(tmp_path / "file.tflite", write_metadata(mean, deviation))
    assert converters.read_network([path]).preprocess == expected


def test_labels_in_the_file(tmp_path: Path) -> None:
    metadata = write_metadata([0.0], [255.0], "labels.txt")
    path = described(tmp_path / "file.tflite", metadata, {"labels.txt": "cat\ndog\nbird\n\nnotes"})
    output = tmp_path / "model.safetensors"
    converters.convert_files([path], output)
    assert mpscnn.load(output).labels == ["cat", "dog", "bird"]
    # The caller's labels are preferred. Labels are left out with a note if their number is not that of the classes.
    (tmp_path / "others.txt").write_text("a\nb\nc")
    converters.convert_files([path], output, labels=tmp_path / "others.txt")
    assert mpscnn.load(output).labels == ["a", "b", "c"]
    described(path, metadata, {"labels.txt": "cat\ndog"})
    network = converters.convert_files([path], output)
    assert mpscnn.load(output).labels is None
    assert network.notes == ["the file's own 2 labels are left out: the network has 3 classes"]
    described(path, metadata)
    assert converters.read_network([path]).labels is None


def test_a_loaded_file_has_its_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "cache"))
    metadata = write_metadata([0.0], [255.0], "labels.txt")
    path = described(tmp_path / "file.tflite", metadata, {"labels.txt": "cat\ndog\nbird"})
    model = mpscnn.load(path)
    assert model.labels == ["cat", "dog", "bird"]
    assert model.preprocess is not None


def test_damaged_metadata(tmp_path: Path) -> None:
    path, good = tmp_path / "file.tflite", write_metadata([0.0], [255.0], "labels.txt")
    for metadata in (b"", b"1234567890", good[:40]):
        with pytest.raises(mpscnn.WeightsError, match=r"file\.tflite: damaged"):
            converters.read_network([described(path, metadata)])
    with pytest.raises(mpscnn.WeightsError, match="its metadata normalise by"):
        converters.read_network([described(path, write_metadata([0.0], [0.0]))])
    with pytest.raises(mpscnn.WeightsError, match=r"its labels claim 20000000 bytes"):
        converters.read_network([described(path, good, {"labels.txt": "a" * 20_000_000})])
