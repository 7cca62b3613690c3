"""The command `mpscnn devices`."""

from __future__ import annotations

from typing import Any

from mpscnn._private.summary import text_table
from mpscnn.apps.cli.arguments import JsonOption
from mpscnn.apps.cli.output import show, show_json, table_width
from mpscnn.runtime.library import devices as listed_devices


def devices(as_json: JsonOption = False) -> None:
    """List the devices of this machine for --device, with the precisions of each.

    If a device cannot be used, the reason is printed.

    Example: mpscnn devices
    """
    listed = listed_devices()
    if as_json:
        show_json(listed)
        return
    rows = [(device["name"], _what(device), ", ".join(device.get("precisions", []))) for device in listed]
    show(*text_table(("device", "what", "precisions"), rows, width=table_width()).split("\n"))


def _what(device: dict[str, Any]) -> str:
    if not device["available"]:
        return f"not available: {device['reason']}"
    said = [str(device["description"])]
    if "processors" in device:
        said.append(_processors(device["processors"]))
    if "no_bfloat16" in device:
        said.append(f"no bfloat16: {device['no_bfloat16']}")
    return "; ".join(said)


def _processors(found: dict[str, Any]) -> str:
    """Describe the processors that determine the default number of threads."""
    quota = "" if found["quota"] is None else f", a quota of {found['quota']:.3g} processors"
    own = f"{_count(found['cores'], 'core')}, {_count(found['processors'], 'processor')}{quota}"
    return f"{own}: {_count(found['threads'], 'thread')}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
