"""Translate GitHub's Markdown to the dialect of Python-Markdown, which MkDocs uses.

Python-Markdown needs an empty line before a list or a table, and four spaces before the content of a list item. In
`weights [out][in]` it would take the second bracket for the name of a link.
"""

from __future__ import annotations

import re

_FENCE = re.compile(r" *```")
_ITEM = re.compile(r" *(?:[-*+]|\d+\.) ")
_INDENT = re.compile(r" {2,3}(?=\S)")
_CODE = re.compile(r"(`[^`\n]*`)")


def translate(markdown: str) -> str:
    """Return the text with the empty lines, indents and escapes that Python-Markdown needs."""
    lines: list[str] = []
    in_code = in_list = False
    for line in markdown.splitlines():
        previous = lines[-1] if lines else ""
        if _FENCE.match(line):
            in_code = not in_code
        elif not in_code:
            is_item = bool(_ITEM.match(line))
            if is_item and not in_list and previous:
                lines.append("")
            if line.startswith("|") != previous.startswith("|") and line and previous:
                lines.append("")
            in_list = is_item or (in_list and (not line or line.startswith("  ") or bool(previous)))
            if in_list:
                line = _INDENT.sub("    ", line)
            line = _escaped(line)
        lines.append(line)
    return "\n".join(lines) + "\n"


def _escaped(line: str) -> str:
    parts = _CODE.split(line)
    return "".join(part if part.startswith("`") else part.replace("][", r"]\[") for part in parts)
