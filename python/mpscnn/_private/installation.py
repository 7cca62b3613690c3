"""Say how extra packages of mpscnn are installed."""

from __future__ import annotations

#: What pip installs: "." in a clone of the sources, and "mpscnn" as soon as a release is in the package index. The
#: release sets it, and then `python docs/generate/install_commands.py` writes it into all pages.
DISTRIBUTION = "."


def install_command(*extras: str) -> str:
    """Return the command that installs mpscnn with these extras."""
    command = f"pip install '{DISTRIBUTION}[{','.join(extras)}]'"
    return f"{command} in the folder of its sources" if DISTRIBUTION == "." else command
