"""Samples of operators whose settings a test can write again, for all formats that have an engine or a formula here.

A sample is a small file of one operator. `write` makes it again with other settings, `ours` computes it, and `theirs`
computes it by the format's own engine.
"""

from __future__ import annotations

import copy
import itertools
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import agreement
import numpy as np
import pytest
from numpy.typing import NDArray

import mpscnn
from mpscnn import converters
from mpscnn.converters.values.rows import Ints, Parameter, Row, schema_of

Array = NDArray[Any]
_MAX_CHANGED = 6  # the number of elements of a list that are changed one by one


@dataclass(frozen=True)
class Sample:
    """An operator of a file.

    Attributes:
        name: the operator and the sample.
        row: the row that reads it. Its signature says which settings there are.
        stated: the settings of the file, by the names of the signature.
        write: returns the file with these settings. It raises LookupError if the format cannot state one.
        read: converts a file.
        ours, theirs: return the results of a file, here and in the format's own engine or by its formula.
    """

    name: str
    row: Row
    stated: Mapping[str, Any]
    write: Callable[[Mapping[str, Any]], Any]
    read: Callable[[Any], object]
    ours: Callable[[Any], list[Array]]
    theirs: Callable[[Any], list[Array]]

    def settings(self) -> Iterator[tuple[Parameter, Any]]:
        """Yield the settings of the signature, each with its value in the file."""
        for name, one in settings_of(self.row).items():
            yield one, self.stated.get(name, one.default)


def settings_of(row: Row) -> dict[str, Parameter]:
    """Return the settings of a row, with the operands that are constants of plain types, as in Core ML's programs."""
    schema = schema_of(row)
    plain = (int, float, bool, Ints)
    operands = (one for one in schema.operands if one.kind in plain or one.choices)
    return {**schema.settings, **{one.name: one for one in operands}}


def allowed_values(one: Parameter, now: Any) -> list[Any]:
    """Return values that the signature allows: all choices, or numbers around the value that the file has."""
    kind = one.kind_of_setting
    if one.choices:
        return list(one.choices)
    if kind is bool:
        return [False, True]
    found: list[Any] = []
    if isinstance(now, (list, tuple)) and now and all(_is_number(value) for value in now):
        found = [list(now)[::-1]]
        for place, step in itertools.product(range(min(len(now), _MAX_CHANGED)), (-1, 1)):
            found.append([*now[:place], now[place] + step, *now[place + 1 :]])
    elif kind is float:
        at = now if _is_number(now) else 1.0
        found = [0.5 * at, 2.0 * at + 0.25, 0.0, -0.5, 1.0]
    elif kind is int:
        found = sorted({*((now - 1, now + 1) if _is_number(now) else ()), -2, -1, 0, 1, 2, 3})
    return [value for value in found if one.above is None or np.all(np.asarray(value) > one.above)]


def wrong_values(one: Parameter, now: Any) -> list[Any]:
    """Return values that the signature does not allow."""
    if one.choices:
        return ["unheard of" if isinstance(one.choices[0], str) else 99]
    found: list[Any] = []
    if one.above is not None:
        found.append([one.above, *list(now)[1:]] if isinstance(now, (list, tuple)) and now else one.above)
        found = [_as_integers(value) for value in found]
    if one.is_finite:
        found += [float("nan"), float("inf")]
    if one.kind_of_setting is bool and one.parsed is None:
        found.append(2)
    if one.kind_of_setting in (int, float, bool):
        found.append("unheard of")
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _as_integers(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_integers(item) for item in value]
    return int(value) if float(value).is_integer() else value


# ---- ONNX ----------------------------------------------------------------------------------------------------------


def onnx_samples(_folder: Path) -> Iterator[Sample]:
    """Yield the nodes of ONNX' own test of backends: for each operator the first two that state different settings."""
    onnx = pytest.importorskip("onnx", reason="needs onnx")
    from converters import onnx_files
    from exact_engines import onnxruntime_results
    from onnx.backend.test.case.node import collect_testcases

    import mpscnn.onnx_backend as backend
    from mpscnn.converters.reading.onnx.file import EXPANSIONS
    from mpscnn.converters.reading.onnx.operators import ROWS, ROWS_OF_CONSTANTS

    tables = EXPANSIONS | ROWS_OF_CONSTANTS | ROWS
    seen: dict[str, list[set[str]]] = {}
    for case in collect_testcases(""):
        graph = case.model.graph
        if len(graph.node) != 1 or graph.node[0].op_type not in tables or not case.data_sets:
            continue
        (node,) = graph.node
        inputs = case.data_sets[0][0]
        stated = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
        known = seen.setdefault(node.op_type, [])
        if len(known) == 2 or stated.keys() in known or not all(isinstance(x, np.ndarray) for x in inputs):
            continue
        known.append(set(stated))

        def write(settings: Mapping[str, Any], model: Any = case.model) -> Any:
            made = copy.deepcopy(model)
            del made.graph.node[0].attribute[:]
            made.graph.node[0].attribute.extend(
                onnx.helper.make_attribute(name, int(value) if isinstance(value, bool) else value)
                for name, value in settings.items()
                if value is not None
            )
            for output in made.graph.output:  # its shape is that of the case; ONNX' rules need one
                output.type.tensor_type.ClearField("shape")
                output.type.tensor_type.shape.SetInParent()
            return made

        def ours(model: Any, inputs: Any = inputs) -> list[Array]:
            return list(backend.run_model(model, inputs))

        def theirs(model: Any, inputs: Any = inputs) -> list[Array]:
            names = [one.name for one in model.graph.input]
            for output in model.graph.output:
                output.ClearField("type")
            return onnxruntime_results(model, dict(zip(names, inputs, strict=True)))

        name = case.name.removeprefix("test_")
        yield Sample(name, tables[node.op_type], stated, write, onnx_files.read, ours, theirs)


# ---- TensorFlow Lite -----------------------------------------------------------------------------------------------

_FIELDS = {"i": "Int32", "f": "Float32", "?": "Bool", "b": "Int8"}


def tflite_samples(folder: Path) -> Iterator[Sample]:
    """Yield the operators of `quantized_ranges` in floats."""
    from converters.quantized_ranges import CASES, FLOAT_CASES, file_of
    from exact_engines import litert_results

    from mpscnn.converters.reading.tflite.names import ENUMERATIONS
    from mpscnn.converters.reading.tflite.operators import ROWS
    from mpscnn.converters.reading.tflite.options import OPTIONS

    path = folder / "file.tflite"

    def read(content: bytes) -> mpscnn.Network:
        path.write_bytes(content)
        return converters.read_network([path])

    for kind, case in (CASES | FLOAT_CASES).items():
        if kind not in OPTIONS or kind == "QUANTIZE":
            continue
        fields = OPTIONS[kind].fields
        stated = {name: one.default for name, one in fields.items()}
        names = list(fields)
        for number, _, value in case.options[1]:
            kinds = ENUMERATIONS.get(fields[names[number]].kind)
            stated[names[number]] = value if kinds is None else kinds[value]

        def write(settings: Mapping[str, Any], kind: str = kind, case: Any = case) -> bytes:
            written = []
            for name, value in settings.items():
                one = OPTIONS[kind].fields[name]
                kinds = ENUMERATIONS.get(one.kind)
                if kinds is not None:
                    value = kinds.index(value) if value in kinds else 99
                elif value == one.default:
                    continue
                elif one.kind not in _FIELDS or isinstance(value, str) or (one.kind == "?" and value == 2):
                    raise LookupError(name)
                written.append((one.number, _FIELDS.get(one.kind, "Int8"), value))
            changed = replace(case, options=(OPTIONS[kind].table, written))
            return file_of(kind, "float32", (0.1, 0), (0.1, 0), case=changed)

        draw = np.random.default_rng(5)
        inputs = [draw.uniform(0.1, 2, shape).astype(np.float32) for shape in case.inputs]

        def ours(content: bytes, inputs: Any = inputs) -> list[Array]:
            return agreement.results(read(content), *inputs)

        def theirs(content: bytes, inputs: Any = inputs) -> list[Array]:
            return litert_results(content, *inputs)

        yield Sample(kind, ROWS[kind], stated, write, read, ours, theirs)


# ---- Keras ---------------------------------------------------------------------------------------------------------


def keras_samples(folder: Path) -> Iterator[Sample]:
    """Yield layers of Keras, one of each kind. A setting that Keras refuses is changed in the file instead."""
    from oracles.test_keras import SEQUENCES, SINGLE, image, sequential

    from mpscnn.converters.reading.keras.functions import LAYERS
    from mpscnn.converters.reading.keras.layers import ROWS
    from mpscnn.converters.reading.keras.recurrent import CELLS

    path, models = folder / "model.keras", {}
    seen: set[str] = set()

    def read(made: Path) -> mpscnn.Network:
        return converters.read_network([made])

    for shape, name, make in [
        *(((9, 8, 4), *case) for case in SINGLE.items()),
        *(((11, 4), *case) for case in SEQUENCES.items()),
    ]:
        layer = make()
        kind = type(layer).__name__
        if kind in seen:
            continue
        seen.add(kind)
        row = LAYERS.get(kind) or CELLS.get(kind) or ROWS[kind]
        config = layer.get_config()
        stated = {name: value for name, value in config.items() if name in schema_of(row).settings}

        def write(
            settings: Mapping[str, Any], layer: Any = layer, config: Any = config, shape: Any = shape
        ) -> Path:
            models.clear()
            try:
                models[path] = sequential(type(layer).from_config(config | dict(settings)), shape=shape)
                models[path].save(path)
            except Exception:  # Keras refuses it
                models.clear()
                sequential(type(layer).from_config(config), shape=shape).save(path)
                _change_keras(path, type(layer).__name__, settings)
            return path

        x = image(2, *shape).astype(np.float32)

        def ours(made: Path, x: Any = x) -> list[Array]:
            return agreement.results(read(made), x)

        def theirs(made: Path, x: Any = x) -> list[Array]:
            return [models[made](x, training=False).detach().numpy()]

        yield Sample(name, row, stated, write, read, ours, theirs)


def _change_keras(path: Path, kind: str, settings: Mapping[str, Any]) -> None:
    """Change settings of a layer in a file of Keras."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    described = json.loads(members["config.json"])
    for layer in described["config"]["layers"]:
        if layer["class_name"] == kind:
            layer["config"] |= settings
    members["config.json"] = json.dumps(described).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


# ---- Core ML -------------------------------------------------------------------------------------------------------

_TYPES = {bool: np.bool_, int: np.int32, float: np.float32}
FLOAT = 11  # the type float32 of Core ML's schema


def coreml_samples(folder: Path) -> Iterator[Sample]:
    """Yield operations of Core ML's programs, one of each kind, which the tests' own interpreter computes."""
    coremltools = pytest.importorskip("coremltools", reason="needs coremltools")
    from converters.coreml.test_coreml_programs import TABLE, made_of
    from oracles.coreml_programs import run_program

    from mpscnn.converters.reading.coreml.program.operations import ROWS

    path, seen = folder / "one.mlpackage", set()

    def read(made: Path) -> mpscnn.Network:
        return converters.read_network([made])

    for case in TABLE.values():
        if case.kind in seen:
            continue
        seen.add(case.kind)
        known = settings_of(ROWS[case.kind])
        stated = {name: value for name, value in case.operands.items() if name in known}
        _, inputs, _ = made_of(case)

        def write(settings: Mapping[str, Any], case: Any = case) -> Path:
            given = {
                name: _constant(value, settings_of(ROWS[case.kind])[name]) for name, value in settings.items()
            }
            program, *_ = made_of(case._replace(operands={**case.operands, **given}))
            shutil.rmtree(path, ignore_errors=True)
            return program.saved(path)

        def ours(made: Path, inputs: Any = inputs) -> list[Array]:
            found = agreement.results(read(made), *map(_channels_last, inputs))
            return [found.transpose(0, 3, 1, 2) if found.ndim == 4 else found for found in found]

        def theirs(made: Path, inputs: Any = inputs) -> list[Array]:
            data = made / "Data" / "com.apple.CoreML"
            spec = coremltools.proto.Model_pb2.Model()
            spec.ParseFromString((data / "model.mlmodel").read_bytes())
            spec.mlProgram.version = 1
            for operation in spec.mlProgram.functions["main"].block_specializations["CoreML7"].operations:
                for output in operation.outputs:  # which the tests' programs leave out
                    output.type.tensorType.dataType = FLOAT
            given = {f"x{place}": x for place, x in enumerate(inputs)}
            found = list(run_program(spec, str(data / "weights"), given).values())
            if any(len(x) != 1 for x in found):
                raise LookupError("a result without the batch")
            return found

        yield Sample(case.kind, ROWS[case.kind], stated, write, read, ours, theirs)


def _constant(value: Any, one: Parameter) -> Any:
    """Return a setting as a constant of a program."""
    if isinstance(value, (list, tuple)):
        return np.array(value, np.int32)
    if one.kind is bool and value not in (False, True, "unheard of"):
        raise LookupError(one.name)
    return value if isinstance(value, str) else _TYPES[one.kind](value)


def _channels_last(x: Array) -> Array:
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if x.ndim == 4 else x


# ---- Caffe ---------------------------------------------------------------------------------------------------------

_BLOBS = {"Normalize": [np.ones(1)]}
_SIDES = {"kernel_size": "kernel", "stride": "stride", "pad": "pad"}  # poolings state both sides by name
_X = (2, 4, 5, 6)


def caffe_samples(folder: Path) -> Iterator[Sample]:
    """Yield Caffe's layers of one input, with their formulas."""
    pytest.importorskip("google.protobuf", reason="needs protobuf")
    from converters.caffe_formulas import FORMULAS, VARIANTS
    from converters.caffe_writer import image
    from converters.caffe_writer import layer as layer_text
    from converters.caffe_writer import write as write_caffe

    from mpscnn.converters.reading.caffe.file import parameter_field
    from mpscnn.converters.reading.caffe.layers import ROWS

    x = np.random.default_rng(3).normal(0, 1, _X).astype(np.float32)

    def text_of(name: str, value: Any) -> str:
        if name in _SIDES and isinstance(value, (list, tuple)):
            return " ".join(
                text_of(f"{_SIDES[name]}_{side}", one) for side, one in zip("hw", value, strict=True)
            )
        if isinstance(value, (list, tuple)):
            return " ".join(text_of(name, one) for one in value)
        return f"{name}: {str(value).lower() if isinstance(value, bool) else value}"

    def read(made: tuple[list[Path], Any]) -> mpscnn.Network:
        return converters.read_network(made[0])

    def ours(made: tuple[list[Path], Any]) -> list[Array]:
        given = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
        (found,) = agreement.results(read(made), given)
        return [found.transpose(0, 3, 1, 2) if found.ndim == 4 else found]

    for kind, (settings, formula) in FORMULAS.items():

        def write(settings: Mapping[str, Any], kind: str = kind) -> tuple[list[Path], Any]:
            text = " ".join(text_of(*one) for one in settings.items())
            made = layer_text(kind, "y", "data", f"{parameter_field(kind)} {{ {text} }}")
            blobs = {"y": _BLOBS[kind]} if kind in _BLOBS else None
            return write_caffe(folder, image(*_X) + made, blobs), settings

        def theirs(made: tuple[list[Path], Any], formula: Any = formula) -> list[Array]:
            return [formula(x.astype(np.float64), **made[1])]

        for variant in VARIANTS.get(kind, [{}]):
            stated = {**settings, **variant}
            yield Sample(kind, ROWS[kind], stated, write, read, ours, theirs)
