"""Walk the signatures of all rows: settings that a signature does not allow are refused by name."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from mpscnn.converters.reading.caffe.layers import ROWS as CAFFE
from mpscnn.converters.reading.coreai.operators import ROWS as COREAI
from mpscnn.converters.reading.coreml.neural.elementwise import CURVES as COREML_CURVES
from mpscnn.converters.reading.coreml.neural.layers import ROWS as COREML_LAYERS
from mpscnn.converters.reading.coreml.program.operations import ROWS as COREML
from mpscnn.converters.reading.keras.functions import LAYERS as KERAS_ACTIVATIONS
from mpscnn.converters.reading.keras.layers import FUNCTIONS as KERAS_FUNCTIONS
from mpscnn.converters.reading.keras.layers import ROWS as KERAS
from mpscnn.converters.reading.keras.recurrent import CELLS as KERAS_CELLS
from mpscnn.converters.reading.onnx.file import EXPANSIONS
from mpscnn.converters.reading.onnx.old_operators import OLD
from mpscnn.converters.reading.onnx.operators import ROWS, ROWS_OF_CONSTANTS
from mpscnn.converters.reading.tensorflow.operators import ROWS as TENSORFLOW
from mpscnn.converters.reading.tflite.operators import ROWS as TFLITE
from mpscnn.converters.values.rows import (
    Above,
    Finite,
    Floats,
    Ints,
    Name,
    Operand,
    Parameter,
    Row,
    Stated,
    Texts,
    call,
    ignores,
    schema_of,
)
from mpscnn.errors import UnsupportedError, WeightsError

TABLES = {
    "ONNX, tensors": ROWS,
    "ONNX, constants": ROWS_OF_CONSTANTS,
    "ONNX, expansions": EXPANSIONS,
    "ONNX, old": OLD,
    "Caffe": CAFFE,
    "Core AI": COREAI,
    "Core ML, programs": COREML,
    "Core ML, layers": COREML_LAYERS,
    "Core ML, activations": COREML_CURVES,
    "TensorFlow": TENSORFLOW,
    "TensorFlow Lite": TFLITE,
    "Keras": KERAS,
    "Keras, activations": KERAS_ACTIVATIONS,
    "Keras, functions": KERAS_FUNCTIONS,
    "Keras, recurrent": KERAS_CELLS,
}


def _rows() -> Iterator[tuple[str, Row]]:
    for table in TABLES.values():
        yield from table.items()


def test_unknown_settings_are_refused_by_name() -> None:
    for kind, row in _rows():
        schema = schema_of(row)
        if not schema.passes_on:
            with pytest.raises(UnsupportedError, match=r"its 'unheard_of' is 3, which is not known; "):
                schema.checked({"unheard_of": 3})
        assert "unheard_of" not in schema.settings, kind


def test_unknown_operands_are_refused_by_name() -> None:
    for kind, row in COREML.items():
        names = [one.name for one in schema_of(row).operands if one.default is inspect.Parameter.empty]
        given = {**dict.fromkeys(names, "a"), "unheard_of": "b"}
        with pytest.raises(UnsupportedError, match="its operand 'unheard_of' is not known"):
            call(row, given, {}, lambda one, name: name, {one.kind: None for one in schema_of(row).given})
        if names:
            with pytest.raises(WeightsError, match=f"damaged: it has no {names[0]}"):
                call(row, {}, {}, lambda one, name: name, {one.kind: None for one in schema_of(row).given})
        assert kind


def _wrong(one: Parameter) -> tuple[Any, type[Exception]]:
    """Return a value that a setting must not have, and the error for it."""
    if one.choices:
        return ("unheard of" if isinstance(one.choices[0], str) else 99), UnsupportedError
    if one.kind_of_setting is bool and one.parsed is None:
        return 2, WeightsError
    return (np.nan if one.is_finite else object()), WeightsError


def test_wrong_values_are_refused_with_the_name_of_the_setting() -> None:
    checked = 0
    for _, row in _rows():
        for name, one in schema_of(row).settings.items():
            if one.kind_of_setting is not Any:
                value, error = _wrong(one)
                with pytest.raises(error, match=rf"its {name} (is|are|must be) "):
                    one.checked(value)
                checked += 1
    assert checked > 500


class _Reader:
    """A reader gives itself to rows."""


@ignores("seed")
def _row(
    reader: _Reader,
    x: Name,
    axes: Annotated[Ints | None, Operand("its axes", or_setting=True)] = None,
    *,
    mode: Literal["up", "down"] = "up",
    size: Annotated[int, Above(0)] = 1,
    factor: Annotated[float, Finite(), Stated("lambda")] = 1.0,
    flag: bool = False,
    numbers: Floats = (),
    texts: Texts = (),
) -> Any:
    assert isinstance(reader, _Reader)
    return x, axes, mode, size, factor, flag, numbers, texts


def _called(operands: Any, **settings: Any) -> Any:
    return call(_row, operands, settings, lambda one, name: f"{one.name}: {name}", {_Reader: _Reader()})


def test_a_call_reads_operands_and_settings() -> None:
    usual = ("up", 1, 1.0, False, (), ())
    assert _called(["a"]) == ("x: a", None, *usual)
    assert _called(["a", "b"], axes=[1]) == ("x: a", "axes: b", *usual)  # an operand comes before a setting
    assert _called({"x": "a"}, axes=[1, 2]) == ("x: a", (1, 2), *usual)
    given = {
        "mode": b"down",
        "size": np.int64(3),
        "lambda": 2,
        "flag": 1,
        "numbers": [1, 0.5],
        "texts": [b"t"],
    }
    assert _called(["a"], seed=7, **given) == ("x: a", None, "down", 3, 2.0, True, (1.0, 0.5), ("t",))


@pytest.mark.parametrize(
    ("operands", "settings", "reason"),
    [
        ([], {}, "its operand 1 is missing"),
        (["a", "b", "c"], {}, "it has 3 operands; supported are 2"),
        ({"y": "a"}, {}, "its operand 'y' is not known"),
        (["a"], {"mode": "left"}, "its mode is 'left'; supported are up and down"),
        (["a"], {"size": 0}, "its size is 0, expected a whole number above 0"),
        (["a"], {"size": "1"}, "its size is '1', expected a whole number"),
        (["a"], {"lambda": float("inf")}, "its lambda is inf"),
        (["a"], {"factor": 1.0}, "its 'factor' is 1.0, which is not known; supported are axes, mode"),
        (["a"], {"flag": 2}, "its flag is 2, expected 0 or 1"),
        (["a"], {"flag": 0.5}, "its flag is 0.5, expected a whole number"),
        (["a"], {"numbers": 1.0}, "its numbers are 1.0, expected numbers"),
        (["a"], {"texts": [1]}, r"its texts are \[1\], expected texts"),
    ],
)
def test_a_call_refuses_what_the_signature_does_not_allow(
    operands: Any, settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises((UnsupportedError, WeightsError), match=reason):
        _called(operands, **settings)
