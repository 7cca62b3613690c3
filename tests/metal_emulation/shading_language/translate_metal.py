"""Translate Metal's shading language to C++, with as few changes as possible.

The text keeps its lines and columns, so that every message of the compiler and of the sanitizers is about the .metal
file. A table of the kernels and their attributes is appended, from which msl/launch.h derives the rest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

TOKEN = re.compile(
    r"""(?P<marker>^\#[^\n]*)|(?P<space>\s+)|(?P<comment>//[^\n]*|/\*.*?\*/)
    |(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    |(?P<number>\.?\d(?:[eEpP][+-]|[\w.])*)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<punctuation>\[\[|\]\]|::|->|&&|\|\||.)""",
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)
ADDRESS_SPACES = {"device", "constant", "threadgroup", "thread"}
INDEXED = {"buffer": "buffer", "texture": "texture", "threadgroup": "threadgroup_memory"}
BUILTINS = {
    "thread_position_in_grid",
    "thread_position_in_threadgroup",
    "threadgroup_position_in_grid",
    "threads_per_grid",
    "threads_per_threadgroup",
    "dispatch_threads_per_threadgroup",
    "threadgroups_per_grid",
    "thread_index_in_threadgroup",
    "threads_per_simdgroup",
    "simdgroup_index_in_threadgroup",
}
POSITIONS = BUILTINS - {
    "thread_index_in_threadgroup",
    "threads_per_simdgroup",
    "simdgroup_index_in_threadgroup",
}
OPEN, CLOSE = {"(": ")", "{": "}", "[": "]", "[[": "]]"}, {")", "}", "]", "]]"}
LIMITS = {"buffer": 31, "texture": 128, "threadgroup": 31}
# Words that the language lacks, or that the emulation does not support.
REFUSED = {
    "double": "there is no double",
    "goto": "there is no goto",
    "try": "there are no exceptions",
    "throw": "there are no exceptions",
    "new": "there is no new",
    "delete": "there is no delete",
    "virtual": "there are no virtual functions",
    "dynamic_cast": "there is no dynamic_cast",
    "thread_local": "there is no thread_local",
    "host_name": "the emulation takes plain functions: make variants by macro",
}


class ShaderError(Exception):
    """A shader breaks a rule; the text begins with file, line and column."""


@dataclass
class Token:
    """A piece of the preprocessed text."""

    kind: str
    text: str
    line: int
    column: int
    file: str
    out: str = ""

    def error(self, message: str) -> ShaderError:
        """Return an error at this position."""
        return ShaderError(f"{self.file}:{self.line}:{self.column}: error: {message}")


@dataclass
class Kernel:
    """A kernel function and the attribute of each of its parameters, in C++."""

    name: str
    cooperative: bool = False
    attributes: list[str] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)


def tokenize(text: str) -> list[Token]:
    """Return all tokens, including white space, with their positions in the original files."""
    tokens, file, line, column = [], "", 1, 1
    for match in TOKEN.finditer(text):
        kind = str(match.lastgroup)
        tokens.append(Token(kind, match[0], line, column, file, match[0]))
        if kind == "marker":
            place = re.match(r'#\s*(?:line\s+)?(\d+)\s+"([^"]*)"', match[0])
            if place:
                line, file = int(place[1]) - 1, place[2]
        newlines = match[0].count("\n")
        line += newlines
        column = len(match[0]) - match[0].rfind("\n") if newlines else column + len(match[0])
    return tokens


def blank(token: Token) -> None:
    """Remove a token without moving the ones after it."""
    token.out = re.sub(r"[^\n]", " ", token.text)


class Translator:
    """Translates one translation unit."""

    def __init__(self, text: str) -> None:
        self.all = tokenize(text)
        self.tokens = [t for t in self.all if t.kind not in ("space", "comment", "marker")]
        self.close = self._match_brackets()
        self.kernels: list[Kernel] = []
        self.constants: list[tuple[int, str]] = []
        self._check_words()
        self._function_constants()
        self._kernels()
        self._pointers()
        for token in self.tokens:
            if token.text == "constant" and token.out == token.text:
                token.out = "const   "
            if token.text == "inline":
                # The linker would keep one function of this name, which reads one file's function constants.
                token.out = "static"
        self._attributes()

    @property
    def text(self) -> str:
        """Return the C++ text."""
        return '#include "msl/prelude.h"\n' + "".join(t.out for t in self.all)

    def _match_brackets(self) -> dict[int, int]:
        stack: list[int] = []
        close = {}
        for i, token in enumerate(self.tokens):
            if token.text in OPEN:
                stack.append(i)
            elif token.text in CLOSE:
                # `]]` also ends two subscripts, as in a[b[0]].
                needed = 2 if token.text == "]]" and stack and self.tokens[stack[-1]].text == "[" else 1
                for _ in range(needed):
                    if not stack:
                        raise token.error(f"unmatched '{token.text}'")
                    close[stack.pop()] = i
        if stack:
            raise self.tokens[stack[-1]].error("never closed")
        return close

    def _check_words(self) -> None:
        for token in self.tokens:
            if token.text in REFUSED:
                raise token.error(REFUSED[token.text])
            number = token.text.lower()
            is_float = token.kind == "number" and not number.startswith("0x") and re.search(r"[.e]", number)
            if is_float and number[-1] not in "fh":
                raise token.error("a floating literal without suffix is double: write f or h")

    def _function_constants(self) -> None:
        for i, token in enumerate(self.tokens):
            if token.text != "function_constant" or self.tokens[i - 1].text != "[[":
                continue
            start = i - 1
            while start and self.tokens[start - 1].text not in (";", "}"):
                start -= 1
            if self.tokens[start].text != "constant":
                raise token.error(
                    "a function constant is declared: constant type name [[function_constant(n)]];"
                )
            self.tokens[start].out = "static  "
            self.constants.append((int(self.tokens[i + 2].text), self.tokens[i - 2].text))
        indices = [index for index, _ in self.constants]
        if len(set(indices)) < len(indices):
            raise ShaderError("error: two function constants share an index")

    def _kernels(self) -> None:
        barrier_bodies = []
        for i, token in enumerate(self.tokens):
            if token.text != "kernel":
                continue
            if i and self.tokens[i - 1].text == ">":
                raise token.error("the emulation takes plain functions: make variants of a kernel by macro")
            name = i + 2
            if self.tokens[i + 1].text != "void" or self.tokens[name + 1].text != "(":
                raise token.error("a kernel is declared: kernel void name(parameters)")
            end = self.close[name + 1]
            if self.tokens[end + 1].text != "{":
                continue  # a declaration
            body = (end + 1, self.close[end + 1])
            barrier_bodies.append(body)
            kernel = Kernel(self.tokens[name].text)
            kernel.cooperative = any(t.text == "threadgroup_barrier" for t in self.tokens[body[0] : body[1]])
            self._parameters(kernel, name + 1, end)
            self._threadgroup_variables(kernel, *body)
            self.kernels.append(kernel)
        for i, token in enumerate(self.tokens):
            if token.text == "threadgroup_barrier" and not any(a < i < b for a, b in barrier_bodies):
                raise token.error("the emulation finds barriers in the body of a kernel only")

    def _parameters(self, kernel: Kernel, start: int, end: int) -> None:
        bound: set[tuple[str, str]] = set()
        position_types: set[str] = set()
        for first, last in self._split(start, end):
            part = self.tokens[first:last]
            opening = next((k for k, t in enumerate(part) if t.text == "[["), None)
            if opening is None:
                raise part[0].error(f"a parameter of kernel {kernel.name} has no attribute")
            attribute, name = part[opening + 1], part[opening - 1].text
            words = {t.text for t in part[:opening]}
            if attribute.text in INDEXED:
                index = part[opening + 3].text
                if (attribute.text, index) in bound:
                    raise attribute.error(f"{attribute.text} {index} is bound twice in kernel {kernel.name}")
                bound.add((attribute.text, index))
                if not index.isdigit() or int(index) >= LIMITS[attribute.text]:
                    raise attribute.error(f"{attribute.text} index {index} is out of range")
                needed = {"buffer": {"device", "constant"}, "threadgroup": {"threadgroup"}}.get(
                    attribute.text
                )
                if needed and not words & needed:
                    raise part[0].error(
                        f"parameter {name} needs the address space {' or '.join(sorted(needed))}"
                    )
                kernel.attributes.append(f"msl::{INDEXED[attribute.text]}<{index}>")
            elif attribute.text in BUILTINS:
                if attribute.text in POSITIONS:
                    position_types.add(part[0].text)
                kernel.attributes.append(f"msl::{attribute.text}")
            else:
                raise attribute.error(f"unknown attribute {attribute.text}")
            kernel.parameters.append(name)
        if len(position_types) > 1:
            raise self.tokens[start].error(
                f"positions of kernel {kernel.name} differ in type: {', '.join(sorted(position_types))}"
            )

    def _split(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return the parameters between two parentheses, as ranges of tokens."""
        parts, first, i, angles = [], start + 1, start + 1, 0
        while i < end:
            text = self.tokens[i].text
            angles += (text == "<") - (text == ">")
            if i in self.close:
                i = self.close[i]
            elif text == "," and angles == 0:
                parts.append((first, i))
                first = i + 1
            i += 1
        return [*parts, (first, end)] if first < end else parts

    def _threadgroup_variables(self, kernel: Kernel, start: int, end: int) -> None:
        i = start + 1
        while i < end:
            if self.tokens[i].text == "(":
                i = self.close[i]  # a call or a cast
            elif self.tokens[i].text == "threadgroup":
                stop = next(k for k in range(i, end) if self.tokens[k].text in (";", "=", "*", "&"))
                if self.tokens[stop].text == ";":
                    self.tokens[i].out = "static     "
                elif self.tokens[stop].text == "=":
                    raise self.tokens[i].error("a threadgroup variable cannot be initialised")
            i += 1

    def _pointers(self) -> None:
        """Require that every pointer and reference names its address space. C++ has none, so it is checked here."""
        previous = {";", "{", "}", "(", ","}
        for i, token in enumerate(self.tokens):
            if token.text not in "*&" or i == 0 or self.tokens[i + 1].kind != "name":
                continue
            start = i
            while self.tokens[start - 1].kind == "name" or self.tokens[start - 1].text == "::":
                start -= 1
            # T *name followed by what ends a declarator, at the start of a statement or parameter.
            declares = self.tokens[i + 2].text in {"=", ";", ")", ",", "[[", "["}
            in_list = self.tokens[start - 1].text in {"(", ","}
            words = [t.text for t in self.tokens[start:i]]
            if in_list and not self._is_parameter_list(start - 1):
                continue
            declares = declares and self.tokens[start - 1].text in previous and words not in ([], ["return"])
            if declares and not ADDRESS_SPACES & set(words):
                raise token.error("a pointer or reference needs an address space")

    def _is_parameter_list(self, at: int) -> bool:
        """Return true if the token is in the parentheses of a function's definition."""
        opening = at
        while opening >= 0 and not (opening in self.close and self.close[opening] > at):
            opening -= 1
        if opening < 2 or self.tokens[opening].text != "(":
            return False
        before, name = self.tokens[opening - 2], self.tokens[opening - 1]
        return name.kind == "name" and before.kind == "name" and before.text not in ("return", "else")

    def _attributes(self) -> None:
        for i, token in enumerate(self.tokens):
            if token.text == "[[":
                for inner in self.tokens[i : self.close[i] + 1]:
                    blank(inner)

    def table(self, *, on_gpu: bool) -> str:
        """Return the description of this translation unit, which is appended to it.

        With `on_gpu` its kernels run as MSL_GPU_CODE, machine code of an NVIDIA GPU that the linker adds.
        """
        lines = ["", '# 1 "table of kernels"', "namespace {"]
        for kernel in self.kernels:
            entry = ", ".join([kernel.name, str(kernel.cooperative).lower(), *kernel.attributes])
            lines.append(f"using entry_{kernel.name} = msl::Entry<&{entry}>;")
            names = ", ".join(f'"{name}"' for name in kernel.parameters)
            lines.append(f"constexpr const char *names_{kernel.name}[] = {{{names or 'nullptr'}}};")
        if on_gpu:
            for kernel in self.kernels:
                lines.append(f"void run_{kernel.name}(const msl::Bindings &bindings, const msl::Grid &grid);")
        run = "&run_{0}" if on_gpu else "&entry_{0}::run"
        rows = [
            f'{{"{k.name}", entry_{k.name}::Type::arguments.data(), names_{k.name}, {len(k.parameters)}, '
            f"{str(k.cooperative).lower()}, {run.format(k.name)}}},"
            for k in self.kernels
        ]
        lines += ["constexpr msl::Kernel kernels[] = {", *rows, "{}};"]
        values = [
            f'{{{index}, "{name}", msl::constant_data_type<decltype({name})>(), sizeof({name}), &{name}}},'
            for index, name in self.constants
        ]
        lines += ["const msl::FunctionConstant constants[] = {", *values, "{}};"]
        lines += ["} // namespace", "extern const msl::Program MSL_PROGRAM;"]
        lines.append(
            f"const msl::Program MSL_PROGRAM{{kernels, {len(self.kernels)}, constants, {len(self.constants)}, "
            "MSL_FILE};\n"
        )
        if on_gpu:
            lines += ['extern "C" const unsigned char MSL_GPU_CODE[];', "namespace {"]
            lines.append("msl::GpuProgram gpu_program(MSL_PROGRAM, MSL_GPU_CODE);")
            lines += [
                f"void run_{kernel.name}(const msl::Bindings &bindings, const msl::Grid &grid) "
                f"{{ gpu_program.run(kernels[{i}], bindings, grid); }}"
                for i, kernel in enumerate(self.kernels)
            ]
            lines.append("} // namespace\n")
        return "\n".join(lines)


def translate(text: str, *, on_gpu: bool = False) -> str:
    """Translate preprocessed shading language to C++. Raises ShaderError for text that it cannot translate.

    With `on_gpu` the C++ describes the kernels, and an NVIDIA GPU runs them.
    """
    translator = Translator(text)
    include = '#include "gpu_launch.h"\n' if on_gpu else ""
    return include + translator.text + translator.table(on_gpu=on_gpu)
