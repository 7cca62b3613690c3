"""Write the declarations of the classes that `mpscnn.kernels` makes of the core's table, for type checkers and editors.

- `fields.pyi`: base classes with the properties of the kernels that are written by hand.
- `classes.pyi`: the kernels that have only properties.
- `named.pyi`: the named arguments of constructors.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from argument_types import KEPT, LITERALS, MODULES, NAMED, ROOTS, TYPES

from mpscnn.kernels import made_classes
from mpscnn.kernels.class_table import BASES, DESCRIPTORS, PLAIN
from mpscnn.kernels.made_classes import (
    PROPERTY_CLASSES,
    TABLE,
    kind,
    new_parameters,
    parameters_of,
    parameters_of_base,
)

KERNELS = Path(__file__).resolve().parents[2] / "python" / "mpscnn" / "kernels"
CODE_WIDTH, TEXT_WIDTH = 110, 120


def argument_type(parameter: dict[str, Any]) -> str:
    """Return the Python type of a property as an argument."""
    allowed = parameter.get("allowed")
    if allowed and "edge_mode" in parameter["name"]:
        return "EdgeName"
    for name, literal in LITERALS.items():
        if allowed and allowed == literal_values(name):
            return literal
    return TYPES[kind(parameter)]


def literal_values(name: str) -> list[str]:
    """Return the names that are allowed as values of a property."""
    found = [all_of[name] for all_of in map(parameters_of, TABLE) if name in all_of]
    values: list[str] = found[0]["allowed"]
    return values


def source(value: Any) -> str:
    """Return a default value as Python source."""
    return json.dumps(value) if isinstance(value, str) else repr(value)


# The functions below write Python source in the form in which ruff formats it.


def call(head: str, arguments: Sequence[str], tail: str, indent: str) -> list[str]:
    """Return the lines of a function's head or of a subscript."""
    joined = ", ".join(arguments)
    if len(indent + head + joined + tail) <= CODE_WIDTH:
        return [indent + head + joined + tail]
    if len(indent + "    " + joined) <= CODE_WIDTH:
        return [indent + head, f"{indent}    {joined}", indent + tail]
    return [indent + head, *(f"{indent}    {argument}," for argument in arguments), indent + tail]


def docstring(text: str) -> list[str]:
    """Return the lines of a class's docstring."""
    first, *others = (textwrap.wrap(paragraph, TEXT_WIDTH - 4) for paragraph in text.split("\n\n"))
    if not others and len(first) == 1:
        return [f'    """{first[0]}"""']
    lines = [f'    """{first[0]}']
    for paragraph in [first[1:], *others] if first[1:] else others:
        lines += ["", *("    " + line for line in paragraph)]
    return [*lines, '    """']


def declaration(parameter: dict[str, Any]) -> str:
    """Return the line that declares a property in the body of a class."""
    return f"    {parameter['name']}: {PROPERTY_CLASSES[kind(parameter)].__name__}"


def arguments(takes: str, types: Mapping[str, str], defaults: Mapping[str, Any]) -> list[str]:
    """Return the arguments of a constructor with their types and defaults."""
    found = []
    for name in filter(None, takes.split(", ")):
        plain = name.rstrip("=")
        found.append(name if name == "*" else f"{plain}: {types[plain]}")
        if name.endswith("="):
            found[-1] += f" = {source(defaults[plain])}"
    return found


def arguments_of(takes: str, known: Mapping[str, dict[str, Any]]) -> list[str]:
    """Return the arguments of a constructor that are properties."""
    types = {name: argument_type(parameter) for name, parameter in known.items()}
    return arguments(takes, types, {name: made_classes.default(given) for name, given in known.items()})


def names_of(takes: str) -> list[str]:
    """Return the names of the arguments of a constructor."""
    return re.findall(r"\w+", takes)


def constructor(given: Sequence[str], named: str) -> list[str]:
    """Return the lines of a constructor."""
    signature = ["self", *given, f"**properties: Unpack[{named}]"]
    return call("def __init__(", signature, ") -> None: ...", "    ")


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
        known = parameters_of(kernel)
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
            within = [made for made in self.made if made[0] == parent and {*made[1:]} < {*fields}]
            inherited = max(within, key=len, default=())
            above = self.made.get(inherited, parent)
            self.made[key] = f"{owner}Properties"
            self.lines += ["", f"class {owner}Properties({above}, total=False):"]
            self.lines += [field for field in fields if field not in inherited]
        return self.made[key]

    def of_base(self, base: str) -> str:
        """Return the TypedDict's name for a base."""
        base = PLAIN.get(base, base)
        if base in ROOTS or BASES[base].takes is None:
            return ROOTS[root(base)]
        taken = names_of(BASES[base].takes or "")
        others = parameters_of_base(base).keys() - parameters_of_base(root(base)).keys() - {*taken}
        return self.name(base, BASES[base].like.split()[0], others, base)


def root(name: str) -> str:
    """Return the root base (see ROOTS) of a base or kernel. It determines which images the kernel takes."""
    if name in PLAIN:
        return root(PLAIN[name])
    if name in BASES:
        return name if name in ROOTS else root(BASES[name].base)
    whole = "clip_rect" not in parameters_of(name)
    return "Kernel" if whole else "GradientKernel" if "gradient_of" in parameters_of(name) else "UnaryKernel"


# The functions below write the three modules.


def fields_of(base: str, named: Named) -> list[str]:
    """Return the declaration of the class `{base}Fields`."""
    lines = ["", f"class {base}Fields(PropertyOwner):"]
    lines += map(declaration, new_parameters(base).values())
    takes = BASES[base].takes
    if takes is not None:
        lines += constructor(arguments_of(takes, parameters_of_base(base)), named.of_base(base))
    return lines


def descriptor_of(name: str) -> list[str]:
    """Return the declaration of a descriptor's class."""
    base, needed = DESCRIPTORS[name]
    held = {name: given for name, given in new_parameters(base).items() if name != "result"}
    takes = ", ".join(key if key == needed else f"{key}=" for key in held)
    lines = ["", "@dataclass", f"class {name}Fields(NamedFields):"]
    return lines + [f"    {argument}" for argument in arguments_of(takes, held)]


def class_of(kernel: str, base: str, takes: str | None, named: Named) -> list[str]:
    """Return the declaration of the class of a kernel that has only properties."""
    known = parameters_of(kernel)
    lines = ["", f"class {kernel}({base}):", *docstring(made_classes.summary(kernel))]
    if base == "Neuron":
        defaults = made_classes.fixed_arguments(kernel)
        types = dict.fromkeys(names_of(takes or ""), "float" if takes != "a" else "Any")
        return lines + constructor(arguments(takes or "", types, defaults), "UnaryProperties")
    declared = [declaration(known[name]) for name in known if name not in parameters_of_base(base)]
    lines += ["", *declared] if declared else []
    taken = BASES[PLAIN.get(base, base)].takes if takes is None else takes
    rest = known.keys() - parameters_of_base(root(base)).keys() - {*names_of(taken or "")}
    used = named.name(kernel, kernel, {*rest, "edge_mode"} if kernel == "Pad" else rest, base)
    if takes is not None or used != named.of_base(base):
        lines += constructor(arguments_of(taken or "", known), used)
    return lines


def imports(text: str, modules: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the imports of those names that a text uses."""
    found = []
    for module, given in sorted(modules.items()):
        used = sorted(name for name in given if re.search(rf"\b{name}\b", text))
        line = f"from {module} import {', '.join(used)}"
        if len(line) > CODE_WIDTH:
            line = f"from {module} import (\n" + "".join(f"    {name},\n" for name in used) + ")"
        found += [line] if used else []
    return found


def module(title: str, lines: Sequence[str], modules: Mapping[str, Iterable[str]], public: str = "") -> str:
    """Return the text of a module with declarations."""
    text = "\n".join(lines)
    library = {"collections.abc": ["Callable", "Sequence"], "dataclasses": ["dataclass"]}
    typing = {"typing": ["Any", "Literal", "TypedDict"], "typing_extensions": ["Unpack"]}
    own = imports(text, {"typing_extensions": ["Unpack"]})
    head = [f'"""{title}. `python docs/generate` writes this file."""', ""]
    standard = imports(text, {**library, "typing": typing["typing"]})
    parts = [*standard, *([""] if standard and own else []), *own, *([""] if standard or own else [])]
    return "\n".join([*head, *parts, *imports(text, modules), public, *lines, ""]).replace("\n\n\n", "\n\n")


def named_module(named: Named) -> str:
    """Return the text of named.pyi."""
    lines = [
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
        lines += ["", f"class {name}Properties({parent}, total=False):"]
        for base in bases.split():
            known = new_parameters(base)
            lines += [
                f"    {name}: {argument_type(known[name])}" for name in known if re.match(pattern, name)
            ]
        if parent == "TypedDict":
            lines.append("    destination_image_allocator: Callable[..., Image]")
    modules = {
        "mpscnn._private.literals": ["EdgeName"],
        "mpscnn.graph.padding": ["DefaultPadding", "PaddingMethod"],
        "mpscnn.kernels.neuron_descriptor": ["NeuronDescriptor"],
        "mpscnn.kernels.properties": ["Extent", "Region"],
        "mpscnn.runtime.feature_image": ["Image"],
    }
    return module("The named arguments of raw kernels", [*lines, *named.lines], modules)


def files() -> dict[Path, str]:
    """Return the text of each of the three modules, by its path."""
    named = Named()
    fields = [line for base in BASES for line in fields_of(base, named)]
    fields += [line for name in DESCRIPTORS for line in descriptor_of(name)]
    made = list(made_classes.kernels())
    classes = [line for kernel, base, takes in made for line in class_of(kernel, base, takes, named)]
    public = ["", "__all__ = [", *(f'    "{name}",' for name in sorted(name for name, _, _ in made)), "]"]
    modules = {
        "mpscnn.kernels.named": {*ROOTS.values(), *named.made.values(), *LITERALS.values()},
        "mpscnn.kernels.named_fields": ["NamedFields"],
        "mpscnn.kernels.neuron_descriptor": ["NeuronDescriptor"],
        "mpscnn.kernels.properties": [
            *{made.__name__ for made in PROPERTY_CLASSES.values()} - {"Transform"},
            "PropertyOwner",
        ],
        "mpscnn.kernels.scale_transform": ["Transform"],
    }
    bases = {f"mpscnn.kernels.{name}": given.split() for name, given in MODULES.items()}
    return {
        KERNELS / "fields.pyi": module("The properties of raw kernels", fields, modules),
        KERNELS / "classes.pyi": module(
            "Raw kernels that have only properties", classes, {**modules, **bases}, "\n".join(public)
        ),
        KERNELS / "named.pyi": named_module(named),
    }
