"""Walk the signatures of all rows of ONNX: settings that a signature does not allow are refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import onnx
import pytest
from converters.onnx_files import model, node, read

from mpscnn.converters.onnx_reader.file import EXPANSIONS
from mpscnn.converters.onnx_reader.old_operators import OLD
from mpscnn.converters.onnx_reader.operators import ROWS, ROWS_OF_CONSTANTS
from mpscnn.converters.rows import Parameter, Row, schema_of
from mpscnn.errors import UnsupportedError, WeightsError

TABLES = {"tensors": ROWS, "constants": ROWS_OF_CONSTANTS, "expansions": EXPANSIONS, "old": OLD}


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


@pytest.mark.parametrize("kind", ["Relu", "com.microsoft.Gelu", "com.microsoft.FusedConv"])
def test_files_with_unknown_settings_are_refused(kind: str) -> None:
    domain, _, name = kind.rpartition(".")
    operator = node(name, ["x", "w"] if name == "FusedConv" else ["x"], unheard_of=3)
    operator.domain = domain
    with pytest.raises(UnsupportedError, match="'unheard_of' is 3, which is not known"):
        read(model([operator], {"x": ["n", 3, 6, 6]}, {"w": [[[[1.0]]] * 3]}))


def _wrong(one: Parameter) -> tuple[Any, type[Exception]]:
    """Return a value that a setting must not have, and the error for it."""
    if one.choices:
        return ("unheard of" if isinstance(one.choices[0], str) else 99), UnsupportedError
    if one.kind_of_setting is bool:
        return 2, WeightsError
    return {"text": 1}, WeightsError


def test_wrong_values_are_refused_with_the_name_of_the_setting() -> None:
    checked = 0
    for _, row in _rows():
        for name, one in schema_of(row).settings.items():
            if one.kind_of_setting is not Any:
                value, error = _wrong(one)
                with pytest.raises(error, match=rf"its {name} (is|are) "):
                    one.checked(value)
                checked += 1
    assert checked > 400


def _stated() -> Iterator[tuple[str, set[str]]]:
    """Yield each operator with the settings that any version of it may have since ONNX broadcasts as NumPy."""
    found: dict[str, set[str]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if not schema.domain:
            found.setdefault(schema.name, set()).update(schema.attributes)
    yield from found.items()


#: Settings of opsets before 7 of operators that `OLD` has in their old form.
OLD_ONLY = {"axis", "broadcast", "consumed_inputs", "height_scale", "paddings", "shape", "width_scale"}


def test_rows_know_all_settings_of_onnx() -> None:
    for kind, settings in _stated():
        for table in (ROWS, ROWS_OF_CONSTANTS, EXPANSIONS):
            if kind in table:
                schema = schema_of(table[kind])
                unknown = settings - schema.settings.keys() - schema.ignored
                old = OLD_ONLY if kind in OLD else {"consumed_inputs"}
                assert schema.passes_on or unknown <= old, kind


def test_settings_of_opset_1_that_change_nothing_are_ignored() -> None:
    assert read(model([node("Relu", ["x"], consumed_inputs=[0])], {"x": ["n", 3]})).layer_names()
