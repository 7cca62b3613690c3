"""Define the exceptions of mpscnn. Each one is also a subclass of the similar built-in exception."""

from __future__ import annotations

__all__ = [
    "DeviceError",
    "DownloadError",
    "Error",
    "ImageError",
    "ParameterError",
    "ShapeError",
    "StateError",
    "UnsupportedError",
    "WeightsError",
]


# The maximum number of characters of a message, and those that stay at its ends. The same is in cpp/core/failure.cpp.
_LONGEST, _BEGIN, _END = 2000, 1200, 700


class Error(Exception):
    """Base class of all errors that mpscnn raises deliberately.

    Messages of more than 2,000 characters are shortened in the middle: a name in a file may have megabytes.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(_shortened(one) if isinstance(one, str) else one for one in args))


class ShapeError(Error, ValueError):
    """An array, tensor or image has a rank, size or channel count that does not fit."""


class ParameterError(Error, ValueError):
    """An option, name or operation parameter has a value that is not allowed."""


class WeightsError(Error, ValueError):
    """A weights or model file is damaged, incomplete, or does not belong to the network."""


class DeviceError(Error, RuntimeError):
    """A device is missing on this machine, failed, or ran out of memory."""


class UnsupportedError(Error, NotImplementedError):
    """The request is valid, but the chosen engine, device or converter does not support it."""


class StateError(Error, RuntimeError):
    """An object is used at the wrong time: closed, unfinished, or busy in another thread."""


class ImageError(Error, ValueError):
    """A photo, or an IDX file of photos or labels, cannot be read or decoded."""


class DownloadError(Error, OSError):
    """A published model file cannot be downloaded or stored in the cache."""


def _shortened(message: str) -> str:
    if len(message) <= _LONGEST:
        return message
    return f"{message[:_BEGIN]} ... ({len(message) - _BEGIN - _END} characters) ... {message[-_END:]}"
