"""Print the paths of sample photos: `mpscnn classify $(python -m mpscnn.samples cat)`."""

from __future__ import annotations

import sys

from mpscnn import samples
from mpscnn.errors import ParameterError

if __name__ == "__main__":
    try:
        sys.stdout.writelines(f"{samples.photo(name)}\n" for name in sys.argv[1:] or samples.names())
    except ParameterError as error:
        sys.exit(f"error: {error}")
