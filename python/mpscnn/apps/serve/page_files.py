"""Serve the live page: the files of the folder page/."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response

__all__ = ["PAGE", "add_page", "page_files"]

PAGE = Path(__file__).parent / "page"
_INDEX = "index.html"
_KINDS = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}


def page_files() -> dict[str, Path]:
    """Return the page's files by URL path; "/" is index.html."""
    files = {}
    for path in sorted(PAGE.rglob("*")):
        if path.suffix in _KINDS:
            name = path.relative_to(PAGE).as_posix()
            files["/" if name == _INDEX else f"/{name}"] = path
    return files


def add_page(app: FastAPI) -> frozenset[str]:
    """Add a route for each file of the page. Return the URL paths."""
    files = page_files()
    for address, path in files.items():
        app.add_api_route(address, _file(path), methods=["GET"], include_in_schema=False)
    return frozenset(files)


def _file(path: Path) -> Any:
    content = path.read_bytes()
    kind = _KINDS[path.suffix]

    async def file() -> Any:
        return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})

    return file
