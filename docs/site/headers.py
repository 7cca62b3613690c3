"""Write the C and C++ reference as Markdown, from the headers in cpp/include/mpscnn.

A comment before a declaration becomes text, and the declaration becomes code. Declarations without a comment belong to
the one before them. Function bodies, private members and namespace `detail` are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

INCLUDE = Path(__file__).resolve().parents[2] / "cpp" / "include" / "mpscnn"

#: The pages in their order, each with its first sentence.
PAGES = {
    "mpscnn.h": "Look up a function of the C interface here: graphs, programs, sessions, photos and models.",
    "runner.h": "Look up the C functions that run many frames in order here.",
    "detection.h": "Look up the C functions that turn a detector's outputs into boxes here.",
    "training.h": "Look up the C functions that train a network here.",
    "custom_layer.h": "Look up how a C function becomes a layer here.",
    "kernels.h": "Look up the C functions of raw kernels, images and command buffers here.",
    "json.h": "Look up the C functions that read the library's JSON texts here.",
    "metal.h": "Look up the functions for programs with their own Metal objects here.",
    "network.hpp": "Look up the C++ classes that build, compile and run a network here.",
    "model.hpp": "Look up the C++ classes that run a model on photos here.",
    "runner.hpp": "Look up the C++ class that runs many frames in order here.",
    "detection.hpp": "Look up the C++ class that turns a detector's outputs into boxes here.",
    "training.hpp": "Look up the C++ class that trains a network here.",
    "custom_layer.hpp": "Look up how a C++ function becomes a layer here.",
    "kernels.hpp": "Look up the C++ classes of raw kernels, images and command buffers here.",
    "error.hpp": "Look up the exceptions of the C++ interface here.",
    "layer.hpp": "Look up the C++ options of each operation here.",
    "kernel_options.hpp": "Look up the C++ options of each raw kernel here.",
}
#: Headers without a page: one includes all others, and the other is used by them.
WITHOUT_PAGE = {"mpscnn.hpp", "json.hpp"}

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_LITERAL = re.compile(r"""(?<!\d)(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""")
_SECTION = re.compile(r"^-{4}\s+(.+?)\s*-*$")
#: Members that only the library itself uses.
_INNER = re.compile(
    r"\bvisit_fields\b|\bnames_of\b|static constexpr const char \*(operation|kernel_class)\b|= default;|= delete;"
)
#: Access specifiers, forward declarations of classes, and definitions of members outside of their class.
_NOT_SHOWN = re.compile(
    r"(public|protected|private):$|(friend|extern)\b|template <>|(class|struct) \w+;$|[^{(]*\w::\w+\("
)
_DEFINITION = re.compile(r"(template <[^{]*>\s*)?(typedef )?(enum|class|struct) [^(;{]*\{")
_NAME = re.compile(r"(?:class|struct|enum class|enum|using)\s+(\w+)")


@dataclass
class Entry:
    """A comment with the declarations that belong to it; or the title of a section."""

    comment: str = ""
    code: list[str] = field(default_factory=list)
    section: str = ""


def pages() -> dict[str, str]:
    """Return the Markdown of every page by the name of its header."""
    known = {path.name for path in INCLUDE.iterdir() if path.suffix in (".h", ".hpp")}
    if known != set(PAGES) | WITHOUT_PAGE:
        raise ValueError(
            f"headers without a page, or pages without a header: {known ^ (set(PAGES) | WITHOUT_PAGE)}"
        )
    return {name: page(name) for name in PAGES}


def page(name: str) -> str:
    """Return the Markdown of one header."""
    text = (INCLUDE / name).read_text("utf-8")
    about, rest = _split_introduction(text)
    parts = [f"# mpscnn/{name}", PAGES[name], about]
    for entry in entries(_without_plumbing(rest)):
        if entry.section:
            parts.append(f"## {entry.section}")
            continue
        title = _title(entry.code[0])
        parts.append(f"### {title}")
        if entry.comment:
            parts.append(_prose(entry.comment))
        parts.append("```cpp\n" + "\n".join(entry.code) + "\n```")
    return "\n\n".join(parts) + "\n"


def entries(text: str) -> Iterator[Entry]:
    """Yield the sections and declarations of a header, or the members of a class, in their order."""
    current: Entry | None = None
    comment = ""
    for kind, part in _parts(text):
        if kind == "comment":
            section = _SECTION.match(part)
            if section:
                if current:
                    yield current
                current, comment = None, ""
                yield Entry(section=section[1])
            elif part:
                comment = part
            continue
        code = _shown(part)
        if code is None:
            comment = ""
        elif comment or current is None or _DEFINITION.match(code):
            if current:
                yield current
            current, comment = Entry(comment, [code]), ""
        else:
            current.code.append(code)
    if current:
        yield current


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """Yield the comments between declarations, and the declarations with the comment at their end."""
    position = 0
    while True:
        while position < len(text) and text[position].isspace():
            position += 1
        if position >= len(text):
            return
        if text.startswith(("//", "/*"), position):
            lines: list[str] = []
            while found := _COMMENT.match(text, position):
                lines.append(found[0])
                position = found.end()
                if found[0].startswith("/*"):
                    break
                while position < len(text) and text[position] in " \n" and text[position - 1] != "\n":
                    position += 1
                while position < len(text) and text[position] == " ":
                    position += 1
            if not lines[0].startswith("//") or lines[0].startswith("///") or "----" in lines[0]:
                yield "comment", _plain(lines)
            continue
        end = _end_of_declaration(text, position)
        yield "code", text[position:end].strip()
        position = end


def _end_of_declaration(text: str, start: int) -> int:
    """Return the position after a declaration, its body and the comment that follows on the same line."""
    position, depth, body = start, 0, False
    while position < len(text):
        if text.startswith(("//", "/*"), position):
            found = _COMMENT.match(text, position)
            assert found
            position = found.end()
            continue
        if literal := _LITERAL.match(text, position):
            position = literal.end()
            continue
        sign = text[position]
        if sign in "({[":
            if sign == "{" and depth == 0:
                body = _is_function(text[start:position])
            depth += 1
        elif sign in ")}]":
            depth -= 1
            if sign == "}" and depth == 0 and body and not _initializes(text, start, position):
                position += 1
                break
        elif (sign == ";" and depth == 0) or (
            sign == ":" and depth == 0 and re.fullmatch(r"(public|private|protected)", text[start:position])
        ):
            position += 1
            break
        position += 1
    after = re.compile(r"[ \t]*(///<[^\n]*(\n\s*///<[^\n]*)*|/\*[^\n]*?\*/)").match(text, position)
    return after.end() if after else position


def _is_function(head: str) -> bool:
    return bool(re.search(r"\)\s*(const)?\s*(noexcept)?\s*(override)?\s*(:.*)?$", head, re.DOTALL))


def _initializes(text: str, start: int, position: int) -> bool:
    """Return true if a brace belongs to a member initializer: a comma or the body follows."""
    head = text[start:position]
    return bool(re.search(r"\)\s*(noexcept)?\s*:[^:]", head)) and bool(
        re.match(r"\}\s*[,{]", text[position:])
    )


def _shown(code: str) -> str | None:
    """Return a declaration without bodies and private members; None if only the library itself uses it."""
    if _INNER.search(code.split("{")[0]) or _NOT_SHOWN.match(code):
        return None
    code = code.replace("MPSCNN_API ", "")
    brace = _outer_brace(code)
    head, rest = code[:brace], code[brace + 1 :]
    if brace == len(code):
        return _dedented(code)
    if re.match(r"(template <[^{]*>\s*)?(class|struct)\b[^()]*$", head):
        body, tail = rest[: rest.rindex("}")], rest[rest.rindex("}") :]
        return f"{head}{{\n{_members(body, head)}\n{tail}"
    if _is_function(head):
        return _dedented(re.sub(r"\)\s*(noexcept)?\s*:[^:].*$", ")", head, flags=re.DOTALL).rstrip() + ";")
    return _dedented(code)


def _outer_brace(code: str) -> int:
    """Return the position of the first brace that is not between parentheses, or the length."""
    depth = 0
    for position, sign in enumerate(code):
        depth += (sign in "([") - (sign in ")]")
        if sign == "{" and depth == 0:
            return position
    return len(code)


def _members(body: str, head: str) -> str:
    """Return the public members of a class with their comments."""
    if re.search(r"\bclass\b[^<>]*$", head):
        body = body.partition("public:")[2]
    body = re.split(r"^\s*private:", body, maxsplit=1, flags=re.MULTILINE)[0]
    lines: list[str] = []
    for entry in entries(body):
        if entry.comment and lines:
            lines.append("")
        lines += [f"    /// {line}" for line in _prose(entry.comment).splitlines() if line]
        for code in entry.code:
            lines += [f"    {line}" if line else "" for line in code.splitlines()]
    return "\n".join(lines)


def _dedented(code: str) -> str:
    """Return the lines with the indentation that they have relative to the first."""
    first, *rest = code.splitlines()
    indents = [len(line) - len(line.lstrip()) for line in rest if line.strip()]
    closing = rest[-1] if rest else ""
    cut = len(closing) - len(closing.lstrip()) if closing.lstrip().startswith("}") else 0
    if rest and not cut and not closing.startswith("}"):
        cut = max(0, min(indents) - 4)
    return "\n".join([first, *(line[cut:] if line[:cut].isspace() else line for line in rest)])


def _title(code: str) -> str:
    """Return the name that a declaration gives."""
    if alias := re.match(r"typedef (?:enum|struct) (\w+)", code):
        return alias[1]
    head = re.split(r"[{=;]", re.sub(r"template <.*?>\s*(?=\w)", "", code), maxsplit=1)[0]
    if found := _NAME.search(head) if "(" not in head else None:
        return found[1]
    if pointer := re.search(r"\(\*(\w+)\)", code):
        return pointer[1]
    if function := re.search(r"(\w+)\s*\(", code):
        return function[1]
    return code.rstrip(";").split()[-1] if "{" not in code else "Constants"


def _plain(lines: list[str]) -> str:
    """Return the text of comments without their signs."""
    text = "\n".join(lines)
    if text.startswith("/*"):
        text = re.sub(r"^/\*+|\*/$", "", text).strip()
        text = re.sub(r"\n[ \t]*\* ?", "\n", text)
        return text.strip()
    return "\n".join(re.sub(r"^///? ?", "", line) for line in lines if not re.match(r"// -+$", line)).strip()


def _prose(comment: str) -> str:
    """Return a comment as Markdown: indented lines are code, and lists have an empty line before them."""
    lines: list[str] = []
    in_list = False
    for line in comment.splitlines():
        if line.startswith("- ") and not in_list and lines and lines[-1]:
            lines.append("")
        in_list = bool(line) and (in_list or line.startswith("- "))
        lines.append(line)
    return "\n".join(line.replace("<", "&lt;") if not line.startswith("    ") else line for line in lines)


def _split_introduction(text: str) -> tuple[str, str]:
    """Return the comment at the beginning of a header as Markdown, and the rest."""
    text = re.sub(r"^// clang-format off\n+", "", text)
    if text.startswith("/*"):
        end = text.index("*/") + 2
        return _prose(_plain([text[:end]])), text[end:]
    lines = text.splitlines(keepends=True)
    count = next(index for index, line in enumerate(lines) if not line.startswith("///"))
    about = _plain([line.rstrip("\n") for line in lines[:count]])
    return _prose(re.sub(r"\n+Written by docs/generate\.$", "", about)), "".join(lines[count:])


def _without_plumbing(text: str) -> str:
    """Return a header without preprocessor lines, `extern "C"`, and namespaces that are not the user's."""
    text = re.sub(r'^#ifdef __cplusplus\n(extern "C" \{|\})\n#endif$', "", text, flags=re.MULTILINE)
    text = re.sub(r"^#(.*\\\n)*.*$", "", text, flags=re.MULTILINE)
    text = re.sub(
        r"^namespace detail \{.*?^\} // namespace detail$", "", text, flags=re.MULTILINE | re.DOTALL
    )
    return re.sub(r"^(inline )?namespace \w+ \{$|^\} // namespace.*$", "", text, flags=re.MULTILINE)
