"""Check a device in a process of its own, where the system does not let the program mpscnn-check begin.

The library starts Python with this module (mpscnn_set_check_program). It does the same as mpscnn-check.
"""

from __future__ import annotations

import sys

from mpscnn import _core


def main(device: str, request: str) -> int:
    """Run a request of the library, and return the exit status."""
    try:
        _core.check_cases(device, request)
    except Exception as error:
        print(f"mpscnn-check: {error}", file=sys.stderr, flush=True)
        return 1
    return 0
