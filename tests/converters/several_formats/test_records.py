"""Each format is one record. The record's functions exist, and files of its suffixes have its marks."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest

from mpscnn.converters.formats.records import ARCHIVE, BY_SUFFIX, FORMATS, Format, Late


@pytest.mark.parametrize("one", [*FORMATS, ARCHIVE], ids=lambda one: one.suffixes[0])
def test_functions_of_records_exist(one: Format) -> None:
    late = [value for field in fields(one) if isinstance(value := getattr(one, field.name), Late)]
    assert one.read in late
    for function in late:
        parameters = list(inspect.signature(function.function).parameters)
        assert parameters == ["paths", "options"] if function is one.read else parameters


def test_each_suffix_is_in_one_record() -> None:
    assert len(BY_SUFFIX) == sum(len(one.suffixes) for one in FORMATS)
    for one in FORMATS:
        assert {mark.suffix for mark in one.marks} <= set(one.suffixes)
