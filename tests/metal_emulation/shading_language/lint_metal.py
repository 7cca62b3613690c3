"""Check the types of a shader a second time: clang compiles it as C++ for OpenCL, which has Metal's address spaces.

This finds faults that C++ does not find: a pointer to threadgroup memory passed as one to device memory, a write to
constant memory, an operation of a half vector and a float.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from translate_metal import ShaderError, Token, tokenize

HEADER = Path(__file__).resolve().parent / "lint.h"
OPTIONS = [
    "-x",
    "clcpp",
    "-cl-std=clc++2021",
    "-Xclang",
    "-finclude-default-header",
    "-fsyntax-only",
    "-Werror",
]
OPTIONS += ["-target", "spir64", "-Wno-unused-value"]


def as_opencl(text: str) -> str:
    """Return the preprocessed shader without Metal's attributes; lint.h maps the other words."""
    tokens = tokenize(text)
    in_attribute, braces = False, 0
    for i, token in enumerate(tokens):
        braces += (token.text == "{") - (token.text == "}")
        if token.text == "[[":
            in_attribute = True
            token.out = " = 0 " if tokens[i + 1].text == "function_constant" else "  "
        elif in_attribute:
            in_attribute = token.text != "]]"
            token.out = ""
        elif token.text == "threadgroup" and braces and declares_variable(tokens[i:]):
            # OpenCL has local variables in kernels only, and kernels are plain functions to it here.
            token.out = ""
    return re.sub(r"using\s+namespace\s+metal\s*;", "", "".join(token.out for token in tokens))


def declares_variable(tokens: list[Token]) -> bool:
    """Return true if a declaration declares a variable, and not a pointer or a parameter."""
    ends = (token.text for token in tokens if token.text in ("*", "&", "(", ")", ";"))
    return next(ends, "") == ";"


def lint(text: str, compiler: str, path: Path) -> None:
    """Check a shader. Raises ShaderError with clang's messages."""
    path.write_text(f'#include "{HEADER}"\n{as_opencl(text)}', encoding="utf-8")
    result = subprocess.run([compiler, *OPTIONS, str(path)], capture_output=True, text=True, check=False)
    if result.returncode:
        raise ShaderError(f"{result.stderr}(found by reading the shader as C++ for OpenCL)")
