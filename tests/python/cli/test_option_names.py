"""Option names are the same in all commands, in the service and in Python."""

from __future__ import annotations

import inspect
from typing import Any, Literal, get_args, get_origin

import pytest
import typer
from command_line import call
from typer.testing import CliRunner

import mpscnn
from mpscnn.apps.cli.app import every_command
from mpscnn.apps.cli.option_groups import COMPILE, RUN, _kind, add_options
from mpscnn.runtime.options import CompileOptions, RunOptions

COMMANDS = every_command()
OPTIONS = [
    (command, option)
    for command, described in COMMANDS.items()
    for option in described.params
    if option.param_type_name == "option"
]
ALIASES = [
    ["--output", "-o"],
    ["--score-threshold", "--threshold", "--conf"],
    ["--iou-threshold", "--iou"],
]


def test_an_option_has_the_same_names_everywhere() -> None:
    names: dict[str, set[tuple[str, ...]]] = {}
    for _, option in OPTIONS:
        for name in option.opts:
            names.setdefault(name, set()).add(tuple(option.opts))
    assert {name: found for name, found in names.items() if len(found) > 1} == {}
    for aliases in ALIASES:
        assert names[aliases[0]] == {tuple(aliases)}


@pytest.mark.parametrize("task", ["classify", "detect", "segment"])
def test_the_service_and_the_commands_name_options_as_python_does(task: str) -> None:
    pytest.importorskip("fastapi", reason="fastapi is not installed")
    from mpscnn.apps.serve.photo_routes import _TASKS

    python = set(inspect.signature(getattr(mpscnn.Model, task)).parameters)
    commands = {option.name for command, option in OPTIONS if command == task}
    service = set(_TASKS[f"/v1/{task}"][2])
    assert service <= python
    assert service <= commands


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("precision", "'check-precision' or 'compare-precisions'"),
        ("clasify", "'classify'"),
    ],
)
def test_unknown_commands_get_a_suggestion(
    given: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(given, "model.safetensors") == 2
    assert f"No such command '{given}'; did you mean {expected}?" in capsys.readouterr().err
    assert call("unrelated-name") == 2
    assert "did you mean" not in capsys.readouterr().err


def test_a_command_gets_each_value_that_an_option_offers() -> None:
    got: dict[str, Any] = {}

    @add_options(only=[*COMPILE.fields, *RUN.fields])
    def probe(program: CompileOptions = COMPILE, session: RunOptions = RUN) -> None:
        got.update({**vars_of(program), **vars_of(session)})

    probed = typer.Typer()
    probed.command()(probe)
    choices = [
        (field, choice)
        for group in (COMPILE, RUN)
        for field in group.fields
        if get_origin(kind := _kind(group, field)) is Literal
        for choice in get_args(kind)
    ]
    assert {"precision", "weights", "metal_kernels"} <= {field for field, _ in choices}
    for field, value in choices:
        result = CliRunner().invoke(probed, [f"--{field.replace('_', '-')}", value])
        assert result.exit_code == 0, result.output
        assert got[field] == value


def vars_of(group: CompileOptions | RunOptions) -> dict[str, Any]:
    return {name: getattr(group, name) for name in group.fields}
