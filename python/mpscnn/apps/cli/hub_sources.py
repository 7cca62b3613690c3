"""Let commands that read files take names of the hub in their place."""

from __future__ import annotations

from pathlib import Path

from mpscnn.apps.cli.output import hint
from mpscnn.registry.hub import find_on_hub, is_hub_name


def local_source(source: Path) -> Path:
    """Return a file to convert, which is downloaded if it is a name of the hub. Its commit and hash are printed."""
    if not is_hub_name(str(source)):
        return source
    found = find_on_hub(str(source))
    hint(f"from {found.record}")
    return found.path
