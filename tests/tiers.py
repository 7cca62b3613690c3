"""Say which tests the tiers run: the default tier, "ci" and "full".

The default tier tests this installation. It meets each operation, format, command, refusal and lifetime rule at least
once. `pytest --ci` runs the tests of the tier "ci": those marked `ci` and those of the files below. `pytest --full`
runs everything, also the tests marked `full`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

import pytest
from _pytest.mark import ParameterSet

Case = TypeVar("Case")

#: The files and folders of the tier "ci", by the reason why the default tier leaves them out.
IN_CI_ONLY = {
    "They check the sources and the documents, which are the same on every machine.": (
        "mutation",
        "python/api/test_benchmark_scripts.py",
        "python/api/test_check_wheel.py",
        "python/api/test_child_python.py",
        "python/api/test_dockerfile.py",
        "python/api/test_expected_arguments.py",
        "python/api/test_other_names.py",
        "python/api/test_expected_values.py",
        "python/api/test_notebooks.py",
        "python/api/test_readme.py",
        "python/api/test_scaling_benchmark.py",
        "python/api/test_sign_wheel.py",
        "python/cli/test_cli_polish.py",
        "python/cli/test_expected_commands.py",
        "python/cli/test_help_sentences.py",
        "python/cli/test_instruction_guard.py",
        "python/cli/test_table_width.py",
        "python/cli/test_terminal.py",
        "test_abi.py",
        "test_benchmarks.py",
        "test_catalogue.py",
        "test_docs.py",
        "test_exact_engines.py",
        "test_generated.py",
        "test_includes.py",
        "test_pins.py",
        "test_release.py",
        "test_requirements.py",
        "test_rules_of_tests.py",
        "test_site.py",
        "test_structure.py",
    ),
    "They build programs that use the library.": ("consumer",),
    "They compare with other packages, or with the files of other packages.": (
        "converters/coreml/test_coreml_compared.py",
        "converters/onnx_backend/test_onnx_backend.py",
        "converters/pytorch/test_pytorch_networks.py",
        "converters/pytorch/test_timm_config.py",
        "converters/several_formats/test_composed_operators.py",
        "oracles",
        "python/api/test_conversion_check.py",
        "python/api/test_sklearn.py",
        "training/test_module_parameters.py",
        "training/test_fixed_layers.py",
    ),
    "They draw many combinations.": (
        "converters/coreml/test_coreml_drawn.py",
        "converters/several_formats/test_chains.py",
        "converters/several_formats/test_special_values.py",
        "converters/several_formats/test_written_files.py",
        "ops/test_magnitudes.py",
    ),
    "They damage files, or give them extreme sizes.": (
        "converters/caffe/test_caffe_damage.py",
        "converters/command/test_convert_without_memory.py",
        "converters/keras/test_keras_damage.py",
        "converters/onnx/test_onnx_budget.py",
        "converters/onnx/test_onnx_damage.py",
        "converters/onnx/test_onnx_work.py",
        "converters/several_formats/test_memory.py",
        "converters/several_formats/test_message_memory.py",
        "converters/tensorflow/test_tensorflow_hostile.py",
        "converters/tflite/test_tflite_attacks.py",
        "converters/tflite/test_tflite_budget.py",
        "converters/tflite/test_tflite_damage.py",
        "converters/tflite/test_tflite_work.py",
        "engine/test_enormous_sizes.py",
        "fuzz",
        "python/runner/test_failing_memory.py",
    ),
    "They attack the service, stall its clients, or need a browser or a proxy.": (
        "python/serve/test_serve_attacks.py",
        "python/serve/test_serve_end.py",
        "python/serve/test_serve_guard.py",
        "python/serve/test_serve_limits.py",
        "python/serve/test_serve_log.py",
        "python/serve/test_serve_memory.py",
        "python/serve/test_serve_numbers.py",
        "python/serve/test_serve_page.py",
        "python/serve/test_serve_page_promises.py",
        "python/serve/test_serve_protocol.py",
        "python/serve/test_serve_queue.py",
        "python/video/test_video_cut_off.py",
        "python/video/test_video_stream.py",
    ),
    "They measure, train or stop programs for seconds.": (
        "python/api/test_benchmark.py",
        "python/cli/test_cli_train_folder.py",
        "python/registry/test_download_processes.py",
        "python/runner/test_runner_processes.py",
        "python/runner/test_runner_signals.py",
        "training/test_faults.py",
        "training/test_kills.py",
        "training/test_train_pages.py",
    ),
}


def combinations(*axes: Iterable[Any], every: int) -> list[ParameterSet]:
    """Return all combinations of the axes' values. The default tier runs one of `every` of them.

    It runs each value of each axis with some values of the other axes.
    """
    values = [list(axis) for axis in axes]
    places = list(itertools.product(*(range(len(axis)) for axis in values)))
    kept = {place for place in places if sum(place) % every == 0}
    for position, axis in enumerate(values):
        assert {place[position] for place in kept} == set(range(len(axis))), f"axis {position} lacks a value"
    return [
        pytest.param(
            *(axis[i] for axis, i in zip(values, place, strict=True)),
            marks=() if place in kept else pytest.mark.full,
        )
        for place in places
    ]


def with_full(default: Iterable[Any], full: Iterable[Any]) -> list[Any]:
    """Return parameters that both tiers run, and parameters that only the full tier runs."""
    return [*default, *(pytest.param(value, marks=pytest.mark.full) for value in full)]


def first_and_last(cases: Sequence[Case], key: Callable[[Case], Hashable]) -> list[Case]:
    """Return the first and the last case of each key, in their order."""
    last = {key(case): place for place, case in enumerate(cases)}
    first = {key(case): place for place, case in reversed(list(enumerate(cases)))}
    return [cases[place] for place in sorted({*first.values(), *last.values()})]


def in_ci_only(file: str) -> bool:
    """Return true if the tier "ci" has a file of tests, given by its path in `tests`."""
    return any(f"{file}/".startswith(f"{place}/") for places in IN_CI_ONLY.values() for place in places)
