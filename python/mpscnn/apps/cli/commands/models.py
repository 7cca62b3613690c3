"""The command `mpscnn models`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mpscnn import registry
from mpscnn._private.hints import twin_of
from mpscnn._private.summary import bytes_text, text_table
from mpscnn.apps.cli.arguments import JsonOption
from mpscnn.apps.cli.output import show, show_json, table_width


def models(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="List only these models; default: all.")
    ] = None,
    fetch: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Print the path of this model's file. Fetch the file if it is not on this machine.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the models that are known by name.

    A model that is not on this machine is downloaded from its publisher at its first use, and checked by size and
    SHA-256. If the publisher's file has no known size and SHA-256, you must download it yourself; the error at the
    first use shows the address. Model files in the directories of MPSCNN_MODELS can be used by name, too.

    Example: mpscnn models

    Example: mpscnn models deeplab_v3

    Example: ./classify $(mpscnn models --fetch mobilenet_v2) cat.jpg
    """
    if fetch is not None:
        path = str(registry.find(fetch).resolve())
        if as_json:
            show_json({"name": fetch, "path": path})
        else:
            show(path)
        return
    entries = [_describe(entry) for entry in registry.models()]
    known = {entry["name"] for entry in entries}
    entries += [_describe_local(name) for name in registry.names() if name not in known]
    if names:
        if twin := twin_of("command", names[0]):
            raise typer.BadParameter(f"{names[0]!r} is a command of other tools: here it is `{twin}`")
        entries = [_named(name, entries) for name in names]
    if as_json:
        show_json(entries)
    else:
        show(*_table(entries).split("\n"))


def _named(name: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what is known about a model. Raises the errors of `registry.find` for an unknown name."""
    for entry in entries:
        if name in (entry["name"], *entry["aliases"]):
            return entry
    return _describe_local(name)


def _describe(entry: registry.Entry) -> dict[str, Any]:
    location = entry.location()
    return {
        "name": entry.name,
        "aliases": list(entry.aliases),
        "input_size": list(entry.input_size),
        "classes": entry.classes,
        "bytes": entry.size,
        "license": entry.licence,
        "source": entry.publisher,
        "path": None if location is None else str(location),
        "download": not entry.bundled,
    }


def _describe_local(name: str) -> dict[str, Any]:
    path = registry.find(name, download=False)
    return {
        "name": name,
        "aliases": [],
        "input_size": None,
        "classes": None,
        "bytes": path.stat().st_size,
        "license": None,
        "source": "MPSCNN_MODELS",
        "path": str(path),
        "download": False,
    }


def _table(entries: list[dict[str, Any]]) -> str:
    headers = ("name", "input", "classes", "size", "licence", "from", "on this machine")
    rows = [
        (
            entry["name"],
            "x".join(map(str, entry["input_size"])) if entry["input_size"] else "?",
            str(entry["classes"] or "?"),
            "?" if entry["bytes"] is None else bytes_text(entry["bytes"]),
            entry["license"] or "?",
            entry["source"],
            "yes" if entry["path"] else "no",
        )
        for entry in entries
    ]
    return text_table(
        headers, rows, right=(1, 2, 3), drop=("from", "licence", "classes", "size"), width=table_width()
    )
