"""Option names are the same in all commands, in the service and in Python."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from command_line import call
from typer.main import get_command

import mpscnn
from mpscnn.apps.cli.app import app

COMMANDS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
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
NAMES = {
    "compare": "compare two models",
    "check-precision": "lower precision changes the results of each layer",
    "compare-precisions": "compare all precisions",
    "verify": "test whether a device",
    "convert": "convert",
}


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


@pytest.mark.parametrize("command", NAMES)
def test_the_five_comparisons_say_what_they_are(command: str) -> None:
    assert NAMES[command] in COMMANDS[command].get_short_help_str(1000).lower()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("check", "'check-precision'"),
        ("precision", "'check-precision' or 'compare-precisions'"),
        ("clasify", "'classify'"),
    ],
)
def test_unknown_commands_get_a_suggestion(
    given: str, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, given, "model.safetensors") == 2
    assert f"No such command '{given}'; did you mean {expected}?" in capsys.readouterr().err
    assert call(monkeypatch, "unrelated-name") == 2
    assert "did you mean" not in capsys.readouterr().err
