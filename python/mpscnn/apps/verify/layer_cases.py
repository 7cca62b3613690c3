"""Build conformance cases for the operations of networks, from the table in cpp/ops/layer_cases.cpp."""

from __future__ import annotations

import json
from typing import Any

from mpscnn import _core
from mpscnn.apps.verify.case import Case

_TAG = "conformance"


def listed_cases() -> list[dict[str, Any]]:
    """Return the table's cases that are tagged for conformance."""
    return [case for case in json.loads(_core.cases()) if _TAG in case["tags"]]


def layer_cases() -> list[Case]:
    """Return the listed cases, each in float32 and float16."""
    return [_case(one, precision) for precision in ("float32", "float16") for one in listed_cases()]


def _case(one: dict[str, Any], precision: str) -> Case:
    operation = one["operation"]
    recipe: dict[str, Any] = {
        name: one[name] for name in ("operation", "inputs", "attributes", "activation") if name in one
    }
    return Case(operation, operation, f"{one['name']}, {precision}", {**recipe, "precision": precision})
