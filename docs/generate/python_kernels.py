"""Write the modules of mpscnn.kernels that repeat the core's table of raw kernels.

- `fields.py`: base classes with the properties of the kernels that are written by hand.
- `classes.py`: the kernels that have only properties.
- `named.py`: the named arguments of constructors, for type checkers.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kernel_classes import (
    BASES,
    CLASSES,
    DESCRIPTORS,
    KEPT,
    LITERALS,
    MODULES,
    NAMED,
    PLAIN,
    ROOTS,
    TYPES,
)

from mpscnn import _core

KERNELS = Path(__file__).resolve().parents[2] / "python" / "mpscnn" / "kernels"
CODE_WIDTH, TEXT_WIDTH = 110, 120
TABLE = {entry["name"]: entry for entry in json.loads(_core.kernels())}


def properties(kernel: str) -> dict[str, dict[str, Any]]:
    """Return the properties of a kernel by name."""
    entry = TABLE[kernel]
    return {parameter["name"]: parameter for parameter in [*entry["fixed"], *entry["properties"]]}


def properties_of_base(base: str) -> dict[str, dict[str, Any]]:
    """Return all properties of a base class by name, including inherited ones."""
    if not base:
        return {}
    if base in PLAIN:
        return properties_of_base(PLAIN[base])
    first, *others = BASES[base].like.split()
    common = properties(first)
    for other in others:
        common = {name: parameter for name, parameter in common.items() if name in properties(other)}
    return common


def kind(parameter: dict[str, Any]) -> str:
    """Return the key of a property's type in TYPES."""
    is_size = parameter["type"] == "offset" and "channels" in parameter["meaning"]
    return "size" if is_size else str(parameter["type"])


def argument_type(parameter: dict[str, Any]) -> str:
    """Return the Python type of a property as an argument."""
    allowed = parameter.get("allowed")
    if allowed and "edge_mode" in parameter["name"]:
        return "EdgeName"
    for name, literal in LITERALS.items():
        if allowed and allowed == literal_values(name):
            return literal
    return TYPES[kind(parameter)][1]


def literal_values(name: str) -> list[str]:
    """Return the names that are allowed as values of a property."""
    found = [all_of[name] for all_of in map(properties, TABLE) if name in all_of]
    values: list[str] = found[0]["allowed"]
    return values


def default(parameter: dict[str, Any]) -> str:
    """Return a default value as Python source."""
    value = parameter["default"]
    if isinstance(value, float):
        return repr(float(f"{value:.7g}"))  # 7 digits give the number as it was written in float32
    return (
        json.dumps(value)
        if isinstance(value, str)
        else repr(tuple(value) if isinstance(value, list) else value)
    )


# The functions below write Python source in the form in which ruff formats it.


def call(head: str, arguments: Sequence[str], tail: str, indent: str) -> list[str]:
    """Return the lines of a call or of a function's head."""
    joined = ", ".join(arguments)
    if len(indent + head + joined + tail) <= CODE_WIDTH:
        return [indent + head + joined + tail]
    if len(indent + "    " + joined) <= CODE_WIDTH:
        return [indent + head, f"{indent}    {joined}", indent + tail]
    return [indent + head, *(f"{indent}    {argument}," for argument in arguments), indent + tail]


def docstring(paragraphs: Iterable[str]) -> list[str]:
    """Return the lines of a class's docstring."""
    first, *others = (textwrap.wrap(text, TEXT_WIDTH - 4) for text in paragraphs)
    if not others and len(first) == 1:
        return [f'    """{first[0]}"""']
    lines = [f'    """{first[0]}']
    for paragraph in [first[1:], *others] if first[1:] else others:
        lines += ["", *("    " + line for line in paragraph)]
    return [*lines, '    """']


def declaration(parameter: dict[str, Any]) -> list[str]:
    """Return the lines for a property in the body of a class."""
    text = parameter["meaning"].replace("null:", "None:")
    text = text.replace(
        "width, height, depth)", "width, height, depth), or (x, y, width, height) of all images"
    )
    text = text[0].upper() + text[1:] + "." if not re.match(r"\w+:", text) else text + "."
    allowed = parameter.get("allowed", [])
    if allowed and not re.search(r"'\w+'", text) and len(allowed) <= 6:
        text += f" One of {', '.join(map(repr, allowed))}."
    head = f"    {parameter['name']} = {TYPES[kind(parameter)][0]}("
    quoted = json.dumps(text)
    if len(head + quoted + ")") <= CODE_WIDTH:
        return [f"{head}{quoted})"]
    if len(quoted) + 8 <= CODE_WIDTH:
        return [head, f"        {quoted}", "    )"]
    pieces = textwrap.wrap(text, CODE_WIDTH - 12)
    strings = [json.dumps(piece + " ") for piece in pieces[:-1]] + [json.dumps(pieces[-1])]
    return [head, *(f"        {piece}" for piece in strings), "    )"]


def arguments(takes: str, known: dict[str, dict[str, Any]]) -> list[str]:
    """Return the arguments of a constructor with their types and defaults."""
    found = []
    for name in filter(None, takes.split(", ")):
        if name == "*":
            found.append(name)
            continue
        parameter = known[name.rstrip("=")]
        found.append(f"{parameter['name']}: {argument_type(parameter)}")
        if name.endswith("="):
            found[-1] += f" = {default(parameter)}"
    return found


def names_of(takes: str) -> list[str]:
    """Return the names of the arguments of a constructor."""
    return re.findall(r"\w+", takes)


def constructor(given: Sequence[str], made: Sequence[str], head: str, named: str) -> list[str]:
    """Return the lines of a constructor that passes its arguments on. If `head` is empty, only type checkers see it."""
    signature = ["self", *given, f"**properties: Unpack[{named}]"]
    if not head:
        declared = call("def __init__(", signature, ") -> None: ...", "        ")
        return ["", "    if TYPE_CHECKING:", "", *declared]
    body = call(head, [*made, "**properties"], ")", "        ")
    return ["", *call("def __init__(", signature, ") -> None:", "    "), *body]


class Named:
    """Collects the TypedDicts for keyword arguments: one for each set of properties besides those of a root base."""

    def __init__(self) -> None:
        self.made: dict[tuple[str, ...], str] = {}
        self.lines: list[str] = []
        for owner, (kernel, others) in NAMED.items():
            self.name(owner, kernel, others.split(), root(kernel))

    def name(self, owner: str, kernel: str, others: Iterable[str], base: str) -> str:
        """Return the name of the TypedDict with the arguments of `base` and these other properties of a kernel.

        The TypedDict is added if there is none with these properties yet. `owner` determines its name.
        """
        known = properties(kernel)
        types = {name: argument_type(known[name]) for name in known if name in others}
        types |= KEPT.get(owner, KEPT.get(base, {}))
        parent = ROOTS[root(base)]
        if "edge_mode" in types:  # Pad has more edge modes than all other kernels
            parent = "AnyEdgeProperties"
            types["edge_mode"] = 'EdgeName | Literal["mirror", "mirror_with_edge", "constant"]'
        if not types:
            return parent
        fields = [f"    {name}: {of}" for name, of in types.items()]
        key = (parent, *sorted(fields))
        if key not in self.made:
            self.made[key] = f"{owner}Properties"
            self.lines += ["", "", f"class {owner}Properties({parent}, total=False):"]
            self.lines += [f'    """Named arguments of `{owner}`."""', "", *fields]
        return self.made[key]

    def of_base(self, base: str) -> str:
        """Return the TypedDict's name for a base."""
        base = PLAIN.get(base, base)
        if base in ROOTS or BASES[base].takes is None:
            return ROOTS[root(base)]
        taken = names_of(BASES[base].takes or "")
        others = properties_of_base(base).keys() - properties_of_base(root(base)).keys() - {*taken}
        return self.name(base, BASES[base].like.split()[0], others, base)


def root(name: str) -> str:
    """Return the root base (see ROOTS) of a base or kernel. It determines which images the kernel takes."""
    if name in PLAIN:
        return root(PLAIN[name])
    if name in BASES:
        return name if name in ROOTS else root(BASES[name].base)
    whole = "clip_rect" not in properties(name)
    return "Kernel" if whole else "GradientKernel" if "gradient_of" in properties(name) else "UnaryKernel"


# The functions below write the three modules.


def fields_of(base: str, named: Named) -> list[str]:
    """Return the source of the class `{base}Fields`, which declares the properties of one base class of kernels.

    Properties that the base inherits from another base are left out, because its parent class declares them.
    """
    known, inherited = properties_of_base(base), properties_of_base(BASES[base].base)
    lines = ["", "", f"class {base}Fields(PropertyOwner):", f'    """Properties of `{base}`."""', ""]
    lines += [line for name in known if name not in inherited for line in declaration(known[name])]
    takes = BASES[base].takes
    if takes is not None:
        passed = [f"{name}={name}" for name in names_of(takes)]
        lines += constructor(arguments(takes, known), passed, "super().__init__(", named.of_base(base))
    return lines


def descriptor_of(name: str) -> list[str]:
    """Return the lines of a descriptor's class."""
    base, needed = DESCRIPTORS[name]
    held = [
        parameter
        for name, parameter in properties_of_base(base).items()
        if name not in {"result", *properties_of_base(BASES[base].base)}
    ]
    given = ", ".join(p["name"] + ("" if p["name"] == needed else "=") for p in held)
    lines = ["", "", "@dataclass", f"class {name}Fields(NamedFields):", f'    """Fields of `{name}`."""', ""]
    lines += [f"    {argument}" for argument in arguments(given, {p["name"]: p for p in held})]
    lines += ["", "    def properties(self) -> dict[str, Any]:"]
    return [
        *lines,
        '        """Properties of a kernel with this descriptor."""',
        "        return dict(vars(self))",
    ]


def class_of(kernel: str, base: str, takes: str | None, named: Named) -> list[str]:
    """Return the lines of the class of a kernel that has only properties."""
    entry, known = TABLE[kernel], properties(kernel)
    first, *others = entry["meaning"].split("\n\n")
    stated = re.sub(r"\.(?=\s|$)", f", as {entry['apple']}.", first, count=1)
    # If the class's name makes the first paragraph longer than one line, the name gets a separate paragraph.
    if len(stated) > TEXT_WIDTH - 10 >= len(first):
        stated, others = first, [*others, f"Apple's class is {entry['apple']}."]
    lines = ["", "", f"class {kernel}({base}):", *docstring([stated, *others]), ""]
    lines.append(f'    apple_class = "{entry["apple"]}"')
    if root(base) == "GradientKernel" or base == "ArithmeticGradient":
        lines.append(f"    forward_class = {kernel.removesuffix('Gradient')}")
    if base == "Neuron":
        return lines + neuron(kernel, takes or "")
    own = [name for name in known if name not in properties_of_base(base)]
    if own:
        lines += ["", *(line for name in own for line in declaration(known[name]))]
    taken = BASES[PLAIN.get(base, base)].takes if takes is None else takes
    rest = known.keys() - properties_of_base(root(base)).keys() - {*names_of(taken or "")}
    used = named.name(kernel, kernel, {*rest, "edge_mode"} if kernel == "Pad" else rest, base)
    if takes is not None or used != named.of_base(base):
        head = "" if takes is None else "Kernel.__init__("
        passed = ["self", *(f"{name}={name}" for name in names_of(taken or ""))]
        lines += constructor(arguments(taken or "", known), passed, head, used)
    return lines


def neuron(kernel: str, takes: str) -> list[str]:
    """Return the constructor of a neuron kernel, whose arguments are the function's parameters."""
    descriptor = properties(kernel)["neuron_descriptor"]["default"]
    given = {
        name: {"name": name, "type": "number", "meaning": "", "default": value}
        for name, value in descriptor.items()
    }
    made = [json.dumps(descriptor["neuron_type"]), *names_of(takes)]
    signature = arguments(takes, given)
    if takes == "a":
        made, signature = [made[0], "data=a"], ["a: Any"]
    passed = f"NeuronDescriptor({', '.join(made)})"
    return constructor(signature, [passed], "super().__init__(", "UnaryProperties")


def order(name: str) -> tuple[bool, str]:
    """Return the key by which imported names are sorted: constants first."""
    return not name.isupper(), name


def imports(text: str, modules: Mapping[str, Iterable[str]], indent: str = "") -> list[str]:
    """Return the imports of those names that a text uses."""
    found = []
    for module, given in sorted(modules.items()):
        used = sorted((name for name in given if re.search(rf"\b{name}\b", text)), key=order)
        line = f"{indent}from {module} import {', '.join(used)}"
        if len(line) > CODE_WIDTH:
            line = (
                f"{indent}from {module} import (\n"
                + "".join(f"{indent}    {name},\n" for name in used)
                + f"{indent})"
            )
        found += [line] if used else []
    return found


def module(
    title: str,
    lines: Sequence[str],
    modules: Mapping[str, Iterable[str]],
    named: Named,
    public: Iterable[str] = (),
) -> str:
    """Return the text of a module with classes."""
    exported = ["", "__all__ = [", *(f'    "{name}",' for name in sorted(public)), "]"] if public else []
    text = "\n".join(lines)
    typed: dict[str, Iterable[str]] = {
        "mpscnn.kernels.named": {*ROOTS.values(), *named.made.values(), *LITERALS.values()}
    }
    if "mpscnn.kernels.neuron_descriptor" not in modules:
        typed["mpscnn.kernels.neuron_descriptor"] = ["NeuronDescriptor"]
    library: dict[str, Iterable[str]] = {
        "collections.abc": ["Sequence"],
        "dataclasses": ["dataclass"],
        "typing": ["TYPE_CHECKING", "Any"],
    }
    parts = [
        f'"""{title}. `python docs/generate` writes this file."""',
        "",
        "from __future__ import annotations",
        "",
        *imports(f"{text} TYPE_CHECKING", library),
        "",
        *imports(text, modules),
        "",
        "if TYPE_CHECKING:",
        "    from typing_extensions import Unpack",
        "",
        *imports(text, typed, "    "),
        *exported,
        text,
        "",
    ]
    return "\n".join(parts)


def named_module(named: Named) -> str:
    """Return the text of named.py."""
    lines = [
        '"""The named arguments of raw kernels, for type checkers. `python docs/generate` writes this file."""',
        "",
        "from __future__ import annotations",
        "",
        "from collections.abc import Callable, Sequence",
        "from typing import Literal, TypedDict",
        "",
        "from mpscnn._private.literals import EdgeName",
        "from mpscnn.graph.padding import DefaultPadding, PaddingMethod",
        "from mpscnn.kernels.properties import Extent, Region",
        "from mpscnn.runtime.feature_image import Image",
        "",
        "Place = tuple[int, int] | tuple[int, int, int]",
        "Clip = tuple[int, int, int, int] | Region | None",
    ]
    for name, literal in LITERALS.items():
        lines += call(f"{literal} = Literal[", list(map(json.dumps, literal_values(name))), "]", "")
    for name, parent, bases, pattern in (
        ("Label", "TypedDict", "Kernel", ""),
        ("Kernel", "TypedDict", "Kernel PlacedKernel", ""),
        ("AnyEdge", "KernelProperties", "UnaryKernel", "(?!edge_mode)"),
        ("Unary", "AnyEdgeProperties", "UnaryKernel", "edge_mode"),
        ("Binary", "KernelProperties", "BinaryKernel", ""),
        ("Gradient", "BinaryProperties", "GradientKernel", ""),
    ):
        lines += ["", "", f"class {name}Properties({parent}, total=False):"]
        lines += [f'    """Named arguments of every `{bases.split()[-1]}`."""', ""]
        for base in bases.split():
            known = properties_of_base(base)
            lines += [
                f"    {field}: {argument_type(known[field])}"
                for field in known
                if field not in properties_of_base(BASES[base].base) and re.match(pattern, field)
            ]
        if parent == "TypedDict":
            lines.append("    destination_image_allocator: Callable[..., Image]")
    return "\n".join([*lines, *named.lines, ""])


def files() -> dict[Path, str]:
    """Return the text of each of the three modules, by its path."""
    named = Named()
    fields = [line for base in BASES for line in fields_of(base, named)]
    fields += [line for name in DESCRIPTORS for line in descriptor_of(name)]
    classes: list[str] = []
    public: list[str] = []
    for base, kernels in CLASSES.items():
        for kernel, brackets, takes in re.findall(r"(\w+)(?:(\()([^)]*)\))?", kernels):
            classes += class_of(kernel, base, takes if brackets else None, named)
            public.append(kernel)
    used = [name for name, _ in TYPES.values() if name != "Transform"]
    properties_module = {
        "mpscnn.kernels.properties": [*used, "PropertyOwner"],
        "mpscnn.kernels.scale_transform": ["Transform"],
        "mpscnn.kernels.named_fields": ["NamedFields"],
    }
    bases = {f"mpscnn.kernels.{name}": given.split() for name, given in MODULES.items()}
    return {
        KERNELS / "fields.py": module("The properties of raw kernels", fields, properties_module, named),
        KERNELS / "classes.py": module(
            "Raw kernels that have only properties", classes, {**properties_module, **bases}, named, public
        ),
        KERNELS / "named.py": named_module(named),
    }
