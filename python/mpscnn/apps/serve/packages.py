"""Check that the packages of the extra `serve` are installed."""

from __future__ import annotations

from importlib.util import find_spec

from mpscnn._private.installation import install_command
from mpscnn.errors import UnsupportedError

_PACKAGES = {
    "fastapi": "FastAPI",
    "uvicorn": "uvicorn",
    "httptools": "httptools",
    "python_multipart": "python-multipart",
    "prometheus_client": "prometheus_client",
}


def require_packages() -> None:
    """Raise UnsupportedError, with the command to install them, if packages for serving are missing."""
    missing = [title for name, title in _PACKAGES.items() if find_spec(name) is None]
    if missing:
        raise UnsupportedError(f"serving needs {', '.join(missing)}: {install_command('serve')}")
