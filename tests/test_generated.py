"""Test that the files that docs/generate writes are up to date."""

from __future__ import annotations

import json
import re
from typing import Any

import mpscnn
from mpscnn import _core


def test_files_are_up_to_date(generator: dict[str, Any]) -> None:
    written = generator["files"]()
    old = [path.name for path, text in written.items() if path.read_text("utf-8") != text]
    assert not old, "run: python docs/generate"


def test_every_operation_and_kernel_has_a_struct(generator: dict[str, Any]) -> None:
    layers, kernels = generator["cpp_options"].layers(), generator["cpp_options"].kernels()
    for entry in mpscnn.operations():
        assert f'operation = "{entry["name"]}";' in layers
        for parameter in entry["parameters"]:
            assert f'visit("{parameter["name"]}", {parameter["name"]});' in layers
    for entry in json.loads(_core.kernels()):
        assert f'Options<"{entry["name"]}">;' in kernels


def test_every_model_has_facts_and_accuracies_name_their_page(generator: dict[str, Any]) -> None:
    page = generator["models_page"]
    assert list(page.FACTS) == [entry.name for entry in page.CATALOGUE]
    stated = [facts.accuracy for facts in page.FACTS.values() if facts.accuracy != "\N{EM DASH}"]
    assert stated
    for accuracy in stated:
        figure, link = accuracy.split()[0], re.search(r"\((?:(\w+\.md)#|https://)", accuracy)
        assert link is not None, accuracy
        if link[1]:  # a page of this project
            assert f" {figure} " in (page.DOCS / link[1]).read_text("utf-8")
