"""Collect all parts of a file that cannot be converted, for one error that names them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mpscnn._private.printable import printable
from mpscnn.converters.layer_names import shown, shown_kind
from mpscnn.errors import ParameterError, ShapeError, UnsupportedError, WeightsError

CHOOSE_SIZE = "choose one with --size (size= in Python)"
"""For reasons that are only there because a file leaves the size of its image free."""

STOP_BEFORE = "stop before it with --outputs (outputs= in Python), or replace it in the source network"


@dataclass(frozen=True)
class UnsupportedLayer:
    """A layer of a file that cannot be converted.

    Attributes:
        name: in the file.
        kind: what the file's format calls its operation.
        reason: why not.
    """

    name: str
    kind: str
    reason: str

    @property
    def remedy(self) -> str:
        """The advice for a user."""
        return CHOOSE_SIZE if CHOOSE_SIZE in self.reason else STOP_BEFORE


class UnsupportedLayersError(UnsupportedError):
    """Names the layers of a file that cannot be converted; `layers` lists them in the order of the file."""

    def __init__(self, message: str, layers: Sequence[UnsupportedLayer]) -> None:
        super().__init__(message)
        self.layers = list(layers)


def report(layers: Sequence[UnsupportedLayer], notes: Sequence[str]) -> str:
    """Lines of four columns, separated by tabs, and the notes of what was converted; a terminal may show them."""
    lines = ["node\toperator\treason\twhat to do"]
    for layer in layers:
        reason = printable(layer.reason.replace("\n", " ").replace("\t", " "))
        lines.append("\t".join([shown(layer.name)[1:-1], shown_kind(layer.kind), reason, layer.remedy]))
    lines += [f"# {printable(note)}" for note in notes]
    return "\n".join([*lines, f"# {len(layers)} layers cannot be converted", ""])


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
        self._layers: list[UnsupportedLayer] = []

    def add(self, kind: str, name: str, reason: str) -> None:
        """Note a layer: what the file's format calls its operation, and its name in the file."""
        self._layers.append(UnsupportedLayer(name, kind, reason))

    def attempt(self, kind: str, name: str, convert: Callable[[], object], *, free_size: bool) -> bool:
        """Call what converts a layer; False for one that cannot be, which is noted.

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
            # Most messages name the layer.
            reason = str(error).removeprefix(f"layer {shown(name)}: ")
            if free_size:
                self.add(kind, name, f"{reason}; the size of the image is free: {CHOOSE_SIZE}")
                return False
            if isinstance(error, ParameterError):
                # Other engines may take what layers here do not: an epsilon below 0, windows of 0 rows.
                self.add(kind, name, f"{reason}, which is not supported")
                return False
            raise WeightsError(
                f"{self._origin if reason.startswith('layer ') else where}: {reason}"
            ) from error
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            # Operands that are missing, constants of another rank or size: more than is worth a check each.
            raise WeightsError(
                f"damaged: {where} contradicts itself: its inputs, settings and weights do not fit each other"
            ) from error
        return True

    def joined(self, error: UnsupportedLayersError, stand_in: str) -> UnsupportedLayersError:
        """Return the layers of an error. Layers of this list have the kind `stand_in` in it."""
        known = {layer.name: layer for layer in self._layers}
        joined = UnsupportedLayers(self._origin)
        joined._layers = [known.get(one.name, one) if one.kind == stand_in else one for one in error.layers]
        return joined.error()

    def __bool__(self) -> bool:
        return bool(self._layers)

    def error(self) -> UnsupportedLayersError:
        """One line if there is one reason, else a line for each, in the order of the file."""
        names: dict[tuple[str, str], list[str]] = {}
        for layer in self._layers:
            names.setdefault((layer.kind, layer.reason), []).append(layer.name)
        lines = [_line(kind, alike, reason) for (kind, reason), alike in names.items()]
        if len(lines) == 1:
            return UnsupportedLayersError(f"{self._origin}: {lines[0]}", self._layers)
        if len(lines) > _MAX_LINES:
            lines[_MAX_LINES:] = [f"and {len(lines) - _MAX_LINES} more"]
        head = f"{self._origin}: {len(self._layers)} layers cannot be converted:"
        return UnsupportedLayersError("\n  ".join([head, *lines]), self._layers)


def _line(kind: str, names: list[str], reason: str) -> str:
    listed = ", ".join(shown(name) for name in names[:_MAX_NAMES])
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return f"{'layer' if len(names) == 1 else 'layers'} {listed}{more} ({shown_kind(kind)}): {reason}"
