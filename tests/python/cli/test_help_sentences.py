"""Texts of `--help` are plain sentences that begin with a verb."""

from __future__ import annotations

from typing import Any

import pytest
import typer.main

import mpscnn
from mpscnn.apps.cli.app import app

ROOT: Any = typer.main.get_command(app)
COMMANDS: dict[str, Any] = {"": ROOT, **ROOT.commands}
#: The verbs that begin texts of commands and options. Add a verb here when a new text needs one.
VERBS = {
    *(
        "Allow",
        "Answer",
        "Change",
        "Check",
        "Combine",
        "Compare",
        "Compute",
        "Continue",
        "Convert",
        "Count",
        "Delete",
    ),
    *(
        "Determine",
        "Distribute",
        "Draw",
        "End",
        "Find",
        "Fold",
        "Give",
        "Keep",
        "Lay",
        "Leave",
        "Let",
        "List",
        "Listen",
    ),
    *(
        "Log",
        "Make",
        "Measure",
        "Merge",
        "Name",
        "Omit",
        "Print",
        "Quantise",
        "Read",
        "Refuse",
        "Return",
        "Run",
        "Say",
        "Serve",
        "Set",
        "Show",
    ),
    *(
        "Sort",
        "Start",
        "Stop",
        "Store",
        "Take",
        "Test",
        "Time",
        "Train",
        "Use",
        "Validate",
        "Write",
        "begin",
        "end",
    ),
    *("keep", "put", "read", "train", "use"),
}
#: These options are fields of the library's classes, whose documentation describes them.
FIELDS = {
    name.replace("_", "-")
    for options in (mpscnn.CompileOptions, mpscnn.RunOptions)
    for name in options.__annotations__
}


def first_word(sentence: str) -> str:
    """Return the verb, which follows a case such as "For a video:"."""
    case, colon, rest = sentence.partition(": ")
    return (rest if colon and case.startswith(("For ", "With ")) else sentence).split()[0].strip(",")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_an_imperative_sentence(name: str) -> None:
    command = COMMANDS[name]
    first = command.help.partition("\n\n")[0].replace("\n", " ")
    assert first_word(first) in VERBS
    for paragraph in command.help.split("\n\n"):
        assert paragraph.startswith("Example: ") or paragraph.rstrip().endswith((".", '"'))
    assert command.get_short_help_str(1000).rstrip().endswith(".")


@pytest.mark.parametrize("name", COMMANDS)
def test_options_are_imperative_sentences(name: str) -> None:
    for parameter in COMMANDS[name].params:
        if "--show-completion" in parameter.opts or "--install-completion" in parameter.opts:
            continue  # an option of Typer
        text = parameter.help
        assert text, parameter.name
        assert text.endswith("."), text
        assert text[0].isupper(), text
        if (
            parameter.param_type_name == "option"
            and not {name.strip("-") for name in parameter.opts} & FIELDS
        ):
            assert first_word(text) in VERBS, text


def test_help_fits_the_terminal(monkeypatch: pytest.MonkeyPatch, command: Any) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for name in COMMANDS:
        shown = command(*filter(None, (name,)), "--help").stdout.splitlines()
        assert max(map(len, shown)) <= 80, name
