"""Test the packages that the project requires: on every platform, and without versions that have known holes."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

PROJECT = Path(__file__).resolve().parents[1]
PYPROJECT = PROJECT / "pyproject.toml"
LINUX = {"sys_platform": "linux", "platform_machine": "x86_64"}
APPLE_SILICON = {"sys_platform": "darwin", "platform_machine": "arm64"}
INTEL_MAC = {"sys_platform": "darwin", "platform_machine": "x86_64"}


def read_pyproject() -> dict[str, Any]:
    # Python 3.10 lacks tomllib, but pytest installs tomli there.
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    content: dict[str, Any] = toml.loads(PYPROJECT.read_text("utf-8"))
    return content


def wanted(extra: str, environment: dict[str, str]) -> set[str]:
    """Return the names of the packages of an extra, including those of other extras of mpscnn that it refers to."""
    extras: dict[str, Any] = read_pyproject()["project"]["optional-dependencies"]
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


def holes() -> dict[str, Version]:
    """Return the first versions without a known hole, by package, from the table in SECURITY.md."""
    text = (PROJECT / "SECURITY.md").read_text("utf-8")
    rows = re.findall(
        r"^\| ([\w-]+) \| ([\d.]+) \| ((?:CVE-[\d-]+(?: to \d+)?(?:, )?)+) \|$", text, re.MULTILINE
    )
    assert len(rows) == text.count("| CVE-") > 10
    return {name: Version(first) for name, first, _ in rows}


#: Other files that require packages than pyproject.toml.
OTHERS = (
    "training/*.txt",
    ".ci/*.py",
    ".ci/requirements/*.txt",
    ".github/workflows/*.yml",
    "noxfile.py",
)


def lower_bounds(name: str) -> Iterator[tuple[str, str]]:
    """Yield the files that require a package, and the lowest version that each allows, or its fixed version."""
    requirement = re.compile(rf"(?<![\w/.-]){name}(?:\[[\w,-]+\])? ?[>=]=([\d.]+\d)")
    for path in (PYPROJECT, *(path for pattern in OTHERS for path in sorted(PROJECT.glob(pattern)))):
        for found in requirement.finditer(path.read_text("utf-8")):
            yield path.relative_to(PROJECT).as_posix(), found[1]


def test_no_version_with_a_known_hole_is_allowed() -> None:
    walked = set()
    for name, first in holes().items():
        for file, lowest in lower_bounds(name):
            assert Version(lowest) >= first, f"{file} allows {name} {lowest}, which has a hole until {first}"
            walked.add(name)
    assert walked == holes().keys(), "the table names packages that no file requires"


def test_all_requirements_have_lower_bounds() -> None:
    content = read_pyproject()
    groups = content["project"]["optional-dependencies"] | {
        "dependencies": content["project"]["dependencies"],
        "build": content["build-system"]["requires"],
        "wheels": content["tool"]["cibuildwheel"]["test-requires"],
        "training": (PROJECT / "training" / "requirements.txt").read_text().splitlines(),
    }
    requirements = [
        Requirement(text) for group in groups.values() for text in group if not text.startswith("#")
    ]
    assert len(requirements) > 40
    for requirement in requirements:
        operators = {specifier.operator for specifier in requirement.specifier}
        assert operators & {">=", "=="} or requirement.name == "mpscnn", requirement


def test_one_package_has_one_lower_bound() -> None:
    """Extras, the workflows and the trainings agree."""
    content = read_pyproject()["project"]
    groups = (content["dependencies"], *content["optional-dependencies"].values())
    for name in {Requirement(text).name for group in groups for text in group} - {"mpscnn"}:
        found = {
            file: lowest
            for file, lowest in lower_bounds(name)
            if file.startswith(("pyproject", "training", ".github"))
        }
        assert len(set(found.values())) == 1, (name, found)
