"""Set the free height and width of an image input to the size that the caller chose."""

from __future__ import annotations

from mpscnn.errors import ParameterError

Extents = tuple[int | None, ...]


def set_size(extents: Extents, size: tuple[int, int] | None, where: str) -> Extents:
    """Return the extents (n, height, width, channels) with the chosen height and width. Other ranks stay unchanged.

    Raises ParameterError if the file states another size; `where` begins the message.
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
