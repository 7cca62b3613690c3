"""Let commands that read files take names of the hub in their place."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mpscnn.apps.cli.output import hint
from mpscnn.registry.hub import find_on_hub, is_hub_name


def local_sources(sources: Iterable[Path]) -> tuple[list[Path], str]:
    """Return the files to convert, and where those of the hub are from: the names with commit and hash.

    Names of the hub are downloaded. Their commits and hashes are printed.
    """
    files, records = [], []
    for source in sources:
        if not is_hub_name(str(source)):
            files.append(source)
            continue
        found = find_on_hub(str(source))
        hint(f"from {found.record}")
        files.append(found.path)
        records.append(found.record)
    return files, ", ".join(records)
