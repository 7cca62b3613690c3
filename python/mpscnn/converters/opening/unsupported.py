"""Collect all parts of a file that cannot be converted, for one error that names them and the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from mpscnn._private.printable import printable
from mpscnn.converters.opening.layer_names import display_kind, quote_name
from mpscnn.errors import ParameterError, ShapeError, UnsupportedError, WeightsError

CHOOSE_SIZE = "choose one with --size (size= in Python)"
"""The advice for layers that cannot be converted only because the file leaves the size of its image free."""

CHOOSE_SHAPE = "--shape (shapes= in Python)"
"""The option for inputs whose extents must be known."""

CHOOSE_EXTENTS = f"choose a shape for the input with {CHOOSE_SHAPE}"
"""The advice for layers that cannot be converted only because the file leaves other extents of its inputs free."""

ONE_IMAGE = f"choose a batch of 1 with {CHOOSE_SHAPE}"
"""The advice for layers that combine images of a batch."""

STOP_BEFORE = "stop before it with --outputs (outputs= in Python), or replace it in the source network"
"""The advice for layers of files that mpscnn does not have."""

REPLACE_IN_MODULE = (
    'replace it in the module, or let torch.compile(module, backend="mpscnn") leave it to PyTorch'
)
"""The same for modules of PyTorch."""

OTHER_FORMAT = "write another kind of file, or leave it out of the network"
"""The advice for layers that a kind of file cannot hold."""


class MixedImagesError(UnsupportedError):
    """An operation combines or reorders images of a batch, so that the result for an image depends on other images."""


@dataclass(frozen=True)
class UnsupportedLayer:
    """A layer of a file that cannot be converted.

    Attributes:
        name: the layer's name in the file.
        kind: the name of its operation in the file's format.
        reason: why the layer cannot be converted.
        mixes_images: whether the reason is a MixedImagesError.
    """

    name: str
    kind: str
    reason: str
    mixes_images: bool = False

    @property
    def remedy(self) -> str:
        """The advice for a user."""
        return next((one for one in (CHOOSE_SIZE, CHOOSE_EXTENTS) if one in self.reason), STOP_BEFORE)

    @property
    def has_advice(self) -> bool:
        """True if the reason itself says what to do: after a colon, or by naming what is supported."""
        return any(part in self.reason for part in (": ", "supported are ", "supported is "))


class UnsupportedLayersError(UnsupportedError):
    """The error for a file with layers that cannot be converted; `layers` lists them in the order of the file."""

    def __init__(self, message: str, layers: Sequence[UnsupportedLayer]) -> None:
        super().__init__(message)
        self.layers = list(layers)


def report(layers: Sequence[UnsupportedLayer], notes: Sequence[str]) -> str:
    """Return a text with a line of four tab-separated columns for each layer, and the notes of the conversion.

    Control characters are escaped, so that the text is safe to print on a terminal.
    """
    lines = ["node\toperator\treason\twhat to do"]
    for layer in layers:
        reason = printable(layer.reason.replace("\n", " ").replace("\t", " "))
        lines.append(
            "\t".join([quote_name(layer.name)[1:-1], display_kind(layer.kind), reason, layer.remedy])
        )
    lines += [f"# {printable(note)}" for note in notes]
    return "\n".join([*lines, f"# {len(layers)} layers cannot be converted", ""])


# The maximum number of lines, and of layers' names in a line, of a message. A damaged file may have thousands.
_MAX_LINES = 50
_MAX_NAMES = 5


class UnsupportedLayers:
    """Collects the layers of one file that cannot be converted, with the reasons.

    Args:
        origin: the name of the file, which begins the message.
        free_shape: whether the file leaves extents of inputs free that are not the height and width of an image.
        advice: what a user can do about layers whose reason has no advice.
    """

    def __init__(self, origin: str, *, free_shape: bool = False, advice: str = STOP_BEFORE) -> None:
        self._origin = origin
        self._advice = advice
        self._free_shape = free_shape
        self._layers: list[UnsupportedLayer] = []

    def add(self, kind: str, name: str, reason: str, *, mixes_images: bool = False) -> None:
        """Add a layer: the name of its operation in the file's format, its own name, and the reason."""
        if self._free_shape:
            reason = reason.replace(CHOOSE_SIZE, CHOOSE_EXTENTS)
        self._layers.append(UnsupportedLayer(name, kind, reason, mixes_images))

    def attempt(self, kind: str, name: str, convert: Callable[[], object], *, free_size: bool) -> bool:
        """Convert a layer by calling `convert`. If the layer is not supported, add it and return False.

        Args:
            kind, name: as for `add`.
            convert: converts the layer. Messages of its UnsupportedError and WeightsError have only the reason. It may
                raise other errors (KeyError, ValueError, ...) if the file contradicts itself.
            free_size: whether the file leaves the size of its image free. Choosing a size could then help.

        Raises:
            WeightsError: the file is damaged; the message names the file and the layer.
        """
        where = f"{self._origin}: layer {quote_name(name)} ({display_kind(kind)})"
        try:
            convert()
        except UnsupportedError as error:
            self.add(kind, name, str(error), mixes_images=isinstance(error, MixedImagesError))
            return False
        except WeightsError as error:
            reason = str(error).removeprefix("damaged: ")  # a size that is free may be the only fault
            if self._free_shape:
                self.add(kind, name, f"{reason}; extents of the file's inputs are free: {CHOOSE_EXTENTS}")
                return False
            if free_size:
                self.add(kind, name, f"{reason}; the size of the image is free: {CHOOSE_SIZE}")
                return False
            raise WeightsError(f"{where}: {error}") from error
        except (ParameterError, ShapeError) as error:
            # Most messages begin with the layer's name, which is added elsewhere.
            reason = str(error).removeprefix(f"layer {quote_name(name)}: ")
            if free_size:
                self.add(kind, name, f"{reason}; the size of the image is free: {CHOOSE_SIZE}")
                return False
            if isinstance(error, ParameterError):
                # Other engines may accept settings that mpscnn refuses: an epsilon below 0, windows of 0 rows.
                self.add(kind, name, f"{reason}, which is not supported")
                return False
            raise WeightsError(
                f"{self._origin if reason.startswith('layer ') else where}: {reason}"
            ) from error
        except AssertionError as error:
            self.add(kind, name, f"meets an error in mpscnn, which its developers should know ({error})")
            return False
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            if self._free_shape:
                self.add(kind, name, f"does not fit inputs with free extents: {CHOOSE_EXTENTS}")
                return False
            # Missing operands, or constants of a wrong rank or size: these errors replace many separate checks.
            raise WeightsError(
                f"damaged: {where} contradicts itself: its inputs, settings and weights do not fit each other"
            ) from error
        return True

    def __bool__(self) -> bool:
        return bool(self._layers)

    def error(self) -> UnsupportedLayersError:
        """Return the error. Its message has one line for each reason, in the order of the file, and what to do."""
        names: dict[tuple[str, str], list[str]] = {}
        for layer in self._layers:
            names.setdefault((layer.kind, layer.reason), []).append(layer.name)
        lines = [_line(kind, alike, reason) for (kind, reason), alike in names.items()]
        lacks_advice = not all(layer.has_advice for layer in self._layers)
        if len(lines) == 1:
            advice = f": {self._advice}" if lacks_advice else ""
            return UnsupportedLayersError(f"{self._origin}: {lines[0]}{advice}", self._layers)
        if len(lines) > _MAX_LINES:
            lines[_MAX_LINES:] = [f"and {len(lines) - _MAX_LINES} more"]
        lines += [f"what to do: {self._advice}"] if lacks_advice else []
        head = f"{self._origin}: {len(self._layers)} layers cannot be converted:"
        return UnsupportedLayersError("\n  ".join([head, *lines]), self._layers)


def _line(kind: str, names: list[str], reason: str) -> str:
    listed = ", ".join(quote_name(name) for name in names[:_MAX_NAMES])
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return f"{'layer' if len(names) == 1 else 'layers'} {listed}{more} ({display_kind(kind)}): {reason}"


@contextmanager
def prefix_errors(origin: str, *others: str) -> Iterator[None]:
    """Add `origin` to the front of error messages that do not begin with it. The exception's class does not change.

    Messages that begin with one of the other names stay as they are.
    """
    names = (origin, *others)
    try:
        yield
    except (ParameterError, ShapeError, UnsupportedError, WeightsError) as error:
        if str(error).startswith((*names, *(f"damaged: {name}" for name in names))) or not error.args:
            raise
        error.args = (f"{origin}: {error}", *error.args[1:])
        raise
