"""Test reading .pth, .pt and .safetensors: the meaning of tensors, and that nothing but tensors is read."""

from __future__ import annotations

import random
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.torch_writer import (
    FORMS,
    Call,
    Name,
    Raw,
    Reference,
    Storages,
    legacy_form,
    pickled,
    safetensors_file,
    state_dict_file,
    view,
    zip_form,
    zipped,
)
from numpy.typing import NDArray
from patience import little_work

import mpscnn
from mpscnn.converters.opening.file_bytes import FileBytes
from mpscnn.converters.reading.pytorch.state_dict import StateDict, read_state_dict

GRID = np.arange(12, dtype=np.float32).reshape(3, 4)


def read(folder: Path, content: bytes, name: str = "weights.pth") -> StateDict:
    path = folder / name
    path.write_bytes(content)
    return read_state_dict(path)


def arrays(state: StateDict) -> dict[str, NDArray[Any]]:
    return {name: state.array(name) for name in state}


@pytest.mark.parametrize("form", FORMS)
def test_elements_of_each_type(tmp_path: Path, form: str) -> None:
    storages = Storages()
    value = {
        "single": storages.tensor(GRID),
        "half": storages.tensor(GRID.astype(np.float16)),
        "double": storages.tensor(GRID.astype(np.float64)),
        "brain": view(
            storages.storage(np.array([0x3F80, 0xC000], np.uint16), "BFloat16Storage"), 0, (2,), (1,)
        ),
        "empty": storages.tensor(np.zeros((0, 3), np.float32)),
        "scalar": storages.tensor(np.array(7.5, np.float32)),
    }
    found = arrays(read(tmp_path, FORMS[form](value, storages)))
    for name, dtype in (("single", np.float32), ("half", np.float16), ("double", np.float64)):
        assert found[name].dtype == dtype
        np.testing.assert_array_equal(found[name], GRID)
    np.testing.assert_array_equal(found["brain"], np.array([1.0, -2.0], np.float32))
    assert found["empty"].shape == (0, 3)
    assert found["scalar"] == 7.5


@pytest.mark.parametrize("form", FORMS)
def test_views_of_one_storage(tmp_path: Path, form: str) -> None:
    storages = Storages()
    storage = storages.storage(GRID)
    value = {"transposed": view(storage, 0, (4, 3), (1, 4)), "column": view(storage, 2, (3,), (4,))}
    found = arrays(read(tmp_path, FORMS[form](value, storages)))
    np.testing.assert_array_equal(found["transposed"], GRID.T)
    np.testing.assert_array_equal(found["column"], GRID[:, 2])


def test_a_file_of_a_machine_with_the_other_byte_order(tmp_path: Path) -> None:
    storages = Storages()
    value = {"weight": view(storages.storage(GRID.astype(">f4"), "FloatStorage"), 0, (3, 4), (4, 1))}
    found = arrays(read(tmp_path, zip_form(value, storages, byteorder=b"big")))
    np.testing.assert_array_equal(found["weight"], GRID)


def test_safetensors(tmp_path: Path) -> None:
    brain = np.array([0x3F80, 0xC000], np.uint16)
    content = safetensors_file({"a.weight": GRID, "b": GRID.astype(np.float16), "c": brain}, {"format": "pt"})
    found = arrays(read(tmp_path, content, "model.safetensors"))
    np.testing.assert_array_equal(found["a.weight"], GRID)
    np.testing.assert_array_equal(found["b"], GRID)
    np.testing.assert_array_equal(found["c"], np.array([1.0, -2.0], np.float32))


@pytest.mark.parametrize(
    "path", [["state_dict"], ["model"], ["model_state_dict"], ["state_dict", "model"], ["model_ema"]]
)
def test_checkpoints_with_more_than_weights(tmp_path: Path, path: list[str]) -> None:
    storages = Storages()
    value: Any = {"fc.weight": storages.tensor(GRID)}
    for key in reversed(path):
        value = {
            "epoch": 7,
            "best": 0.5,
            "optimizer": {"state": {0: {"step": 3}}, "param_groups": []},
            key: value,
        }
    assert list(read(tmp_path, zip_form(value, storages))) == ["fc.weight"]


def test_counters_of_training_are_left_out(tmp_path: Path) -> None:
    counter = np.array(3, np.int64)
    content = state_dict_file({"fc.weight": GRID, "bn.num_batches_tracked": counter})
    assert list(read(tmp_path, content)) == ["fc.weight"]


def test_parameters_and_attributes_of_a_state_dict(tmp_path: Path) -> None:
    storages = Storages()
    hooks = Call(Name("collections", "OrderedDict"))
    parameter = Call(Name("torch._utils", "_rebuild_parameter"), (storages.tensor(GRID), True, hooks))
    filled = pickled({"weight": parameter})[2:-1]
    code = filled + pickled({"_metadata": 1})[2:-1] + b"b"
    assert list(read(tmp_path, zip_form(Raw(code), storages))) == ["weight"]


def test_state_dicts_of_python_2(tmp_path: Path) -> None:
    """Python 2 wrote an OrderedDict with a list of its keys and values."""
    storages = Storages()
    pairs = [["fc.weight", storages.tensor(GRID)], ["fc.bias", storages.tensor(GRID)]]
    value = Call(Name("collections", "OrderedDict"), (pairs,))
    assert list(read(tmp_path, zip_form(value, storages))) == ["fc.weight", "fc.bias"]
    for damaged in ([["fc.weight"]], [[3, storages.tensor(GRID)]], 7):
        value = Call(Name("collections", "OrderedDict"), (damaged,))
        with pytest.raises(mpscnn.WeightsError, match="damaged"):
            read(tmp_path, zip_form(value, storages))


# ---- Pickles that would do more ------------------------------------------------------------------------------------

FORBIDDEN = [
    ("os", "system"),
    ("posix", "system"),
    ("builtins", "eval"),
    ("__builtin__", "exec"),
    ("subprocess", "Popen"),
    ("collections", "OrderedDict.fromkeys"),
    ("torch", "load"),
    ("torch._utils", "_rebuild_sparse_tensor"),
    ("torch.nn.modules.conv", "Conv2d"),
    ("torchvision.models.resnet", "ResNet"),
    ("numpy.core.multiarray", "_reconstruct"),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("module", "name"), FORBIDDEN)
def test_anything_but_tensors_is_refused_by_name(tmp_path: Path, form: str, module: str, name: str) -> None:
    trace = tmp_path / "trace"
    storages = Storages()
    value = {"a": storages.tensor(GRID), "b": Call(Name(module, name), (f"touch {trace}",))}
    with pytest.raises(mpscnn.UnsupportedError) as refused:
        read(tmp_path, FORMS[form](value, storages))
    assert f"weights.pth: it refers to {module}.{name};" in str(refused.value)
    assert "state_dict()" in str(refused.value)
    assert not trace.exists()


def test_a_name_that_protocol_4_takes_from_the_stack(tmp_path: Path) -> None:
    code = b"\x8c\x02os\x8c\x06system\x93" + pickled(("true",))[2:-1] + b"R"
    with pytest.raises(mpscnn.UnsupportedError, match=r"os\.system"):
        read(tmp_path, zip_form(Raw(code), Storages()))


@pytest.mark.parametrize(
    "code",
    [
        b"i" + b"os\nsystem\n",  # INST calls
        b"(" + b"o",  # OBJ calls
        b"\x82\x01",  # EXT1 looks up a registered function
        b"\x97",  # NEXT_BUFFER
        b"I7\n",  # protocol 0
    ],
)
def test_opcodes_that_state_dicts_do_not_use(tmp_path: Path, code: bytes) -> None:
    with pytest.raises(mpscnn.UnsupportedError, match="opcode 0x"):
        read(tmp_path, zip_form(Raw(code), Storages()))


DEEP = b")" + b"q\x00" + 60 * b"h\x00h\x00\x86q\x00"  # 60 nested pairs of equal parts: 2^60 leaves


@pytest.mark.parametrize(
    "code",
    [
        b"}" + DEEP + b"Ns",  # as a key of a mapping
        DEEP + b")R",  # called
        DEEP + b"Q",  # as a storage
        pickled(view(Reference(Raw(DEEP)), 0, (1,), (1,)))[2:-1],
        pickled({"weight": view(Raw(DEEP), Raw(DEEP), Raw(DEEP), Raw(DEEP))})[2:-1],
        DEEP,
        b"]" + DEEP + b"a",
    ],
)
def test_values_that_are_too_large_to_look_at(tmp_path: Path, code: bytes) -> None:
    with pytest.raises(mpscnn.Error):
        read(tmp_path, zip_form(Raw(code), Storages()))


# ---- Claims --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (3, 5), (5, 1)),
        (1, (3, 4), (4, 1)),
        (13, (1,), (1,)),
        (-1, (1,), (1,)),
        (0, (4,), (4,)),
        (0, (2**62, 2**62), (0, 0)),
        (0, (-1,), (1,)),
        (0, (3, 4), (4,)),
        (0, (2.0,), (1,)),
        (None, (1,), (1,)),
        (0, None, (1,)),
    ],
)
def test_views_beyond_their_storage(tmp_path: Path, offset: object, shape: object, strides: object) -> None:
    storages = Storages()
    value = {"weight": view(storages.storage(GRID), offset, shape, strides)}
    with pytest.raises(mpscnn.WeightsError, match=r"weights\.pth"):
        read(tmp_path, zip_form(value, storages))


@pytest.mark.parametrize(("shape", "strides"), [((2**40,), (0,)), ((4, 4), (0, 1))])
def test_views_that_repeat_elements(tmp_path: Path, shape: object, strides: object) -> None:
    """PyTorch saves results of `expand` with strides of 0 and reads them. mpscnn refuses them."""
    storages = Storages()
    value = {"weight": view(storages.storage(GRID), 0, shape, strides)}
    with pytest.raises(mpscnn.UnsupportedError, match=r"weights\.pth: .*repeats the 12 elements"):
        read(tmp_path, zip_form(value, storages))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("elements", [2**40, 13, 11, -1])
def test_storages_of_another_size_than_they_claim(tmp_path: Path, form: str, elements: int) -> None:
    storages = Storages()
    value = {"weight": view(storages.storage(GRID, elements=elements), 0, (3, 3), (3, 1))}
    with pytest.raises(mpscnn.WeightsError, match=r"weights\.pth"):
        read(tmp_path, FORMS[form](value, storages))


def test_tensors_that_share_a_storage_many_times(tmp_path: Path) -> None:
    storages = Storages()
    storage = storages.storage(np.zeros(100_000, np.float32))
    value = {f"layer{i}.weight": view(storage, 0, (100_000,), (1,)) for i in range(8)}
    with pytest.raises(mpscnn.UnsupportedError, match="share storages"):
        read(tmp_path, zip_form(value, storages))


def test_keys_with_the_same_hash(tmp_path: Path) -> None:
    """Python's hash of an integer is its remainder by 2^61 - 1. Each new key would be compared with all before it."""
    keys = ((i * (2**61 - 1)).to_bytes(10, "little") for i in range(1, 100_001))
    code = b"}(" + b"".join(b"\x8a\x0a" + key + b"N" for key in keys) + b"u"
    with little_work(), pytest.raises(mpscnn.UnsupportedError, match="an integer of 65 bits is a key"):
        read(tmp_path, zip_form(Raw(code), Storages()))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("change", ["neg", "conj"])
def test_elements_that_differ_from_the_stored_ones(tmp_path: Path, form: str, change: str) -> None:
    """PyTorch saves x.conj().imag as the elements of x.imag, with a note that they are negative."""
    storages = Storages()
    tensor = view(storages.storage(GRID), 0, (3, 4), (4, 1))
    noted = Call(tensor.function, (*tensor.arguments, {change: True}))
    with pytest.raises(mpscnn.UnsupportedError, match=r"weights\.pth: .*resolve_neg"):
        read(tmp_path, FORMS[form]({"weight": noted}, storages))


def test_two_entries_with_one_name(tmp_path: Path) -> None:
    content = state_dict_file({"weight": GRID, "other": GRID}).replace(b"archive/data/1", b"archive/data/0")
    with pytest.raises(
        mpscnn.WeightsError, match=r"weights\.pth: .*two of its entries have the name .archive/data/0"
    ):
        read(tmp_path, content)


def test_compressed_entries_are_refused(tmp_path: Path) -> None:
    content = zipped({"a/data.pkl": pickled({}), "a/data/0": b"\0" * 10_000_000}, zipfile.ZIP_DEFLATED)
    with pytest.raises(mpscnn.UnsupportedError, match="is compressed"):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a file of torch.save"),
        (b"\x89PNG\r\n\x1a\n", "is not a file of torch.save"),
        (zipped({"model.json": b"{}"}), "no data.pkl"),
        (zipped({"a/data.pkl": pickled({}), "b/data.pkl": pickled({})}), "2 folders with a data.pkl"),
    ],
)
def test_files_that_torch_does_not_read(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(mpscnn.WeightsError, match=message):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zip_form([1, 2], Storages()), "but a list"),
        (zip_form({"epoch": 3}, Storages()), "looked for one under 'state_dict'"),
        (zip_form({"state_dict": {"model": {"net": {"model": {"net": {}}}}}}, Storages()), "looked for one"),
        (legacy_form({"weight": 1}, Storages()), "looked for one"),
    ],
)
def test_files_without_a_state_dict(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(mpscnn.UnsupportedError, match=message):
        read(tmp_path, content)


def test_a_state_dict_with_other_things_in_it(tmp_path: Path) -> None:
    storages = Storages()
    value = {"a.weight": storages.tensor(GRID), "a._extra_state": 3}
    with pytest.raises(mpscnn.UnsupportedError, match="_extra_state' names a int"):
        read(tmp_path, zip_form(value, storages))


def test_torchscript_is_told_apart(tmp_path: Path) -> None:
    content = zip_form({}, Storages(), **{"constants.pkl": pickled(())})
    with pytest.raises(mpscnn.UnsupportedError, match=r"is a TorchScript program; mpscnn.from_torch\("):
        read(tmp_path, content, "script.pt")


def test_a_model_file_of_our_own_is_told_apart(tmp_path: Path) -> None:
    network = mpscnn.Network(input=(4,))
    network.output(network.dense(network.input, 2, name="fc"))
    network.initialize_weights()
    network.save(tmp_path / "ours.safetensors")
    with pytest.raises(mpscnn.UnsupportedError, match="is a model file of mpscnn already"):
        read_state_dict(tmp_path / "ours.safetensors")


@pytest.mark.parametrize(
    "changes",
    [
        {"data_offsets": [0, 47]},
        {"data_offsets": [48, 0]},
        {"data_offsets": [4, 52]},
        {"data_offsets": [-48, 0]},
        {"data_offsets": [0, 48, 96]},
        {"data_offsets": "all"},
        {"shape": [3, 5]},
        {"shape": [2**40, 2**40, 0]},
        {"shape": [1] * 9},
        {"shape": [12.0]},
        {"shape": None},
        {"dtype": "F8_E4M3"},
        {"dtype": ["F32"]},
        {"dtype": "F64"},
    ],
)
def test_entries_of_safetensors_that_contradict_the_file(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(
        (mpscnn.WeightsError, mpscnn.UnsupportedError), match=r"model\.safetensors: tensor 'w'"
    ):
        read(tmp_path, safetensors_file({"w": GRID}, w=changes), "model.safetensors")


def test_floats_of_8_bits_are_refused_with_a_remedy(tmp_path: Path) -> None:
    content = safetensors_file({"w": GRID}, w={"dtype": "F8_E4M3"})
    with pytest.raises(
        mpscnn.UnsupportedError, match=r"type 'F8_E4M3' are not supported: save the tensors as float16"
    ):
        read(tmp_path, content, "model.safetensors")


@pytest.mark.parametrize(
    ("changes", "rest", "message"),
    [
        ({"v": {"data_offsets": [0, 48]}}, b"", "tensor 'w' shares bytes with another tensor"),
        ({"v": {"data_offsets": [44, 92]}}, b"", "tensor 'v' shares bytes with another tensor"),
        ({"v": {"data_offsets": [52, 100]}}, b"\0" * 4, "tensor 'v' follows bytes of no tensor"),
        ({}, b"\0" * 4, "4 bytes at its end belong to no tensor"),
    ],
)
def test_bytes_of_safetensors_that_do_not_belong_to_one_tensor(
    tmp_path: Path, changes: dict[str, Any], rest: bytes, message: str
) -> None:
    content = safetensors_file({"w": GRID, "v": GRID}, **changes) + rest
    with pytest.raises(mpscnn.WeightsError, match=rf"model\.safetensors: .*{message}"):
        read(tmp_path, content, "model.safetensors")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 7,
        b"\xff" * 8,
        b"\2" + 7 * b"\0" + b"[]",
        b"\3" + 7 * b"\0" + b"{{{",
        (200_000).to_bytes(8, "little") + b"[" * 200_000,
        b"\3" + 7 * b"\0" + b'"\xff"',
        b"\7" + 7 * b"\0" + b'{"a":1}',
    ],
)
def test_headers_of_safetensors_that_are_none(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(mpscnn.WeightsError, match=r"model\.safetensors"):
        read(tmp_path, content, "model.safetensors")


# ---- Damage --------------------------------------------------------------------------------------------------------

STATE = {"conv.weight": np.ones((2, 3, 1, 1), np.float32), "conv.bias": np.zeros(2, np.float16)}
SOUND = {
    "zip.pth": state_dict_file(STATE),
    "legacy.pth": state_dict_file(STATE, "legacy"),
    "file.safetensors": safetensors_file(STATE),
}


@pytest.mark.parametrize("name", SOUND)
def test_files_that_end_early(tmp_path: Path, name: str) -> None:
    sound = SOUND[name]
    for length in range(len(sound)):
        with pytest.raises(mpscnn.Error, match=name):
            read(tmp_path, sound[:length], name)


@pytest.mark.parametrize("name", SOUND)
def test_damaged_files_are_read_or_refused(tmp_path: Path, name: str) -> None:
    generator = random.Random(3)
    refused = 0
    for _ in range(400):
        damaged = bytearray(SOUND[name])
        for _ in range(generator.choice((1, 1, 2, 5))):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        try:
            arrays(read(tmp_path, bytes(damaged), name))
        except mpscnn.Error:
            refused += 1
    assert refused > 50


@pytest.mark.ci
@pytest.mark.parametrize("form", ["zip", pytest.param("legacy", marks=pytest.mark.full)])
@pytest.mark.parametrize(
    "opcode",
    [
        b"]",
        b"(",
        *(
            pytest.param(code, marks=pytest.mark.full)
            for code in (b"}", b"N", b"U\x02ab", b"M\xff\xff", b"K\x01")
        ),
    ],
)
def test_few_bytes_may_not_make_many_objects(tmp_path: Path, form: str, opcode: bytes) -> None:
    """An empty list takes one byte in the file, but more than fifty in memory."""
    content = b"\x80\x02" + opcode * 1_000_000 + b"."
    if form == "zip":
        path = tmp_path / "weights.pth"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", content)
        content = path.read_bytes()
    else:
        content = b"".join(map(pickled, (0x1950A86A20F9469CFC6C, 1001, {}))) + content
    tracemalloc.start()
    try:
        with pytest.raises(mpscnn.UnsupportedError, match="its pickle makes more than"):
            read(tmp_path, content)
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


def test_a_state_dict_of_thousands_of_tensors_is_within_its_budget(tmp_path: Path) -> None:
    """This includes scalars, which have the fewest bytes of elements."""
    storages = Storages()
    value = {f"layer{i}.count": storages.tensor(np.array(1.0, np.float32)) for i in range(6_000)}
    assert len(list(read(tmp_path, zip_form(value, storages)))) == 6_000


def test_a_name_without_an_end(tmp_path: Path) -> None:
    with pytest.raises(mpscnn.WeightsError, match="a name does not end"):
        read(tmp_path, zip_form(Raw(b"ctorch\n" + b"a" * 100_000), Storages()))


def test_many_opcodes_take_time_in_proportion(tmp_path: Path) -> None:
    """The limit is generous, because quadratic work would take minutes."""
    names = b"".join(pickled(f"{'module.' * 100}{i}")[2:-1] + b"N" for i in range(3000))
    code = b"}(" + names + b"u" + b"0N" * 200_000
    with little_work(), pytest.raises(mpscnn.UnsupportedError, match="but a NoneType"):
        read(tmp_path, zip_form(Raw(code), Storages()))


@pytest.mark.parametrize("form", FORMS)
def test_of_a_shared_storage_a_tensor_reads_its_own_part(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise, many tensors of one storage would take time that grows with the square of the file's size."""
    storages = Storages()
    storage = storages.storage(np.arange(100_000, dtype=np.float32))
    value = {f"t{i}": view(storage, 100 * i, (10, 5), (10, 1)) for i in range(1000)}
    state = read(tmp_path, FORMS[form](value, storages))
    sizes = []
    wanted = FileBytes.read
    monkeypatch.setattr(
        FileBytes, "read", lambda file, *place: sizes.append(place[1]) or wanted(file, *place)
    )
    for i in range(1000):
        rows = np.arange(100 * i, 100 * i + 100, 10, dtype=np.float32)
        np.testing.assert_array_equal(state.array(f"t{i}"), rows[:, None] + np.arange(5, dtype=np.float32))
    assert sizes == [4 * 95] * 1000
