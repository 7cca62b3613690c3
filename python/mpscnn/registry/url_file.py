"""Download a user's file once, by its URL, and keep it in the cache."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mpscnn._private.cache_folder import cache_directory
from mpscnn._private.files import is_file
from mpscnn.registry.cache import hold_lock
from mpscnn.registry.download import Client

MAX_BYTES = 100_000_000
MAX_SECONDS = 60.0
_MAX_NAME = 80  # characters


def cached_file(url: str, *, client: Client | None = None) -> Path:
    """Return the path of a URL's file in the cache. The file is downloaded at the first call.

    A download takes at most MAX_BYTES and MAX_SECONDS. Only https is allowed. A file that has changed at its place is
    downloaded again after it has been deleted from the cache.

    Raises DownloadError.
    """
    folder = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    path = cache_directory() / "urls" / folder / _name(url)
    with hold_lock(path):
        if not is_file(path):
            (client or Client()).download_url(url, path, MAX_BYTES, MAX_SECONDS)
    return path


def _name(url: str) -> str:
    """Return the last part of a URL's path as the name of a file, with its suffix."""
    try:
        last = unquote(urlsplit(url).path).rpartition("/")[2]
    except ValueError:  # an incomplete IPv6 address, which the download refuses
        last = ""
    return re.sub(r"[^A-Za-z0-9._-]", "_", last).lstrip(".")[-_MAX_NAME:] or "file"
