"""Compare the settings of ONNX' operators with the signatures of their rows; see also several_formats/test_rows.py."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
import pytest
from converters.onnx_files import model, node, read

from mpscnn.converters.reading.onnx.file import EXPANSIONS
from mpscnn.converters.reading.onnx.node import OwnKind
from mpscnn.converters.reading.onnx.old_operators import OLD
from mpscnn.converters.reading.onnx.operators import ROWS, ROWS_OF_CONSTANTS
from mpscnn.converters.values.rows import schema_of
from mpscnn.errors import UnsupportedError


@pytest.mark.parametrize("kind", ["Relu", "com.microsoft.Gelu", "com.microsoft.FusedConv"])
def test_files_with_unknown_settings_are_refused(kind: str) -> None:
    domain, _, name = kind.rpartition(".")
    operator = node(name, ["x", "w"] if name == "FusedConv" else ["x"], unheard_of=3)
    operator.domain = domain
    with pytest.raises(UnsupportedError, match="'unheard_of' is 3, which is not known"):
        read(model([operator], {"x": ["n", 3, 6, 6]}, {"w": [[[[1.0]]] * 3]}))


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


OWN = sorted({kind for table in (ROWS, ROWS_OF_CONSTANTS) for kind in table if isinstance(kind, OwnKind)})


def test_files_cannot_state_operators_that_only_readers_write() -> None:
    """An operator that ONNX lacks equals no text, so neither a file nor a row of ONNX can have its name."""
    assert len(OWN) > 10
    for kind in OWN:
        assert kind not in {str(one) for one in (*ROWS, *ROWS_OF_CONSTANTS)}
        operator = node(str(kind), ["x"])
        operator.domain = "mpscnn"
        with pytest.raises(UnsupportedError, match="no such layer yet"):
            read(model([operator], {"x": ["n", 3, 6, 6]}))
