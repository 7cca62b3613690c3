"""The size of an image that a file leaves free, as the caller chooses it."""

from __future__ import annotations

from mpscnn.errors import ParameterError

Extents = tuple[int | None, ...]


def with_size(extents: Extents, size: tuple[int, int] | None, where: str) -> Extents:
    """Return the extents (batch first) of an image with the wanted height and width. Other extents do not change.

    Raises ParameterError for a file that has another size; `where` begins the message.
    """
    if size is None or len(extents) != 4:
        return extents
    for given, wanted in zip(extents[1:3], size, strict=True):
        if given not in (None, wanted):
            raise ParameterError(
                f"{where} is {extents[1]} x {extents[2]} (height x width) in the file; "
                f"{size[0]} x {size[1]} cannot be chosen"
            )
    return (extents[0], *size, extents[3])
