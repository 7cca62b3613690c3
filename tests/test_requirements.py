"""Test that the requirements in pyproject.toml can be installed on every supported platform."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
LINUX = {"sys_platform": "linux", "platform_machine": "x86_64"}
APPLE_SILICON = {"sys_platform": "darwin", "platform_machine": "arm64"}
INTEL_MAC = {"sys_platform": "darwin", "platform_machine": "x86_64"}


def wanted(extra: str, environment: dict[str, str]) -> set[str]:
    """Return the names of the packages of an extra, including those of other extras of mpscnn that it refers to."""
    # Python 3.10 lacks tomllib, but pytest installs tomli there.
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    extras: dict[str, Any] = toml.loads(PYPROJECT.read_text("utf-8"))["project"]["optional-dependencies"]
    names: set[str] = set()
    for requirement in map(Requirement, extras[extra]):
        if requirement.marker is not None and not requirement.marker.evaluate(environment):
            continue
        names.add(requirement.name)
        if requirement.name == "mpscnn":
            names.update(*(wanted(inner, environment) for inner in requirement.extras))
    return names - {"mpscnn"}


@pytest.mark.parametrize("python", ["3.10", "3.14"])
def test_intel_macs_are_asked_for_no_package_that_has_no_wheel_there(python: str) -> None:
    everywhere = wanted("test", {**LINUX, "python_version": python})
    assert wanted("test", {**APPLE_SILICON, "python_version": python}) == everywhere
    assert {"ai-edge-litert", "onnxruntime", "pytest"} <= everywhere
    lacking = {"ai-edge-litert"} | ({"onnxruntime"} if python == "3.14" else set())
    assert everywhere - wanted("test", {**INTEL_MAC, "python_version": python}) == lacking
