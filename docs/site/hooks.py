"""Hooks for MkDocs: add pages that are made from other files, and rewrite links that leave docs/.

The added pages are the README as the first page, other pages of the project, the tutorials, and the references. The
photos of the examples are added, too. A link to a source file leads to the repository, whose address is in
MPSCNN_REPOSITORY. Without an address, the link is removed and its text stays. A link to a file that does not exist is
an error.
"""

from __future__ import annotations

import os
import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))
import commands
import dialect
import headers
import notebooks
import python_names

PROJECT = Path(__file__).resolve().parents[2]
#: Pages of the site that are files of the project, by their place on the site.
PROJECT_PAGES = {
    "index.md": "README.md",
    "project/contributing.md": "CONTRIBUTING.md",
    "project/roadmap.md": "ROADMAP.md",
    "project/changelog.md": "CHANGELOG.md",
    "project/security.md": "SECURITY.md",
    "project/conduct.md": "CODE_OF_CONDUCT.md",
    "project/tests.md": "tests/README.md",
    "project/benchmarks.md": "benchmarks/README.md",
}
#: Places of the repository that have a page under another name.
PLACES = {
    **{source: page for page, source in PROJECT_PAGES.items()},
    "docs/README.md": "index.md",
    "docs/ops": "ops/index.md",
    "examples/notebooks": "tutorials/photos.md",
    **{
        f"examples/notebooks/{path.name}": f"tutorials/{path.stem}.md"
        for path in notebooks.TUTORIALS.glob("*.ipynb")
    },
    **{f"cpp/include/mpscnn/{name}": f"reference/c/{name.replace('.', '_')}.md" for name in headers.PAGES},
    "cpp/include/mpscnn/mpscnn.hpp": "reference/c/network_hpp.md",
}
#: Photos of examples, which the site offers at the same place.
PHOTOS = "python/mpscnn/samples/photos"
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Add the pages that are not files of docs/."""

    def add(place: str, content: str | bytes) -> None:
        files.append(File.generated(config, place, content=content))

    for place, source in PROJECT_PAGES.items():
        add(place, (PROJECT / source).read_text("utf-8"))
    for name, text in headers.pages().items():
        add(f"reference/c/{name.replace('.', '_')}.md", text)
    for name, text in python_names.pages().items():
        add(f"reference/python/{name}.md", text)
    add("reference/commands.md", commands.page())
    add("ops/index.md", _index_of_operations(files))
    for photo in sorted((PROJECT / PHOTOS).glob("*.jpg")):
        add(f"{PHOTOS}/{photo.name}", photo.read_bytes())
    _add_tutorials(add)
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite the links of a page to pages of the site or to the repository."""
    place = page.file.src_uri
    if place == "index.md":
        page.meta["hide"] = ["navigation"]  # which would only list this page
    source = PROJECT_PAGES.get(place, f"docs/{place}")
    if place.startswith("tutorials/"):
        source = f"examples/notebooks/{Path(place).stem}.ipynb"
    in_code = re.compile(r"(^ *```.*?^ *```$|`[^`\n]*`)", re.MULTILINE | re.DOTALL)
    return "".join(
        part if part.lstrip().startswith("`") else _LINK.sub(lambda found: _link(found, place, source), part)
        for part in in_code.split(_whole_links(dialect.translate(markdown)))
    )


def _whole_links(markdown: str) -> str:
    """Replace backticks in link texts by <code> tags, so that a search outside of code finds these links."""
    return re.sub(r"\[`([^`\n]*)`\]\(", r"[<code>\1</code>](", markdown)


def _link(found: re.Match[str], place: str, source: str) -> str:
    picture, text, target = found.groups()
    path, sign, anchor = target.partition("#")
    if not path or "://" in path or path.startswith("mailto:"):
        return found[0]
    wanted = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    if wanted.startswith("../"):
        return _to_repository(text, wanted.removeprefix("../"))
    if wanted in PLACES:
        destination = PLACES[wanted]
    elif wanted.startswith(f"{PHOTOS}/") and wanted.endswith(".jpg") and (PROJECT / wanted).exists():
        destination = wanted
    elif wanted.startswith("docs/") and wanted.endswith((".md", ".png", ".svg")):
        destination = wanted.removeprefix("docs/")
    elif (PROJECT / wanted).exists():
        kind = "tree" if (PROJECT / wanted).is_dir() else "blob"
        return _to_repository(text, f"{kind}/main/{wanted}{sign}{anchor}")
    elif place.startswith("tutorials/") and wanted.endswith(".png"):
        return found[0]
    else:
        raise PluginError(f"{source}: the link to {target} leads nowhere")
    return (
        f"{picture}[{text}]({posixpath.relpath(destination, posixpath.dirname(place) or '.')}{sign}{anchor})"
    )


def _to_repository(text: str, place: str) -> str:
    address = os.environ.get("MPSCNN_REPOSITORY", "").rstrip("/")
    return f"[{text}]({address}/{place})" if address else text


def _index_of_operations(files: Files) -> str:
    pages = sorted(file.src_uri for file in files.documentation_pages() if file.src_uri.startswith("ops/"))
    lines = [f"- [{Path(page).stem.replace('_', ' ')}]({Path(page).name})" for page in pages]
    return (
        "\n".join(
            ["# Examples of operations", "", "Find examples of each family of operations here.", "", *lines]
        )
        + "\n"
    )


def _add_tutorials(add: Any) -> None:
    """Add the tutorials as `nox -s docs` has run them; MPSCNN_NOTEBOOKS names the folder."""
    run = os.environ.get("MPSCNN_NOTEBOOKS")
    for notebook in sorted((Path(run) if run else notebooks.TUTORIALS).glob("*.ipynb")):
        if run and not notebooks.was_run(notebook):
            raise PluginError(f"{notebook} was not run")
        text, pictures = notebooks.page(notebook)
        add(f"tutorials/{notebook.stem}.md", text)
        for name, content in pictures.items():
            add(f"tutorials/{name}", content)
