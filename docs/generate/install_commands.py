"""Write the name that pip installs into all pages and notebooks: `python docs/generate/install_commands.py`.

The name is `mpscnn._private.installation.DISTRIBUTION`. The first release changes it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: A command of pip or uv that installs mpscnn with extras: what is before the name, and the extras.
COMMAND = re.compile(r"((?:pip install|uvx --from) (?:\\?[\"']))(?:mpscnn|\.)(\[[\w,]+\])")


def pages() -> Iterator[Path]:
    """Yield the pages and notebooks that tell how mpscnn is installed."""
    yield from (ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "examples/README.md"))
    yield from sorted((ROOT / "docs").glob("*.md"))
    yield from sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))


def rewritten(text: str, distribution: str) -> str:
    """Return the text of a page with the name that pip installs."""
    return COMMAND.sub(rf"\g<1>{distribution}\g<2>", text)


def main() -> None:
    """Rewrite all pages."""
    sys.path.insert(0, str(ROOT / "python"))
    from mpscnn._private.installation import DISTRIBUTION

    for page in pages():
        if page.is_file() and (text := page.read_text("utf-8")) != (found := rewritten(text, DISTRIBUTION)):
            page.write_text(found, "utf-8")


if __name__ == "__main__":
    main()
