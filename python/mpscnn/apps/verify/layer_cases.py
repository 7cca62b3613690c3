"""Conformance cases for the operations of networks, from the table in cpp/ops/cases.cpp."""

from __future__ import annotations

import json
from typing import Any

from mpscnn import _core
from mpscnn.apps.verify.case import Case

_TAG = "conformance"


def layer_cases() -> list[Case]:
    """Return the table's cases that are tagged for conformance, each in float32 and float16."""
    listed = [case for case in json.loads(_core.cases()) if _TAG in case["tags"]]
    return [_case(one, precision) for precision in ("float32", "float16") for one in listed]


def _case(one: dict[str, Any], precision: str) -> Case:
    operation = one["operation"]
    recipe: dict[str, Any] = {
        name: one[name] for name in ("operation", "inputs", "attributes", "activation") if name in one
    }
    return Case(operation, operation, f"{one['name']}, {precision}", {**recipe, "precision": precision})
