"""Texts of `--help` are plain sentences that begin with a verb."""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer.main

import mpscnn
from mpscnn.apps.cli.app import app, every_command

ROOT: Any = typer.main.get_command(app)
COMMANDS: dict[str, Any] = {"": ROOT, **every_command()}
#: Words that begin a noun or a case rather than an imperative sentence, and verbs in the third person.
NO_IMPERATIVE = re.compile(
    r"(An?|The|Its?|Of|What|Which|Whether|Where|As|If|In|To|No|Not|Number|Height|Path|File|\w+([^s]s|ing|ed))\b",
    re.I,
)

#: These options are fields of the library's classes, whose documentation describes them.
FIELDS = {
    name.replace("_", "-")
    for options in (mpscnn.CompileOptions, mpscnn.RunOptions)
    for name in options.__annotations__
}


def is_imperative(sentence: str) -> bool:
    """Return whether the sentence begins with a verb, which may follow a case such as "For a video:"."""
    case, colon, rest = sentence.partition(": ")
    stated = rest if colon and case.startswith(("For ", "With ")) else sentence
    return NO_IMPERATIVE.match(stated) is None


@pytest.mark.parametrize(
    "text", ["The folder.", "Number of epochs.", "Prints the version.", "Whether to stop."]
)
def test_other_sentences_are_noticed(text: str) -> None:
    assert not is_imperative(text)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_an_imperative_sentence(name: str) -> None:
    command = COMMANDS[name]
    first = command.help.partition("\n\n")[0].replace("\n", " ")
    assert is_imperative(first)
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
            assert is_imperative(text), text


def test_help_fits_the_terminal(monkeypatch: pytest.MonkeyPatch, command: Any) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for name in COMMANDS:
        shown = command(*filter(None, (name,)), "--help").stdout.splitlines()
        assert max(map(len, shown)) <= 80, name
