"""Write the reference of the command line as Markdown, from the commands themselves."""

from __future__ import annotations

import re
from typing import Any

from mpscnn.apps.cli.app import every_command


def page() -> str:
    """Return the page of all commands."""
    parts = [
        "# Command line",
        "Look up here every command of `mpscnn`, its arguments and its options.",
        "`mpscnn --help` and `mpscnn COMMAND --help` print the same in a terminal.",
    ]
    for name, command in sorted(every_command().items()):
        parts += _command(name, command)
    return "\n\n".join(parts) + "\n"


def _command(name: str, command: Any) -> list[str]:
    context = command.make_context(name, [], resilient_parsing=True)
    usage = " ".join(["mpscnn", name, *command.collect_usage_pieces(context)])
    parts = [f"## {name}", f"```text\n{usage}\n```", _help(command.help or "")]
    rows = [row for parameter in command.params if (row := _row(parameter, context))]
    if rows:
        parts.append("\n".join(["| argument or option | meaning |", "|---|---|", *rows]))
    return parts


def _help(text: str) -> str:
    """Return a help text as Markdown: neighbouring examples are one block of code."""
    text = re.sub(r"^Example: (.+)$", r"```sh\n\1\n```", text, flags=re.MULTILINE)
    return text.replace("\n```\n\n```sh\n", "\n")


def _row(parameter: Any, context: Any) -> str | None:
    if parameter.param_type_name == "option":
        if parameter.hidden:
            return None
        record = parameter.get_help_record(context)
        names, meaning = record if record else (", ".join(parameter.opts), "")
    else:
        names, meaning = parameter.name.upper(), parameter.help or ""
    meaning = re.sub(r"\s+", " ", meaning).replace("|", r"\|").replace("<", "&lt;")
    return f"| `{names.replace('|', ' or ')}` | {meaning} |"
