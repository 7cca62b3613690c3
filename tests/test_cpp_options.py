"""The option structs for C++ are those of the tables."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

import mpscnn
from mpscnn import _core

SCRIPT = Path(__file__).resolve().parent.parent / "docs" / "write_cpp_options.py"


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    """The script that writes the headers."""
    spec = importlib.util.spec_from_file_location("write_cpp_options", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_headers_are_up_to_date(writer: ModuleType) -> None:
    for path, text in writer.files().items():
        assert path.read_text("utf-8") == text, "run: python docs/write_cpp_options.py"


def test_every_operation_and_kernel_has_a_struct(writer: ModuleType) -> None:
    layers, kernels = writer.layers(), writer.kernels()
    for entry in mpscnn.operations():
        assert f'operation = "{entry["name"]}";' in layers
        for parameter in entry["parameters"]:
            assert f'visit("{parameter["name"]}", {parameter["name"]});' in layers
    for entry in json.loads(_core.kernels()):
        assert f'Options<"{entry["name"]}">;' in kernels
