"""What of a file cannot be converted, in one error that names all of it."""

from __future__ import annotations

from collections.abc import Callable

from mpscnn.converters.layer_names import shown, shown_kind
from mpscnn.errors import ParameterError, ShapeError, UnsupportedError, WeightsError

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

    def attempt(self, kind: str, name: str, convert: Callable[[], object], *, free_size: bool) -> bool:
        """Calls what converts a layer; False for one that cannot be, which is noted.

        Args:
            kind, name: as for `add`.
            convert: raises UnsupportedError or WeightsError with a reason only, or what a file that contradicts
                itself makes it raise.
            free_size: whether a size of the image could help.

        Raises:
            WeightsError: the file is at fault; names file and layer.
        """
        where = f"{self._origin}: layer {shown(name)} ({shown_kind(kind)})"
        try:
            convert()
        except UnsupportedError as error:
            self.add(kind, name, str(error))
            return False
        except WeightsError as error:
            raise WeightsError(f"{where}: {error}") from error
        except (ParameterError, ShapeError) as error:
            if free_size:
                self.add(kind, name, f"{error}; the size of the image is free: {CHOOSE_SIZE}")
                return False
            # What the layer asks for is the file's fault.
            raise WeightsError(f"{self._origin}: {error}") from error
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            # Operands that are missing, constants of another rank or size: more than is worth a check each.
            raise WeightsError(f"damaged: {where} contradicts itself: {error}") from error
        return True

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
