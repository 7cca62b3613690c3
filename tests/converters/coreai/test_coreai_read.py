"""Core AI's assets that Apple's package writes compute what NumPy computes. All tests need coreai-core."""

from __future__ import annotations

import inspect
import json
import shutil
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from agreement import results
from numpy.typing import NDArray

import mpscnn
from mpscnn.converters import read_network
from mpscnn.converters.finishing.metadata_entries import describe
from mpscnn.converters.reading.coreai.program import Stored, TensorType

ai = pytest.importorskip("coreai.authoring", reason="coreai-core is not installed")
Array = NDArray[Any]
Body = Callable[[Any], Any]


def u32(*numbers: int) -> Array:
    return np.array(numbers, np.uint32)


def i32(*numbers: int) -> Array:
    return np.array(numbers, np.int32)


def constant(values: Any) -> Any:
    from coreai.authoring.constant import constant as make

    return make(np.asarray(values))


def write(
    path: Path, body: Callable[..., Any], inputs: Sequence[Any], results: Sequence[tuple[int, ...]]
) -> Path:
    """Write an asset whose function has inputs of these types and float32 results of these shapes."""
    hints = {f"x{place}": Annotated[ai.Value, one] for place, one in enumerate(inputs)}
    made = [
        Annotated[ai.Value, ai.TensorType(one, np.float32, f"y{place}")] for place, one in enumerate(results)
    ]
    body.__annotations__ = {
        **hints,
        "return": made[0] if len(made) == 1 else tuple.__class_getitem__(tuple(made)),
    }
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    body.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in hints])  # type: ignore[attr-defined]
    module = ai.Module.create()
    with module:
        ai.graph(body, provided_name="main")
    ai.AIProgram(module).save_asset(path)
    return path


X = np.random.default_rng(3).uniform(-2, 2, (1, 4, 6, 5)).astype(np.float32)
W = np.random.default_rng(4).uniform(-1, 1, (6, 2, 3, 3)).astype(np.float32)


def windows(x: Array, size: tuple[int, int], strides: tuple[int, int]) -> Array:
    """Return (n, channels, rows, columns, height, width) windows of images."""
    found = np.lib.stride_tricks.sliding_window_view(x, size, axis=(2, 3))
    return found[:, :, :: strides[0], :: strides[1]]


def grouped(x: Array) -> Array:
    """Convolve `X` with `W` in two groups, by the definition."""
    parts = [
        np.einsum("nchwij,ocij->nohw", windows(x[:, 2 * g : 2 * g + 2], (3, 3), (1, 2)), W[3 * g : 3 * g + 3])
        for g in range(2)
    ]
    return np.concatenate(parts, axis=1)


def scatter(x: Array) -> Array:
    made = x.copy()
    made[:, 1:3, :, 2:4] = 7.0
    return made


#: Operations that belong together: a function of the program, and the same function of NumPy.
FAMILIES: dict[str, list[tuple[Body, Callable[[Array], Array]]]] = {
    "functions": [
        (lambda x: ai.sigmoid(x), lambda x: 1 / (1 + np.exp(-x))),
        (lambda x: ai.silu(x), lambda x: x / (1 + np.exp(-x))),
        (lambda x: ai.relu(x), lambda x: np.maximum(x, 0)),
        (
            lambda x: ai.rsqrt(ai.broadcasting_add(ai.abs_(x), constant(np.float32(1)))),
            lambda x: (abs(x) + 1) ** -0.5,
        ),
        (lambda x: ai.gelu(x, approximate="sigmoid"), lambda x: x / (1 + np.exp(-1.702 * x))),
        (lambda x: ai.round_(x), np.rint),
        (
            lambda x: ai.broadcasting_pow(ai.exp(x), constant(np.float32(1.5))),
            lambda x: np.exp(x) ** np.float32(1.5),
        ),
        (
            lambda x: ai.broadcasting_modulo(x, constant(np.float32(0.75))),
            lambda x: np.fmod(x, np.float32(0.75)),
        ),
        (
            lambda x: ai.broadcasting_floor_divide(x, constant(np.float32(0.7))),
            lambda x: np.floor(x / np.float32(0.7)),
        ),
        (
            lambda x: ai.broadcasting_where(
                ai.broadcasting_greater(x, constant(np.float32(0))), x, constant(np.float32(-1))
            ),
            lambda x: np.where(x > 0, x, -1),
        ),
    ],
    "windows": [
        (lambda x: ai.conv2d(x, constant(W), u32(1, 2), u32(1, 1), np.array(2, np.uint32)), grouped),
        (
            lambda x: ai.broadcasting_add(
                ai.conv2d(x, constant(W), u32(1, 2), u32(1, 1), np.array(2, np.uint32)),
                constant(np.arange(6, dtype=np.float32).reshape(6, 1, 1)),
            ),
            lambda x: grouped(x) + np.arange(6).reshape(6, 1, 1),
        ),
        (
            lambda x: ai.sumpool2d(x, *map(constant, (u32(2, 3), u32(2, 1), u32(1, 1)))),
            lambda x: windows(x, (2, 3), (2, 1)).sum((4, 5)),
        ),
        (
            lambda x: ai.maxpool2d(
                ai.TensorType((1, 4, 3, 2), np.float32), x, u32(2, 2), u32(2, 2), u32(1, 1), np.array(False)
            ),
            lambda x: windows(x, (2, 2), (2, 2)).max((4, 5)),
        ),
        (
            lambda x: ai.maxpool2d(
                ai.TensorType((1, 4, 6, 5), np.float32),
                ai.pad(x, u32(0, 0, 0, 0, 1, 1, 1, 1), np.float32(-np.inf), "constant"),
                u32(3, 3),
                u32(1, 1),
                u32(1, 1),
                np.array(True),
            ),
            lambda x: windows(
                np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf), (3, 3), (1, 1)
            ).max((4, 5)),
        ),
        (
            lambda x: ai.pad(x, u32(0, 0, 0, 0, 1, 2, 0, 1), np.float32(0), "symmetric"),
            lambda x: np.pad(x, ((0, 0), (0, 0), (1, 2), (0, 1)), "symmetric"),
        ),
    ],
    "arrays": [
        (
            lambda x: ai.reshape(ai.transpose(x, u32(0, 2, 3, 1)), u32(1, 120)),
            lambda x: x.transpose(0, 2, 3, 1).reshape(1, 120),
        ),
        (lambda x: ai.reshape(x, u32(1, 8, 15)), lambda x: x.reshape(1, 8, 15)),
        (
            lambda x: ai.slice_(x, i32(0, 1, -4, 0), i32(1, 4, 6, 5), i32(1, 2, 1, 3)),
            lambda x: x[:, 1:4:2, -4:6, ::3],
        ),
        (lambda x: ai.reverse(x, i32(-1)), lambda x: x[..., ::-1]),
        (lambda x: ai.concat(i32(1)[0], [x, ai.relu(x)]), lambda x: np.concatenate([x, np.maximum(x, 0)], 1)),
        (lambda x: ai.split(x, u32(1, 3), i32(1)[0])[1], lambda x: x[:, 1:]),
        (lambda x: ai.tile(x, u32(2, 1)), lambda x: np.tile(x, (2, 1))),
        (
            lambda x: ai.slice_update(
                x,
                i32(0, 1, 0, 2),
                i32(1, 3, 6, 4),
                i32(1, 1, 1, 1),
                constant(np.full((1, 2, 6, 2), 7, np.float32)),
            ),
            scatter,
        ),
        (
            lambda x: ai.gather_along_axis(x, constant(np.full((1, 1, 6, 5), 2, np.int32)), i32(1)[0]),
            lambda x: x[:, 2:3],
        ),
    ],
    "axes": [
        (lambda x: ai.softmax(x, i32(1)[0]), lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True)),
        (lambda x: ai.reduce_mean(x, i32(2, 3)), lambda x: x.mean((2, 3), keepdims=True)),
        (lambda x: ai.reduce_product(x, i32(-1)), lambda x: x.prod(-1, keepdims=True)),
        (
            lambda x: ai.cast(ai.argmax(x, i32(1)[0]), np.float32),
            lambda x: x.argmax(1)[:, None].astype(np.float32),
        ),
        (lambda x: ai.sort(x, i32(3)[0], np.array(True), np.array(True)), lambda x: -np.sort(-x, 3)),
        (
            lambda x: ai.scan(x, u32(2)[0], np.array(True), "sum"),
            lambda x: np.flip(np.flip(x, 2).cumsum(2), 2),
        ),
        (
            lambda x: ai.broadcasting_batch_matmul(x, ai.transpose(x, u32(0, 1, 3, 2))),
            lambda x: x @ x.transpose(0, 1, 3, 2),
        ),
    ],
}


def compared(path: Path, given: Array, right: Array) -> None:
    """Compare one output, whose axes are those of the file but for images, which have their channels last here."""
    (found,) = results(read_network(path), given)
    right = right.transpose(0, 2, 3, 1) if right.ndim == 4 else right
    np.testing.assert_allclose(
        found.reshape(right.shape), right, rtol=0, atol=2e-5 * max(1.0, float(abs(right).max()))
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_operations(family: str, tmp_path: Path) -> None:
    """Each operation is an asset of its own, which a process of its own parses: some seconds."""
    for number, (body, expected) in enumerate(FAMILIES[family]):
        right = expected(X.astype(np.float64)).astype(np.float32)
        own = lambda x, body=body: body(x)  # noqa: E731
        path = write(tmp_path / f"{number}.aimodel", own, [ai.TensorType(X.shape, np.float32)], [right.shape])
        compared(path, X.transpose(0, 2, 3, 1), right)


WEIGHTS: dict[str, Callable[[], tuple[Any, Array]]] = {}


def weight(make: Callable[[], tuple[Any, Array]]) -> Callable[[], tuple[Any, Array]]:
    WEIGHTS[make.__name__] = make
    return make


@weight
def halves() -> tuple[Any, Array]:
    values = W.astype(np.float16)
    return ai.cast(constant(values), np.float32), values.astype(np.float32)


@weight
def bfloat16() -> tuple[Any, Array]:
    import ml_dtypes

    values = W.astype(ml_dtypes.bfloat16)
    return ai.cast(constant(values), np.float32), values.astype(np.float32)


@weight
def scaled_integers() -> tuple[Any, Array]:
    data = np.random.default_rng(5).integers(-128, 128, W.shape).astype(np.int8)
    scale = np.random.default_rng(6).uniform(0.01, 0.1, (6, 1, 1, 1)).astype(np.float32)
    offset = np.arange(6, dtype=np.int8).reshape(6, 1, 1, 1)
    parts = map(constant, (data, scale, offset, np.zeros_like(scale)))
    return ai.blockwise_shift_scale(*parts), (data.astype(np.float32) - offset) * scale


@weight
def scaled_integers_of_4_bits() -> tuple[Any, Array]:
    import ml_dtypes

    data = np.random.default_rng(5).integers(-8, 8, W.shape)
    scale = np.random.default_rng(6).uniform(0.01, 0.1, (6, 1, 1, 1)).astype(np.float32)
    offset = np.arange(-3, 3).reshape(6, 1, 1, 1)
    operands = [data.astype(ml_dtypes.int4), scale, offset.astype(ml_dtypes.int4), np.zeros_like(scale)]
    made = ai.blockwise_shift_scale(*map(constant, operands))
    return made, ((data - offset) * scale).astype(np.float32)


@weight
def few_of_bfloat16() -> tuple[Any, Array]:
    import ml_dtypes

    values = np.array([0.5, -2, 1e10, 3, 1e-30, 7]).reshape(6, 1, 1, 1).astype(ml_dtypes.bfloat16)
    spread = ai.broadcasting_maximum(ai.cast(constant(values), np.float32), constant(W))
    return spread, np.maximum(values.astype(np.float32), W)


@weight
def palette_of_4_bits() -> tuple[Any, Array]:
    import ml_dtypes

    places = np.random.default_rng(7).integers(0, 16, W.shape)
    tables = np.random.default_rng(8).uniform(-1, 1, (2, 1, 1, 1, 16, 1)).astype(np.float32)
    made = ai.lut_to_dense(constant(places.astype(ml_dtypes.uint4)), constant(tables), np.array(0, np.int16))
    return made, tables[np.arange(6) // 3, 0, 0, 0][np.arange(6)[:, None, None, None], places, 0]


@weight
def sparse() -> tuple[Any, Array]:
    mask = np.random.default_rng(9).integers(0, 2, W.shape).astype(bool)
    from coreai._compiler.dialects.coreai.constant import constant as raw
    from coreai._compiler.ir import IntegerType

    bits = ai.Value._from_mlir(raw(mask.astype(np.uint8), dtype=IntegerType.get_unsigned(1)))
    return ai.sparse_with_bitmask_to_dense(ai.build_sparse_with_bitmask(constant(W[mask]), bits)), np.where(
        mask, W, 0
    )


@pytest.mark.parametrize(("bits", "sign"), [(1, "u"), (2, "u"), (4, "u"), (6, "u"), (2, "s"), (4, "s")])
def test_packed_integers(bits: int, sign: str) -> None:
    """coreai-opt packs integers of a few bits: the first one into the lowest bits of the first byte."""
    low = -(1 << bits - 1) if sign == "s" else 0
    wanted = np.random.default_rng(bits).integers(low, low + (1 << bits), (3, 7))
    stream = sum((int(one) & (1 << bits) - 1) << bits * place for place, one in enumerate(wanted.reshape(-1)))
    data = stream.to_bytes(-(-wanted.size * bits // 8), "little")
    for given in (data, wanted.astype(np.uint8).tobytes()):
        stored = Stored(TensorType((3, 7), f"{sign}i{bits}"), memoryview(given))
        np.testing.assert_array_equal(stored.array(), wanted)
    with pytest.raises(mpscnn.WeightsError, match="a constant with"):
        Stored(TensorType((3, 7), f"{sign}i{bits}"), memoryview(data[:-1])).array()


@pytest.mark.parametrize("kind", WEIGHTS)
def test_compressed_weights(kind: str, tmp_path: Path) -> None:
    def body(x: Any) -> Any:
        return ai.conv2d(x, WEIGHTS[kind]()[0], u32(1, 1), u32(1, 1), np.array(2, np.uint32))

    path = write(tmp_path / "one.aimodel", body, [ai.TensorType(X.shape, np.float32)], [(1, 6, 4, 3)])
    network = read_network(path)
    module = ai.Module.create()
    with module:
        wanted = WEIGHTS[kind]()[1]
    (found,) = network.weights.values()
    np.testing.assert_allclose(found, wanted.transpose(0, 2, 3, 1), rtol=1e-6, atol=1e-7)


def test_photo(tmp_path: Path) -> None:
    """An input that is an image takes photos: their samples from 0 to 255."""
    from coreai._compiler._mlir_libs._coreaiIR._bindings.mlir.dialects.coreai import FourCC

    def body(photo: Any) -> Any:
        pixels = ai.cast(ai.image_to_tensor(photo), np.float32)
        x = ai.expand_dims(ai.transpose(pixels, u32(2, 0, 1)), i32(0))
        return ai.reduce_mean(x, i32(2, 3))

    path = write(tmp_path / "one.aimodel", body, [ai.ImageType(FourCC.RGB24, 4, 6)], [(1, 3, 1, 1)])
    network = read_network(path)
    assert network.input.shape == (None, 4, 6, 3)
    assert network.preprocess == {"mean": [0.0] * 3, "scale": [1.0] * 3}
    photo = np.random.default_rng(1).integers(0, 256, (1, 4, 6, 3)).astype(np.float32)
    (found,) = results(network, photo)
    np.testing.assert_allclose(found.reshape(3), photo.mean((0, 1, 2)), rtol=1e-6)


def simple(path: Path) -> Path:
    return write(path, lambda x: ai.relu(x), [ai.TensorType((1, 3, 4, 4), np.float32)], [(1, 3, 4, 4)])


def test_graphs_that_call_graphs(tmp_path: Path) -> None:
    """A composite is read by its body, and becomes the layer that computes it."""
    path = tmp_path / "one.aimodel"
    module = ai.Module.create()
    kind = ai.TensorType((1, 3, 4, 4), np.float32)

    def gate(x: Any) -> Any:
        shifted = ai.broadcasting_add(x, constant(np.float32(3)))
        upper = ai.broadcasting_minimum(
            ai.broadcasting_maximum(shifted, constant(np.float32(0))), constant(np.float32(6))
        )
        return ai.broadcasting_divide(upper, constant(np.float32(6)))

    gate.__annotations__ = {"x": Annotated[ai.Value, kind], "return": Annotated[ai.Value, kind]}
    with module:
        inner = ai.graph(gate, private=True, no_inline=True)

        def main(x: Any) -> Any:
            return ai.broadcasting_mul(x, inner(x)[0])

        main.__annotations__ = {"x": Annotated[ai.Value, kind], "return": Annotated[ai.Value, kind]}
        ai.graph(main)
    ai.AIProgram(module).save_asset(path)
    (node,) = read_network(path).to_dict()["nodes"]
    assert node["attributes"]["kind"] == "hard_swish"


def test_functions(tmp_path: Path) -> None:
    """The function main is read, or the one that is chosen."""
    path = tmp_path / "one.aimodel"
    module = ai.Module.create()
    kind = Annotated[ai.Value, ai.TensorType((1, 3, 4, 4), np.float32)]
    with module:
        for name, function in (("main", ai.relu), ("other", ai.sigmoid)):

            def body(x: Any, function: Any = function) -> Any:
                return function(x)

            body.__annotations__ = {"x": kind, "return": kind}
            kept = [inspect.Parameter("x", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
            body.__signature__ = inspect.Signature(kept)  # type: ignore[attr-defined]
            ai.graph(body, provided_name=name)
    ai.AIProgram(module).save_asset(path)
    for chosen, wanted in ((None, "relu"), ("other", "sigmoid")):
        network = read_network(path, signature=chosen)
        (node,) = network.to_dict()["nodes"]
        assert node["attributes"]["kind"] == wanted
        assert any("others are left out" in note for note in network.notes)


def test_refusals_name_the_operations(tmp_path: Path) -> None:
    def body(x: Any) -> Any:
        return ai.cast(ai.bitwise_and(ai.cast(x, np.int32), ai.cast(x, np.int32)), np.float32)

    path = write(tmp_path / "one.aimodel", body, [ai.TensorType((1, 3, 4, 4), np.float32)], [(1, 3, 4, 4)])
    with pytest.raises(mpscnn.UnsupportedError, match=r"bitwise_and.*integers and their bits"):
        read_network(path)


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    path = simple(tmp_path / "one.aimodel")
    program = path / "main.mlirb"
    content = program.read_bytes()
    program.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(mpscnn.WeightsError, match="hash"):
        read_network(path)
    for stated in (b"", b"x" * 32, b"x" * 64):
        (path / "main.hash").write_bytes(stated)
        with pytest.raises(mpscnn.WeightsError, match=r"whose hash main\.hash states"):
            read_network(path)
    outside = shutil.move(path / "metadata.json", tmp_path)
    for name in ("metadata.json", "main.hash"):
        (path / name).unlink(missing_ok=True)
        (path / name).mkdir()
        with pytest.raises(mpscnn.WeightsError, match=rf"{name} is not a file: copy"):
            read_network(path)
        (path / name).rmdir()
    (path / "metadata.json").symlink_to(outside)
    with pytest.raises(mpscnn.WeightsError, match="leads out"):
        read_network(path)
    program.unlink()
    with pytest.raises(mpscnn.WeightsError, match=r"has no main\.mlirb"):
        read_network(path)
    with pytest.raises(mpscnn.WeightsError, match="is not a folder"):
        read_network(shutil.copy(outside, tmp_path / "file.aimodel"))


@pytest.mark.parametrize("name", ["metadata.json", "main.hash"])
def test_a_kept_conversion_hides_no_damage(name: str, tmp_path: Path) -> None:
    """A folder in place of a file is refused, although the rest of the asset was converted before."""
    path = simple(tmp_path / "one.aimodel")
    (path / name).unlink(missing_ok=True)
    mpscnn.load(path)
    (path / name).mkdir()
    with pytest.raises(mpscnn.WeightsError, match=rf"{name} is not a file: copy"):
        mpscnn.load(path)


def archived(folder: Path, target: Path, inside: str = "one.aimodel/", **more: bytes) -> Path:
    """Pack the files of an asset, and others, with their names in the archive before them."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.iterdir():
            archive.write(path, inside + path.name)
        for name, content in more.items():
            archive.writestr(name.replace("_", "/") + "/main.mlirb", content)
    return target


def test_archives(tmp_path: Path) -> None:
    """An archive is read as its asset, wherever that is in it. Some processes parse a program: some seconds."""
    path = simple(tmp_path / "one.aimodel")
    for place, inside in enumerate(("", "one.aimodel/", "folder/one.aimodel/")):
        packed = archived(path, tmp_path / f"two{place}.aimodel.zip", inside)
        network = read_network(packed)
        assert (network.name, network.layer_names()) == (f"two{place}", read_network(path).layer_names())
    assert mpscnn.load(packed).network.layer_names() == network.layer_names()
    assert mpscnn.compare(path, packed).equal


def test_refused_archives(tmp_path: Path) -> None:
    path = simple(tmp_path / "one.aimodel")
    packed = archived(path, tmp_path / "one.aimodel.zip")
    with pytest.raises(mpscnn.UnsupportedError, match=r"rename it to one\.aimodel\.zip"):
        mpscnn.load(shutil.copy(packed, tmp_path / "one.zip"))
    two = archived(path, tmp_path / "two.aimodel.zip", other=b"a program")
    with pytest.raises(mpscnn.UnsupportedError, match="has 2 Core AI assets"):
        read_network(two)
    empty = tmp_path / "none"
    empty.mkdir()
    with pytest.raises(mpscnn.UnsupportedError, match="has 0 Core AI assets"):
        read_network(archived(empty, tmp_path / "none.aimodel.zip"))
    large = archived(empty, tmp_path / "large.aimodel.zip", one=bytes(70 << 20))
    with pytest.raises(mpscnn.WeightsError, match="much for an archive"):
        read_network(large)
    content = packed.read_bytes()
    for size in range(1, len(content), len(content) // 20):
        packed.write_bytes(content[:size])
        with pytest.raises(mpscnn.WeightsError, match="damaged"):
            read_network(packed)


def test_cut_programs(tmp_path: Path) -> None:
    """Apple's parser ends its process; the error says what to do."""
    path = simple(tmp_path / "one.aimodel")
    program = path / "main.mlirb"
    (path / "main.hash").unlink()
    program.write_bytes(program.read_bytes()[:200])
    with pytest.raises(
        mpscnn.UnsupportedError, match=r"cannot be read: .*damaged programs: copy the asset again"
    ):
        read_network(path)


def test_damaged_programs(tmp_path: Path, full: bool) -> None:
    """A damaged program is an error of mpscnn, or it is a program; Apple's parser may end its process."""
    path = simple(tmp_path / "one.aimodel")
    program = path / "main.mlirb"
    (path / "main.hash").unlink()
    content = program.read_bytes()
    generator = np.random.default_rng(2)
    for number in range(2_000 if full else 6):
        damaged = bytearray(content)
        if number % 3 == 0:
            del damaged[int(generator.integers(4, len(content))) :]
        else:
            for place in generator.integers(4, len(content), 1 + number % 4):
                damaged[place] = int(generator.integers(0, 256))
        program.write_bytes(damaged)
        with suppress(mpscnn.Error):
            read_network(path)


def test_classes_of_other_exporters(tmp_path: Path) -> None:
    """Names of classes are read as exporters write them: a text of Python or JSON, an object or a list."""
    path = write(
        tmp_path / "one.aimodel",
        lambda x: ai.reshape(ai.reduce_mean(x, i32(2, 3)), u32(1, 3)),
        [ai.TensorType((1, 3, 4, 4), np.float32)],
        [(1, 3)],
    )
    described = json.loads((path / "metadata.json").read_text())
    for names in (
        "{0: 'cat', 1: 'dog', 2: 'owl'}",
        {"0": "cat", "1": "dog", "2": "owl"},
        ["cat", "dog", "owl"],
        '{"0": "cat", "1": "dog", "2": "owl"}',
    ):
        described["creatorDefinedMetadata"] = {"names": names, "task": "classify"}
        (path / "metadata.json").write_text(json.dumps(described))
        assert read_network(path).labels == ["cat", "dog", "owl"]
    described["creatorDefinedMetadata"] = {"names": json.dumps({"0": "😀", "1": "b", "2": "c"})}
    (path / "metadata.json").write_text(json.dumps(described))
    assert read_network(path).labels == ["😀", "b", "c"]  # JSON has it as two surrogates
    for names in ({"1" * 5000: "cat"}, {"²": "cat"}, {"0": None}, "[" * 9000, 3, [["cat"]], {"7": "cat"}):
        described["creatorDefinedMetadata"] = {"names": names}
        (path / "metadata.json").write_text(json.dumps(described))
        assert read_network(path).labels is None
    (path / "metadata.json").write_text(json.dumps({"padding": "x" * (5 << 20)}))
    with pytest.raises(mpscnn.WeightsError, match=r"^[^:]*metadata\.json: has 5,2\d\d,\d\d\d bytes"):
        read_network(path)


def test_classes_of_detectors_of_other_exporters() -> None:
    """A detector that is recognised by its operations gets the names in the description."""
    network = mpscnn.load("page_digits").network
    assert network.detection is not None
    network.labels = None
    names = [f"digit {number}" for number in range(10)]
    describe(network, {"names": json.dumps(dict(enumerate(names)))}, "one.aimodel", None)
    assert network.labels == names
