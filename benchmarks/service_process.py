"""Start `mpscnn serve` in a process, and read its memory. Used by the benchmarks of the service."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit


def start_service(*arguments: str) -> tuple[subprocess.Popen[str], tuple[str, int]]:
    """Start the service on a free port. Return its process, whose stderr is a log of JSON, and its host and port."""
    command = [sys.executable, "-m", "mpscnn", "serve", *arguments, "--port", "0", "--log-format", "json"]
    service = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert service.stderr is not None
    address = urlsplit(json.loads(service.stderr.readline())["address"])
    return service, (str(address.hostname), int(address.port or 0))


def memory(process: int, field: str = "VmRSS") -> int:
    """Return a field of a process's memory statistics in bytes, by default the resident memory."""
    found = re.search(rf"{field}:\s*(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found is not None
    return 1024 * int(found[1])
