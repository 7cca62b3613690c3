"""The words of the error message if the package onnx is missing for a format."""

from __future__ import annotations

from typing import TypedDict


class Packages(TypedDict):
    """The words of an error message about a missing package for a format.

    Attributes:
        needed_for: the kind of files that is read.
        extra: the extra of mpscnn that installs the packages.
    """

    needed_for: str
    extra: str
