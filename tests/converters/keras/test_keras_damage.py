"""Damaged or hostile Keras files are refused with a reason, in time and memory in proportion to their size."""

from __future__ import annotations

import contextlib
import json
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.keras_writer import functional, h5py, image, layer, write_h5, write_keras

import mpscnn
from mpscnn import converters

DENSE = functional([image(3), layer("Dense", "dense", "image", units=2, use_bias=False)])
KERNEL = np.ones((3, 2), np.float32)


def refusal(path: Path) -> str:
    tracemalloc.start()
    try:
        with pytest.raises(mpscnn.Error) as refused:
            converters.read_network([path])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000 + 50 * path.stat().st_size
    assert str(path) in str(refused.value)
    return str(refused.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Write a file that can be read."""
    path = tmp_path / "model.h5"
    write_h5(path, DENSE, {"dense": {"dense/kernel": KERNEL}})
    return path


def replaced(path: Path, make: Any) -> str:
    """Replace the kernel of the dense layer by what `make` writes, and return the error of reading the file."""
    with h5py.File(path, "a") as file:
        group = file["model_weights/dense/dense"]
        del group["kernel:0"]
        make(group, "kernel:0")
    return refusal(path)


def test_the_file_itself_converts(path: Path) -> None:
    assert converters.read_network([path]).outputs[0].shape == (None, 2)


def test_links_to_other_files(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.h5"
    write_h5(other, DENSE, {"dense": {"dense/kernel": KERNEL}})
    place = "/model_weights/dense/dense/kernel:0"

    def link(group: Any, name: str) -> None:
        group[name] = h5py.ExternalLink(str(other), place)

    assert "is a link to another place or file" in replaced(path, link)


def test_soft_links(path: Path) -> None:
    def link(group: Any, name: str) -> None:
        group[name] = h5py.SoftLink("/model_weights")

    assert "is a link to another place or file" in replaced(path, link)


def test_arrays_in_other_files(path: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(24))

    def external(group: Any, name: str) -> None:
        group.create_dataset(name, (3, 2), "f4", external=[(str(tmp_path / "secret"), 0, 24)])

    assert "lies in another file" in replaced(path, external)

    def virtual(group: Any, name: str) -> None:
        layout = h5py.VirtualLayout(shape=(3, 2), dtype="f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", shape=(3, 2))
        group.create_virtual_dataset(name, layout)

    assert "lies in another file" in replaced(path, virtual)


def test_arrays_that_claim_gigabytes(path: Path) -> None:
    def empty(group: Any, name: str) -> None:
        group.create_dataset(name, (1 << 20, 1 << 10), "f4")

    assert "more than 16 times the file's" in replaced(path, empty)

    def absent(group: Any, name: str) -> None:
        group.create_dataset(name, (32, 32), "f4")

    assert "was never written, which is not supported" in replaced(path, absent)

    def chunked(group: Any, name: str) -> None:
        group.create_dataset(name, (32, 32), "f4", chunks=(8, 8))

    assert "is stored in a form that is not supported" in replaced(path, chunked)

    def packed(group: Any, name: str) -> None:
        group.create_dataset(name, data=np.zeros((1 << 10, 1 << 12), np.float32), compression="gzip")

    assert "is compressed, which is not supported" in replaced(path, packed)


def test_weights_of_other_types(path: Path) -> None:
    def integers(group: Any, name: str) -> None:
        group.create_dataset(name, data=np.ones((3, 2), np.int8))

    assert "of type integer (1 bytes), which is not supported" in replaced(path, integers)


def test_weights_of_another_shape_or_missing(path: Path) -> None:
    def transposed(group: Any, name: str) -> None:
        group.create_dataset(name, data=KERNEL.T)

    assert "layer 'dense'" in replaced(path, transposed)

    def nothing(group: Any, name: str) -> None:
        pass

    with h5py.File(path, "a") as file:
        del file["model_weights/dense/dense/kernel:0"]
    assert "the file does not have its kernel" in refusal(path)


def test_a_list_of_other_weights(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    write_h5(path, DENSE, {"dense": {"dense/bias": np.ones(2, np.float32)}})
    assert "is where the kernel of 'dense' should be" in refusal(path)
    write_h5(path, DENSE, {"dense": {"dense/kernel": KERNEL, "dense/bias": np.ones(2, np.float32)}})
    assert "it has 2 weights, 1 are expected" in refusal(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("{", "model_config is not JSON"),
        ("[]", "damaged: its model is"),
        ('{"class_name": "Sequential", "config": {"layers": []}}', "has no layers"),
        ('{"class_name": "Functional", "config": {"layers": [1]}}', "a layer has no class name"),
    ],
)
def test_descriptions(path: Path, text: str, reason: str) -> None:
    write_h5(path, None, {}, text=text)
    assert reason in refusal(path)


def test_archives_that_cannot_be_unpacked(tmp_path: Path) -> None:
    """The first byte of the compressed data is an invalid kind of block."""
    path = tmp_path / "model.keras"
    write_keras(path, DENSE, {"layers/dense": [KERNEL]})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in members.items():
            archive.writestr(name, values)
        place = archive.getinfo("config.json").header_offset + 30 + len("config.json")
    content = bytearray(path.read_bytes())
    content[place] = 0b111
    path.write_bytes(content)
    assert "damaged: Error -3 while decompressing" in refusal(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 93])
def test_archives_that_others_have_packed(tmp_path: Path, method: int) -> None:
    """Keras packs nothing. Its files are read if zipfile can unpack them; 93 is Zstandard."""
    path = tmp_path / "model.keras"
    write_keras(
        path, DENSE, {"layers/dense": [KERNEL]}, compression=zipfile.ZIP_STORED if method == 93 else method
    )
    if method != 93:
        assert converters.read_network([path]).outputs[0].shape == (None, 2)
        return
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        first = content.find(mark) + place
        content[first : first + 2] = method.to_bytes(2, "little")
    path.write_bytes(content)
    assert "packed by the method 93 of zip archives, which is not supported" in refusal(path)


def test_models_nested_too_deeply(path: Path) -> None:
    inner = image(3)
    model = {"class_name": "Sequential", "config": {"name": "m", "layers": [inner]}}
    for _ in range(40):
        model = {"class_name": "Sequential", "config": {"name": "m", "layers": [inner, model]}}
    write_h5(path, model, {})
    assert "nested more than 32 deep" in refusal(path)


def test_models_that_double(path: Path) -> None:
    """Each model applies the model within it twice, which makes 2^30 layers of 60 lines."""
    model = functional([image(3), layer("ReLU", "end", "image")])
    for _ in range(30):
        nested = {"class_name": "Functional", "name": "inner", "config": model["config"]}
        nested["inbound_nodes"] = [[["image", 0, 0, {}]], [["inner", 0, 0, {}]]]
        model = functional([image(3), nested], ("inner", 1, 0))
    write_h5(path, model, {})
    assert "applies its layers more than the 4" in refusal(path)


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ([image(3), layer("ReLU", "a", "b"), layer("ReLU", "b", "a")], "needs its own result"),
        ([image(3), layer("ReLU", "a", "missing")], "there is no call 0 of layer 'missing'"),
        ([image(3), layer("ReLU", "a", ("image", 0, 7))], "has no result 7"),
        ([image(3), layer("ReLU", "a", "image"), layer("ReLU", "a", "image")], "have one name"),
        ([layer("ReLU", "image")], "there is no such input layer"),
        ([image(-3), layer("ReLU", "a", "image")], "its shape is"),
        ([image(), layer("ReLU", "a", "image")], "does not say its shape"),
        ([image(3), layer("Dense", "a", "image", units="many")], "its units must be a whole number"),
        (
            [image(3), layer("Dense", "a", "image", units=10**30)],
            "a whole number of at most 2147483647, got 1",
        ),
        ([image(3), layer("Conv2D", "a", "image", filters=1)], "takes images"),
        ([image(3), layer("Normalization", "a", "image", mean=[0.0], variance=[-1.0])], "mean and variance"),
        ([image(3), layer("Normalization", "a", "image", mean=[1e300], variance=[1.0])], "beyond float32"),
        ([image(3), layer("Reshape", "a", "image", target_shape=[1 << 30, 1 << 30])], "a"),
        ([image(3), layer("RepeatVector", "a", "image", n=1 << 40)], "a"),
        ([image(3), layer("Permute", "a", "image", dims=[1, 1])], "axes [0, 1, 1] of (n, 3)"),
        ([image(3, 4), layer("Permute", "a", "image", dims=[0, 2])], "axes [0, 0, 2] of (n, 3, 4)"),
        ([image(3, 4), layer("Softmax", "a", "image", axis=9)], "axis 9 of (n, 3, 4)"),
        ([image(3, 4), layer("LayerNormalization", "a", "image", axis=[])], "its list of axes is empty"),
        ([image(3, 4), layer("Softmax", "a", "image", axis=[])], "its list of axes is empty"),
        (
            [
                image(3),
                layer("LayerNormalization", "a", "image", epsilon=float("nan"), scale=False, center=False),
            ],
            "epsilon",
        ),
        (
            [image(3), layer("LayerNormalization", "a", "image", epsilon=-1.0, scale=False, center=False)],
            "epsilon must be above 0",
        ),
        ([image(3), layer("EinsumDense", "a", "image", equation="ab,bc->ac")], "1 are expected: 'kernel'"),
        ([image(3), layer("MultiHeadAttention", "a", "image", num_heads=1 << 40)], "attention of 1 tensors"),
        ([image(3), layer("Dot", "a", "image", "image", axes=[1, 2, 3])], "its axes are"),
        ([image(3), layer("Dot", "a", "image", "image", axes=0)], "along the axes [0, 0]"),
        ([image(3), layer("Dot", "a", "image", "image", axes=5)], "axis 5 of (n, 3)"),
        ([image(3), layer("Concatenate", "a", "image", "image", axis=5)], "axis 5 of (n, 3)"),
        ([image(3), layer("BatchNormalization", "a", "image", axis=[5])], "axis 5 of (n, 3)"),
        (
            [image(4, 4, 3), layer("Resizing", "a", "image", height=0, width=0)],
            "layer 'a' (Resizing): resize: size",
        ),
        ([image(4, 4, 3), layer("CenterCrop", "a", "image", height=-1, width=2)], "crops"),
        ([image(4, 4, 3), layer("AdaptiveMaxPooling2D", "a", "image", output_size=[0, 1])], "windows for"),
        ([image(4, 4, 3), layer("UpSampling2D", "a", "image", size=[1 << 30, 1 << 30])], "a"),
        ([image(4, 4, 3), layer("UnitNormalization", "a", "image", axis=0)], "along its batch"),
    ],
)
def test_contradictions(path: Path, layers: list[dict[str, Any]], reason: str) -> None:
    write_h5(path, functional(layers), {})
    assert reason in refusal(path)


def _called(kind: str, arguments: list[Any], module: str = "keras.src.ops.numpy", **config: Any) -> Any:
    """Return a model of Keras 3 that calls a function or layer with a sequence of 2^20 steps."""
    source = {"class_name": "__keras_tensor__", "config": {"keras_history": ["image", 0, 0]}}
    given = [[source, source]] if kind == "Attention" else [source, *arguments]
    node = {"args": given, "kwargs": config.pop("kwargs", {})}
    layers = [
        {
            "class_name": "InputLayer",
            "module": "keras.layers",
            "name": "image",
            "config": {"name": "image", "batch_shape": [None, 1 << 20, 4]},
            "inbound_nodes": [],
        },
        {
            "class_name": kind,
            "module": module,
            "name": "y",
            "config": {"name": "y", **config},
            "inbound_nodes": [node],
        },
    ]
    ends = {"input_layers": [["image", 0, 0]], "output_layers": [["y", 0, 0]]}
    return {"class_name": "Functional", "module": "keras", "config": {"name": "m", "layers": layers, **ends}}


POOLING = {"class_name": "GlobalAveragePooling1D", "module": "keras.layers", "config": {"name": "inner"}}
PLACES = {"class_name": "__numpy__", "config": {"value": [0, 1 << 21], "dtype": "int32"}}
EXTREME: dict[str, Any] = {
    "steps": _called("TimeDistributed", [], "keras.layers", layer=POOLING),
    "parts": _called("Split", [], indices_or_sections=1 << 20, axis=1),
    "repeats": _called("Repeat", [], repeats=1 << 30, axis=1),
    "rolled": _called("Roll", [], shift=5, axis=1),
    "tiled": _called("Tile", [], repeats=[1, 1 << 30, 1 << 30]),
    "padded": _called("Pad", [], pad_width=[[0, 0], [1 << 30, 0], [0, 0]], mode="constant"),
    "classes": _called("OneHot", [], "keras.src.ops.nn", num_classes=1 << 31),
    "sums": _called("Cumsum", [], axis=1),
    "places": _called("Take", [PLACES], axis=1),
    "new shape": _called("Reshape", [], newshape=[-1, 1 << 40]),
    "axes": _called("ExpandDims", [], axis=[0] * 4000),
    "order": _called("Transpose", [], axes=[0, 0, 0]),
    "slice": _called("GetItem", [[{"class_name": "__slice__", "config": {"start": "a"}}]]),
    "numbers": _called("Add", [{"class_name": "__numpy__", "config": {"value": [[1.0], [2.0, 3.0]]}}]),
    "mask": _called("Attention", [], "keras.layers", kwargs={"use_causal_mask": True}),
    "factors": _called("Rescaling", [], "keras.layers", scale=[[1.0]] * 4, offset=0.0),
}


@pytest.mark.parametrize("name", list(EXTREME))
def test_functions_of_extreme_sizes_take_little_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.keras"
    write_keras(path, EXTREME[name], {})
    tracemalloc.start()
    try:
        with contextlib.suppress(mpscnn.UnsupportedError, mpscnn.WeightsError):
            converters.read_network([path])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


def test_norms_of_matrices_are_those_of_their_elements_or_refused(tmp_path: Path) -> None:
    """The norm of order 2 of a matrix is its largest singular value."""
    path = tmp_path / "model.keras"
    for order, axes, is_known in (
        (None, [1, 2], True),
        ("fro", [1, 2], True),
        (2, [2], True),
        (2, [1, 2], False),
    ):
        write_keras(path, _called("Norm", [], ord=order, axis=axes, keepdims=True), {})
        with (
            contextlib.nullcontext()
            if is_known
            else pytest.raises(mpscnn.UnsupportedError, match="order 2 of matrices")
        ):
            converters.read_network([path])


def test_weights_without_a_model(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([b"dense"])
    assert "holds weights only" in refusal(path)


def test_other_files(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(b"nothing of the kind")
    assert "is not a Keras file: neither HDF5 nor a zip archive" in refusal(path)
    path.unlink()
    assert "cannot be read" in refusal_of_missing(path)


def refusal_of_missing(path: Path) -> str:
    with pytest.raises(mpscnn.WeightsError) as refused:
        converters.read_network([path])
    return str(refused.value)


def test_archives_that_claim_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", json.dumps(DENSE))
        archive.writestr("model.weights.h5", bytes(50_000_000))
    assert "model.weights.h5 claims 50000000 bytes" in refusal(path)


def test_compressed_descriptions_of_many_layers(tmp_path: Path) -> None:
    """A layer of a compressed description takes three bytes, and is refused before all layers are converted."""
    path = tmp_path / "model.keras"
    layers = [image(3), *(layer("ReLU", f"a{i}", f"a{i - 1}" if i else "image") for i in range(6_000))]
    write_keras(path, functional(layers), {}, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(mpscnn.UnsupportedError, match=r"applies its layers more than the [45]"):
        converters.read_network([path])


def test_archives_with_two_entries_of_one_name(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    write_keras(path, DENSE, {"layers/dense": [KERNEL]})
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("config.json", json.dumps(DENSE))
    assert "damaged: two of its entries have the name 'config.json'" in refusal(path)


def test_archives_of_other_things(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "")
    assert "is not a Keras file: it has no config.json" in refusal(path)


def test_newer_forms_of_hdf5(tmp_path: Path) -> None:
    """Files of h5py with libver="latest" are read. Groups with so many links that they have an index are refused."""
    path = tmp_path / "model.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["model_config"] = json.dumps(DENSE)
        own = file.create_group("model_weights/dense")
        own.attrs["weight_names"] = ["dense/kernel:0"]
        own.create_dataset("dense/kernel:0", data=KERNEL)
    assert converters.read_network([path]).outputs[0].shape == (None, 2)
    with h5py.File(path, "a", libver="latest") as file:
        for number in range(20):
            file["model_weights"].create_group(f"group{number}")
    assert "a group of the file is stored in a form that is not supported" in refusal(path)


def test_many_links_and_long_descriptions(tmp_path: Path) -> None:
    """Test trees of several levels and split attributes, as in files of large models."""
    path, count = tmp_path / "model.h5", 700
    layers = [image(2), layer("Dense", "dense0", "image", units=2)]
    layers += [layer("Dense", f"dense{i}", f"dense{i - 1}", units=2) for i in range(1, count)]
    weights = {
        f"dense{i}": {f"dense{i}/kernel": np.eye(2, dtype=np.float32), f"dense{i}/bias": np.full(2, 1.0)}
        for i in range(count)
    }
    write_h5(path, functional(layers), weights)
    network = converters.read_network([path])
    found = network.compile(device="cpu", precision="float32").session().run(np.ones((1, 2), np.float32))
    np.testing.assert_array_equal(found, [[count + 1, count + 1]])
