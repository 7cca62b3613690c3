"""Serve pages: the live page in the folder page/, and the description of the interface, /openapi.json and /docs."""

from __future__ import annotations

import base64
import functools
import hashlib
from html import escape
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response

from mpscnn.apps.serve.responses import JSON, json_bytes
from mpscnn.samples import photo

PAGE = Path(__file__).parent / "page"
_INDEX = "index.html"
#: The names of the sample photos that the page offers.
SAMPLES = ("cat", "coffee")
_KINDS = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}


def page_files() -> dict[str, Path]:
    """Return the page's files and its sample photos by URL path; "/" is index.html."""
    files = {}
    for path in sorted(PAGE.rglob("*")):
        if path.suffix in _KINDS:
            name = path.relative_to(PAGE).as_posix()
            files["/" if name == _INDEX else f"/{name}"] = path
    for sample in SAMPLES:
        path = photo(sample)
        files[f"/{path.name}"] = path
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


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "code{font:.95em ui-monospace,monospace}h2{font-size:1.1rem;margin:2rem 0 .3rem}td,th{text-align:left;"
    "padding:.1rem 1rem .1rem 0;vertical-align:top}"
)


def add_reference(app: FastAPI) -> None:
    """Add the routes /openapi.json and /docs. Their answers are built once."""

    @functools.cache
    def page() -> str:
        return _page(app.openapi())

    @functools.cache
    def described() -> bytes:
        return json_bytes(app.openapi())

    async def description() -> Any:
        return Response(described(), media_type=JSON)

    async def reference() -> Any:
        digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
        policy = f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'; base-uri 'none'"
        return Response(page(), media_type="text/html", headers={"Content-Security-Policy": policy})

    app.add_api_route("/openapi.json", description, methods=["GET"], include_in_schema=False)
    app.add_api_route("/docs", reference, methods=["GET"], include_in_schema=False)


def _page(schema: dict[str, Any]) -> str:
    title = escape(schema["info"]["title"])
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{title}</h1><p>{escape(schema['info'].get('description', ''))}</p>"
        '<p>For programs: <a href="openapi.json">openapi.json</a></p>'
    ]
    for path, methods in schema["paths"].items():
        for method, about in methods.items():
            parts.append(f"<h2><code>{method.upper()} {escape(path)}</code></h2>")
            parts.append(f"<p>{escape(about.get('summary', ''))}</p>")
            rows = [_row(parameter) for parameter in about.get("parameters", ())]
            if rows:
                parts.append(f"<table>{''.join(rows)}</table>")
            statuses = ", ".join(about["responses"])
            kinds = about.get("requestBody", {}).get("content", {})
            if kinds:
                parts.append(f"<p>Body: <code>{escape(', '.join(kinds))}</code></p>")
            parts.append(f"<p>Statuses: <code>{escape(statuses)}</code></p>")
    return "".join(parts)


def _row(parameter: dict[str, Any]) -> str:
    schema = parameter.get("schema", {})
    kind = schema.get("type", "")
    default = f", default {schema['default']}" if "default" in schema else ""
    return (
        f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{escape(parameter['in'])}</td>"
        f"<td>{escape(f'{kind}{default}')}</td><td>{escape(parameter.get('description', ''))}</td></tr>"
    )
