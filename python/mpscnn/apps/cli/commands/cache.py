"""The command `mpscnn cache`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mpscnn._private.names import did_you_mean
from mpscnn._private.summary import text_table
from mpscnn.apps.cli.arguments import JsonOption
from mpscnn.apps.cli.output import show, show_json, table_width
from mpscnn.errors import ParameterError
from mpscnn.registry.cache import cache_directory
from mpscnn.registry.cache_content import CACHES, Cache


def cache(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAMES]...", help="Caches to list or delete (default: all)."),
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the files of these caches.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the files that mpscnn keeps on this machine, or delete them.

    A deleted file is made, measured or downloaded again when it is needed. The folder is that of MPSCNN_CACHE,
    otherwise the platform's.

    Example: mpscnn cache coreml self_check --delete
    """
    rows = [_row(one, delete) for one in _named(names or [])]
    if as_json:
        show_json({"path": str(cache_directory()), "deleted": delete, "caches": rows})
        return
    cells = [(row["name"], row["content"], str(row["files"]), f"{row['bytes'] / 1e6:.1f}") for row in rows]
    heads = ("cache", "content", "files", "MB")
    show(f"{'Deleted from' if delete else 'Folder'}: {cache_directory()}")
    show(*text_table(heads, cells, width=table_width()).split("\n"))


def _named(names: list[str]) -> list[Cache]:
    known = {one.name: one for one in CACHES}
    for name in names:
        if name not in known:
            raise ParameterError(
                f"there is no cache {name!r}{did_you_mean(name, list(known))}; the caches are {', '.join(known)}"
            )
    return [known[name] for name in dict.fromkeys(names)] or list(CACHES)


def _row(one: Cache, delete: bool) -> dict[str, Any]:
    if delete:
        count, size = one.delete()
    else:
        sizes = [path.lstat().st_size for path in one.files()]
        count, size = len(sizes), sum(sizes)
    return {"name": one.name, "content": one.content, "files": count, "bytes": size}
