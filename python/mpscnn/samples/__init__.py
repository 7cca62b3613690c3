"""Find the sample photos of the package, for first tries and for the examples of the documentation.

`python -m mpscnn.samples cat` prints the path of a photo for commands. SOURCES.md has the photos' authors and licences.
"""

from __future__ import annotations

from pathlib import Path

from mpscnn._private.other_names import explain_unknown_names
from mpscnn.errors import ParameterError

__all__ = ["names", "photo"]

_FOLDER = Path(__file__).parent / "photos"


def names() -> list[str]:
    """Return the names of the sample photos."""
    return sorted(path.stem for path in _FOLDER.glob("*.jpg"))


def photo(name: str) -> Path:
    """Return the path of a sample photo.

    Args:
        name: "astronaut", "cat" or "coffee".

    Raises:
        ParameterError: no sample photo has this name.
    """
    known = names()
    if name not in known:
        raise ParameterError(f"there is no sample photo {name!r}; there are {', '.join(known)}")
    return _FOLDER / f"{name}.jpg"


explain_unknown_names(__name__)
