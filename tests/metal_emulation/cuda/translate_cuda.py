"""Translate preprocessed shading language to CUDA C++.

Address spaces are removed or become `const`, and functions become device functions. Each kernel gets an entry function
for the launcher (gpu_launch.cpp). Its parameters are the grid's extents, and then a pointer for each buffer and a
description for each texture, in the order of the kernel's parameters. Threadgroup memory becomes shared memory.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shading_language"))

from translate_metal import CLOSE, ShaderError, Token, tokenize

DEVICE_FUNCTION = "static __device__ __forceinline__"
BUILTINS = {
    "thread_position_in_grid": "position_in_grid",
    "threadgroup_position_in_grid": "metal::threadgroup_position()",
    "thread_index_in_threadgroup": "metal::thread_index()",
    "simdgroup_index_in_threadgroup": "metal::thread_index() / 32u",
}


class CudaTranslator:
    """Translates one file."""

    def __init__(self, text: str) -> None:
        self.all = tokenize(text)
        self.tokens = [t for t in self.all if t.kind not in ("space", "comment", "marker")]
        self.close = self._match_brackets()
        self.entries: list[str] = []
        self._member_functions()
        for index, token in enumerate(self.tokens):
            if token.text == "kernel":
                self._kernel(index)
            elif token.text == "inline":
                token.out = DEVICE_FUNCTION
            elif token.text == "constant":
                token.out = "const"
            elif token.text == "threadgroup" and self._declares_variable(index):
                raise token.error("the translation to CUDA knows threadgroup memory as a parameter only")
            elif token.text in ("device", "thread", "threadgroup"):
                token.out = ""
        self._attributes()

    @property
    def text(self) -> str:
        """Return the CUDA C++ text."""
        body = "".join(
            token.out
            for token in self.all
            if token.kind != "marker" or token.text.startswith("#pragma unroll")
        )
        return "\n".join(['#include "msl_cuda.h"', "using metal::uint;", body, *self.entries, ""])

    def _match_brackets(self) -> dict[int, int]:
        stack: list[int] = []
        close = {}
        for index, token in enumerate(self.tokens):
            if token.text in ("(", "{", "[", "[["):
                stack.append(index)
            elif token.text in CLOSE:
                # `]]` also ends two subscripts.
                for _ in range(2 if token.text == "]]" and self.tokens[stack[-1]].text == "[" else 1):
                    close[stack.pop()] = index
        return close

    def _member_functions(self) -> None:
        """Make member functions of structures device functions."""
        for index, token in enumerate(self.tokens):
            if token.text != "struct" or self.tokens[index + 2].text != "{":
                continue
            at = start = index + 3
            while at < self.close[index + 2]:
                text = self.tokens[at].text
                if text == "(" and self.tokens[self.close[at] + 1].text in ("{", "const"):
                    self.tokens[start].out = "__device__ " + self.tokens[start].out
                if at in self.close:
                    at = self.close[at]
                if text in (";", "{"):
                    start = at + 1
                at += 1

    def _declares_variable(self, index: int) -> bool:
        """Return true if the address space belongs to a variable, and not to the target of a pointer."""
        ends = (token.text for token in self.tokens[index:] if token.text in ("*", "&", "(", ")", ";"))
        return next(ends, "") == ";"

    def _limit(self, index: int) -> str:
        """Return CUDA's attribute for the kernel's maximum threadgroup; empty if the kernel does not state one."""
        before = [token.text for token in self.tokens[max(index - 6, 0) : index]]
        if len(before) == 6 and before[:2] == ["[[", "max_total_threads_per_threadgroup"]:
            return f"__launch_bounds__({before[3]}) "
        return ""

    def _parameters(self, opening: int) -> list[list[Token]]:
        """Return the tokens of each parameter between two parentheses."""
        parts: list[list[Token]] = [[]]
        angles, at = 0, opening + 1
        while at < self.close[opening]:
            token = self.tokens[at]
            angles += (token.text == "<") - (token.text == ">")
            last = self.close.get(at, at)
            if token.text == "," and not angles:
                parts.append([])
            else:
                parts[-1] += self.tokens[at : last + 1]
            at = last + 1
        return parts

    def _kernel(self, index: int) -> None:
        token, name = self.tokens[index], self.tokens[index + 2]
        token.out = DEVICE_FUNCTION
        parameters = ["uint grid_width", "uint grid_height", "uint grid_depth"]
        arguments = []
        for part in self._parameters(index + 3):
            opening = next(k for k, t in enumerate(part) if t.text == "[[")
            attribute, own = part[opening + 1].text, part[opening - 1].text
            words = [t.text for t in part[: opening - 1] if t.text not in ("device", "thread", "threadgroup")]
            if attribute in BUILTINS:
                arguments.append(BUILTINS[attribute])
            elif attribute == "threadgroup" and part[opening + 3].text == "0":
                arguments.append(f"reinterpret_cast<{' '.join(words)}>(metal::threadgroup_memory)")
            elif attribute == "texture":
                parameters.append(f"const msl::GpuTexture {own}")
                arguments.append(f"{' '.join(words)}({own})")
            elif attribute == "buffer":
                by_reference = "&" in words
                # No kernel writes constants, so the compiler may keep them in registers.
                alone = " __restrict__ " if "constant" in words else ""
                words = ["const" if word == "constant" else word for word in words if word not in ("&", "*")]
                parameters.append(f"{' '.join(words)} *{alone}{own}")
                arguments.append(f"*{own}" if by_reference else own)
            else:
                raise part[opening + 1].error(
                    f"the translation to CUDA does not know the attribute {attribute}"
                )
        name.out = f"msl_{name.text}"
        limit = self._limit(index)
        self.entries.append(
            f'extern "C" __global__ void {limit}{name.text}({", ".join(parameters)}) {{\n'
            "    metal::ThreadPosition position_in_grid;\n"
            "    if (!metal::thread_position(grid_width, grid_height, grid_depth, position_in_grid)) return;\n"
            f"    msl_{name.text}({', '.join(arguments)});\n}}"
        )

    def _attributes(self) -> None:
        for index, token in enumerate(self.tokens):
            if token.text != "[[":
                continue
            if self.tokens[index + 1].text == "function_constant":
                start = index
                while self.tokens[start].text != "constant":
                    start -= 1
                # A function constant becomes a variable in CUDA's constant memory, which the launcher sets by its name.
                self.tokens[start].out = "__constant__"
            for inner in self.tokens[index : self.close[index] + 1]:
                inner.out = ""


def translate_cuda(text: str) -> str:
    """Return CUDA C++ for preprocessed shading language; raises ShaderError."""
    return CudaTranslator(text).text


__all__ = ["ShaderError", "translate_cuda"]
