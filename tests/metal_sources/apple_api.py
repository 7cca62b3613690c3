"""Find Apple's API in the sources of the Metal engine and mpscnn/metal.h, and compare it with the table apple_api.tsv.

    python tests/metal_sources/apple_api.py FOLDER

This writes apple_api.tsv again from mps_api.json and metal_api.json in FOLDER, which describe Apple's headers of Metal
and MPS. Each line has the name of a class, selector, value, ..., its declaration, the version of macOS that introduced
it, and the version that deprecated it, if any. The two files do not describe Foundation, Grand Central Dispatch, Core
ML, Core Video and Core Graphics. Their lines are written by hand, have no declaration, and are kept. Reading sources
needs libclang (pip install libclang==16.0.6) and GNUstep's headers.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
HEADERS = PROJECT / "tests" / "metal_emulation" / "headers"
PUBLIC_HEADER = PROJECT / "cpp" / "include" / "mpscnn" / "metal.h"
TABLE = Path(__file__).with_name("apple_api.tsv")
GNUSTEP = Path("/usr/include/GNUstep")
UNDESCRIBED = (
    str(GNUSTEP),
    *(
        str(HEADERS / framework)
        for framework in ("CoreGraphics", "CoreML", "CoreVideo", "IOSurface", "dispatch")
    ),
)
OLDEST_MACOS = (11, 0)

Version = tuple[int, ...]


@dataclass(frozen=True)
class Use:
    """One place where a source uses Apple's API.

    Attributes:
        name: the name in the table.
        declaration: the declaration that the compiler sees in the emulation's headers.
        place: file and line.
        macos: the oldest macOS on which this place runs, according to an enclosing @available.
    """

    name: str
    declaration: str
    place: str
    macos: Version = OLDEST_MACOS


@dataclass(frozen=True)
class Entry:
    """A line of the table."""

    declaration: str
    introduced: Version
    deprecated: Version | None = None


def version(text: str) -> Version:
    return tuple(int(part) for part in text.split("."))


def read_table(text: str) -> dict[str, Entry]:
    entries = {}
    for line in text.splitlines():
        name, declaration, introduced, *deprecated = line.split("\t")
        entries[name] = Entry(
            declaration, version(introduced), version(deprecated[0]) if deprecated else None
        )
    return entries


def problems(uses: list[Use], table: Mapping[str, Entry]) -> list[str]:
    """Return a message for each use that Apple lacks, declares differently, deprecated, or introduced too late."""
    found = []
    for use in uses:
        entry = table.get(use.name)
        if entry is None:
            found.append(f"{use.place}: {use.name} is not in {TABLE.name}")
        elif use.declaration != entry.declaration:
            found.append(f"{use.place}: {use.name} is {entry.declaration!r}, not {use.declaration!r}")
        elif entry.introduced > use.macos:
            needed = ".".join(map(str, entry.introduced))
            found.append(f"{use.place}: {use.name} needs macOS {needed} and is not behind @available")
        elif entry.deprecated is not None and entry.deprecated <= OLDEST_MACOS:
            found.append(f"{use.place}: {use.name} is deprecated")
    return found


# ---- Reading sources ----------------------------------------------------------------------------------------------


def compiler_arguments(*includes: Path) -> list[str] | None:
    """Return the compiler's arguments for Objective-C++ with GNUstep; None if GNUstep is not installed."""
    runtime = sorted(Path("/usr/lib/gcc").glob("*/*/include/objc"))
    if not GNUSTEP.is_dir() or not runtime:
        return None
    arguments = ["-std=c++20", "-fblocks", "-fobjc-runtime=gcc", "-fconstant-string-class=NSConstantString"]
    arguments += ["-DGNUSTEP", "-DGNUSTEP_BASE_LIBRARY=1", "-DGNU_RUNTIME=1", "-D_NATIVE_OBJC_EXCEPTIONS"]
    arguments += ["-fobjc-exceptions", *(f"-I{folder}" for folder in includes)]
    return [*arguments, "-isystem", str(GNUSTEP), "-idirafter", str(runtime[-1].parent)]


def plain_type(spelling: str) -> str:
    """Return a type's spelling in a form for comparisons: without words that do not affect calls, such as _Nullable."""
    without = r"\b(_Nonnull|_Nullable|_Null_unspecified|__kindof|struct|enum|__autoreleasing|__strong)\b"
    text = re.sub(r"\s+", " ", re.sub(without, "", spelling)).replace("_Bool", "bool")
    text = text.replace("const NSErrorUserInfoKey", "NSString *const")  # GNUstep lacks this typedef
    return re.sub(r"\s*([*<>,()^])\s*", r"\1", text).strip()


def signature(returns: str, arguments: list[str]) -> str:
    return plain_type(f"{returns}({','.join(arguments)})")


def method_name(method: Any, container: str) -> str:
    sign = "-" if kind_of(method) == "OBJC_INSTANCE_METHOD_DECL" else "+"
    return f"{sign}[{container} {method.spelling}]"


def method_signature(method: Any) -> str:
    return signature(
        method.result_type.spelling, [argument.type.spelling for argument in method.get_arguments()]
    )


def kind_of(cursor: Any) -> str:
    try:
        return str(cursor.kind.name)
    except ValueError:  # a kind that these bindings of libclang do not know
        return ""


def described(declared: Any) -> tuple[str, str] | None:
    """Return a symbol's name and declaration; None for kinds of symbols that the table lacks, such as parameters."""
    found = _described(declared)
    undescribed = found and str(declared.location.file.name).startswith(UNDESCRIBED)
    return (found[0], "") if found and undescribed else found


def _described(declared: Any) -> tuple[str, str] | None:
    name, kind = declared.spelling, kind_of(declared)
    if kind == "OBJC_INTERFACE_DECL":
        above = [
            child.spelling for child in declared.get_children() if kind_of(child) == "OBJC_SUPER_CLASS_REF"
        ]
        return f"@class {name}", above[0] if above else ""
    if kind == "OBJC_PROTOCOL_DECL":
        return f"@protocol {name}", ""
    if kind in ("OBJC_INSTANCE_METHOD_DECL", "OBJC_CLASS_METHOD_DECL"):
        container = declared.semantic_parent
        owner = container.spelling
        if kind_of(container) == "OBJC_CATEGORY_DECL":
            owner = next(child.spelling for child in container.get_children())
        return method_name(declared, owner), method_signature(declared)
    if kind == "ENUM_CONSTANT_DECL":
        return name, str(declared.enum_value)
    if kind == "FUNCTION_DECL":
        return f"{name}()", method_signature(declared)
    if kind == "VAR_DECL":
        return name, plain_type(declared.type.spelling)
    if kind == "FIELD_DECL":
        offset = declared.get_field_offsetof() // 8
        return (
            f"{declared.semantic_parent.spelling}.{name}",
            f"{plain_type(declared.type.spelling)} at {offset}",
        )
    if kind in ("TYPEDEF_DECL", "STRUCT_DECL"):
        return f"typedef {name}", ""
    return None


def dependent_selector(message: Any) -> str:
    """Return the selector of a message whose receiver has a template's type. libclang does not report it."""
    tokens = [token.spelling for token in message.get_tokens()]
    depth, parts, last = 0, [], ""
    for here, following in zip(tokens, [*tokens[1:], ""], strict=True):
        depth += (here in "[({") - (here in "])}")
        if depth == 1 and here.isidentifier():
            last = here
            if following == ":":
                parts.append(f"{here}:")
    return "".join(parts) or last


def available_version(condition: Any) -> Version | None:
    """Return the version of macOS in the condition's @available; None if there is none."""
    checks = [
        cursor for cursor in condition.walk_preorder() if kind_of(cursor) == "OBJC_AVAILABILITY_CHECK_EXPR"
    ]
    tokens = [token.spelling for check in checks for token in check.get_tokens()]
    return version(tokens[tokens.index("macOS") + 1]) if "macOS" in tokens else None


class Reader:
    """Finds the uses of Apple's API in a unit that libclang has parsed."""

    def __init__(self, unit: Any, own: tuple[Path, ...]) -> None:
        self._unit = unit
        self._own = tuple(map(str, own))
        self._containers: list[Any] = []
        self._protocols: dict[str, list[Any]] = {}
        self._uses: dict[tuple[str, str], Use] = {}

    def read(self) -> list[Use]:
        own = []
        for cursor in self._unit.cursor.get_children():
            file = self._file(cursor)
            if file.startswith(self._own):
                own.append(cursor)
            elif file.startswith(str(HEADERS)):
                self._containers.append(cursor)
            if kind_of(cursor) == "OBJC_INTERFACE_DECL":
                adopted = [child for child in cursor.get_children() if kind_of(child) == "OBJC_PROTOCOL_REF"]
                self._protocols[cursor.spelling] = [child.referenced for child in adopted]
        for cursor in own:
            self._visit(cursor, OLDEST_MACOS)
        return list(self._uses.values())

    @staticmethod
    def _file(cursor: Any) -> str:
        return str(cursor.location.file.name) if cursor.location.file else ""

    def _add(self, found: tuple[str, str] | None, cursor: Any, macos: Version) -> None:
        if found:
            place = f"{Path(self._file(cursor)).name}:{cursor.location.line}"
            self._uses.setdefault((found[0], place), Use(*found, place, macos))

    def _visit(self, cursor: Any, macos: Version) -> None:
        kind = kind_of(cursor)
        referenced = cursor.referenced
        if referenced is not None and self._file(referenced).startswith((str(HEADERS), str(GNUSTEP))):
            if referenced != cursor:
                self._add(described(referenced), cursor, macos)
        elif kind == "OBJC_MESSAGE_EXPR" and referenced is None:
            self._add_dependent(cursor, macos)
        elif kind == "OBJC_IMPLEMENTATION_DECL":
            self._add_implemented(cursor)
        children = list(cursor.get_children())
        behind = available_version(children[0]) if kind == "IF_STMT" else None
        for index, child in enumerate(children):
            self._visit(child, behind if behind and index == 1 else macos)

    def _add_dependent(self, message: Any, macos: Version) -> None:
        """Add a use of each class that has the message's selector, because each may be the receiver in a template."""
        selector = dependent_selector(message)
        methods = [child for container in self._containers for child in container.get_children()]
        candidates = [method for method in methods if method.spelling == selector]
        for method in candidates:
            if kind_of(method).endswith("METHOD_DECL"):
                self._add(described(method), message, macos)
        if not candidates:
            self._add((f"[NSObject {selector}]", ""), message, macos)

    def _add_implemented(self, implementation: Any) -> None:
        """Add the methods of Apple's protocols that one of the engine's classes implements, with the class's types."""
        for protocol in self._protocols.get(implementation.spelling, []):
            asked = {child.spelling for child in protocol.get_children()}
            for method in implementation.get_children():
                if kind_of(method).endswith("METHOD_DECL") and method.spelling in asked:
                    found = method_name(method, protocol.spelling), method_signature(method)
                    self._add(found, method, OLDEST_MACOS)


def uses_in(source: Path, own: tuple[Path, ...]) -> list[Use]:
    """Return the uses in a source. Only the files and folders in `own` are searched, not other included files."""
    from clang.cindex import Index

    arguments = compiler_arguments(HEADERS, PROJECT / "cpp", PROJECT / "cpp" / "include", PROJECT)
    assert arguments is not None
    unit = Index.create().parse(str(source), args=["-x", "objective-c++", *arguments])
    errors = [str(diagnostic) for diagnostic in unit.diagnostics if diagnostic.severity >= 3]
    assert not errors, errors
    return Reader(unit, own).read()


def uses_of_engine(folder: Path) -> list[Use]:
    """Return the uses in all headers and sources. `folder` gets files that include many of them, which saves time."""
    metal = PROJECT / "cpp" / "metal"
    groups = {"headers": [*sorted(metal.rglob("*.h")), PUBLIC_HEADER]}
    for source in sorted(metal.rglob("*.mm")):
        groups.setdefault(source.parent.name, []).append(source)
    jobs = []
    for name, files in groups.items():
        included = folder / f"{name}.mm"
        included.write_text("".join(f'#import "{file}"\n' for file in files), encoding="utf-8")
        jobs.append((included, tuple(files)))
    with ThreadPoolExecutor() as pool:
        found = {use for uses in pool.map(lambda job: uses_in(*job), jobs) for use in uses}
    return sorted(found, key=lambda use: (use.name, use.place))


# ---- Apple's declarations -----------------------------------------------------------------------------------------


def same_declaration(one: str, other: str) -> bool:
    """Return True if two declarations are equal. A result `instancetype` equals any class."""
    if "instancetype(" in one + other:
        one, other = one.partition("(")[2], other.partition("(")[2]
    return one == other


class Declarations:
    """Apple's declarations in mps_api.json and metal_api.json."""

    def __init__(self, folder: Path) -> None:
        self._groups: dict[str, dict[str, Any]] = {}
        for name in ("metal_api.json", "mps_api.json"):
            for group, content in json.loads((folder / name).read_text("utf-8")).items():
                if isinstance(content, dict):
                    self._groups.setdefault(group, {}).update(content)

    def entry(self, use: Use) -> Entry:
        """Return the table's entry for a use. Raises ValueError if Macs lack it, or Apple declares it differently."""
        declaration, *declared = self._find(use.name)
        if declaration is not None and not same_declaration(declaration, use.declaration):
            raise ValueError(f"{use.place}: {use.name} is {declaration!r}, not {use.declaration!r}")
        if any(part.get("unavailable_always") or part.get("macos_not_listed") for part in declared):
            raise ValueError(f"{use.place}: {use.name} is not there on a Mac")
        versions = [part.get("availability", {}).get("macos", {}) for part in declared]
        introduced = next((found["introduced"] for found in versions if "introduced" in found), "10.0")
        deprecated = next((found["deprecated"] for found in versions if "deprecated" in found), None)
        return Entry(use.declaration, version(introduced), version(deprecated) if deprecated else None)

    def _find(self, name: str) -> tuple[Any, ...]:
        """Return a symbol's declaration, and then the parts of Apple's headers that state its availability.

        The innermost part comes first, for example a method before its class. A declaration of None equals any other.
        """
        if match := re.fullmatch(r"([+-])\[(\w+) ([\w:]+)\]", name):
            return self._method(*match.groups())
        kind, _, rest = name.rpartition(" ")
        if kind in ("@class", "@protocol"):
            found = self._groups["classes" if kind == "@class" else "protocols"][rest]
            return found.get("superclass", ""), found
        if kind == "typedef":
            groups = [self._groups[group] for group in ("enums", "structs", "typedefs")]
            return None, *(group[rest] for group in groups if rest in group)
        if name.endswith("()"):
            found = self._groups["functions"][name[:-2]]
            return signature(found["returns"], [argument["type"] for argument in found["args"]]), found
        if "." in name:
            owner, _, member = name.partition(".")
            found = self._groups["structs"][owner]
            fields = {field["name"]: field for field in found["fields"]}
            return f"{plain_type(fields[member]['type'])} at {fields[member]['offset_bits'] // 8}", found
        for found in self._groups["enums"].values():
            if name in found["members"]:
                return str(found["members"][name]["value"]), found["members"][name], found
        found = self._groups["constants"][name]
        return plain_type(found["type"]), found

    def _method(self, sign: str, owner: str, selector: str) -> tuple[Any, ...]:
        for container in self._with_ancestors(owner):
            for method in container["methods"]:
                if (method["kind"], method["selector"]) == (sign, selector):
                    types = [argument["type"] for argument in method["args"]]
                    declaration = signature(method["returns"], types)
                    return declaration, method, container
            for name, found in container["properties"].items():
                if selector == found.get("getter", name):
                    return signature(found["type"], []), found, container
                if selector == found.get("setter", f"set{name[0].upper()}{name[1:]}:"):
                    return signature("void", [found["type"]]), found, container
        raise ValueError(f"Apple's {owner} has no {sign}{selector}")

    def _with_ancestors(self, name: str) -> Iterator[Any]:
        found = self._groups["classes"].get(name) or self._groups["protocols"].get(name)
        if found:
            yield found
            for above in [found.get("superclass"), *found.get("protocols", [])]:
                if above:
                    yield from self._with_ancestors(above)


def is_undescribed(name: str) -> bool:
    """Return True for names of frameworks that the two files do not describe, such as Foundation and Core ML."""
    return re.search(r"(^|[ \[])(NS|dispatch_|k?C[FGV]|IOSurface|ML[A-Z]|OSType)", name) is not None


def table_of(uses: list[Use], known: Mapping[str, Entry], folder: Path) -> str:
    """Return the table's text. Lines of undescribed frameworks are copied from the `known` table."""
    apple = Declarations(folder)
    lines = {}
    for use in uses:
        entry = known[use.name] if is_undescribed(use.name) else apple.entry(use)
        versions = [entry.introduced, *([entry.deprecated] if entry.deprecated else [])]
        texts = [use.name, entry.declaration, *(".".join(map(str, number)) for number in versions)]
        lines[use.name] = "\t".join(texts)
    return "".join(f"{lines[name]}\n" for name in sorted(lines))


def main() -> None:
    import tempfile

    known = read_table(TABLE.read_text("utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        TABLE.write_text(table_of(uses_of_engine(Path(folder)), known, Path(sys.argv[1])), "utf-8")


if __name__ == "__main__":
    main()
