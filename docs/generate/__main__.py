"""Write all pages, headers and modules that repeat the tables of the installed package.

Run it after you add or change an operation, an option, a raw kernel, the reader of a format or a model of the registry,
and after you measure docs/performance.md:

    python docs/generate
"""

from __future__ import annotations

from pathlib import Path

import catalogue_page
import cpp_options
import formats_page
import models_page
import neurons
import operations_page
import options_page
import python_kernels

WRITERS = (
    operations_page,
    catalogue_page,
    formats_page,
    models_page,
    options_page,
    cpp_options,
    python_kernels,
    neurons,
)


def files() -> dict[Path, str]:
    """Return the text of each generated file."""
    return {path: text for writer in WRITERS for path, text in writer.files().items()}


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
