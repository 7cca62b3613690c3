"""What of a file cannot be converted, in one error that names all of it."""

from __future__ import annotations

from mpscnn.converters.layer_names import shown, shown_kind
from mpscnn.errors import UnsupportedError

CHOOSE_SIZE = "choose one with --size (size= in Python)"
"""For reasons that are only there because a file leaves the size of its image free."""

# Enough for what people can read. A damaged file may have thousands.
_MAX_LINES = 50
_MAX_NAMES = 5


class UnsupportedLayers:
    """Layers of one file, with the reasons why they cannot be converted.

    Args:
        origin: the file; begins the message.
    """

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._names: dict[tuple[str, str], list[str]] = {}

    def add(self, kind: str, name: str, reason: str) -> None:
        """Notes a layer: what the file's format calls its operation, and its name in the file."""
        self._names.setdefault((kind, reason), []).append(name)

    def __bool__(self) -> bool:
        return bool(self._names)

    def error(self) -> UnsupportedError:
        """One line if there is one reason, else a line for each, in the order of the file."""
        lines = [_line(kind, names, reason) for (kind, reason), names in self._names.items()]
        if len(lines) == 1:
            return UnsupportedError(f"{self._origin}: {lines[0]}")
        if len(lines) > _MAX_LINES:
            lines[_MAX_LINES:] = [f"and {len(lines) - _MAX_LINES} more"]
        count = sum(len(names) for names in self._names.values())
        return UnsupportedError("\n  ".join([f"{self._origin}: {count} layers cannot be converted:", *lines]))


def _line(kind: str, names: list[str], reason: str) -> str:
    listed = ", ".join(shown(name) for name in names[:_MAX_NAMES])
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return f"{'layer' if len(names) == 1 else 'layers'} {listed}{more} ({shown_kind(kind)}): {reason}"
