"""Write the option structs of layers and raw kernels for C++ from the tables that the installed package has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import mpscnn
from mpscnn import _core

INCLUDE = Path(__file__).resolve().parents[2] / "cpp" / "include" / "mpscnn"

HEADER = """// clang-format off

/// {about} Part of mpscnn.hpp, which includes this file.
///
///     {example}
///
/// Written by docs/generate.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

{includes}

namespace mpscnn {{
inline namespace api {{
namespace {space} {{
"""
FOOTER = """
}} // namespace {space}
}} // namespace api
}} // namespace mpscnn
"""

#: Names of enumerations that several operations share. Other enumerations are named after operation and parameter.
SHARED = {
    ("valid", "same", "full", "explicit"): "PaddingPolicy",
    ("zero", "clamp", "exclude"): "Edge",
    ("position_major", "channel_major"): "ChannelOrder",
    ("binary_weights", "xnor", "and"): "BinaryKind",
    ("non_premultiplied", "alpha_is_one", "premultiplied"): "AlphaType",
    ("none", "srgb", "linear_srgb", "gray_gamma_2_2", "linear_gray"): "ColorSpace",
    ("equal", "not_equal", "less", "less_or_equal", "greater", "greater_or_equal"): "ComparisonType",
    ("zero", "clamp", "mirror", "mirror_with_edge", "constant"): "EdgeMode",
} | {
    tuple(parameter["allowed"]): "NeuronKind"
    for entry in mpscnn.operations()
    for parameter in entry["parameters"]
    if (entry["name"], parameter["name"]) == ("neuron", "kind")
}
#: The names in the tables that are keywords of C++.
KEYWORDS = {"and", "explicit"}
TYPES = {
    "integer": "std::int64_t",
    "number": "double",
    "boolean": "bool",
    "string": "std::string",
    "integers": "std::vector<std::int64_t>",
    "numbers": "std::vector<double>",
    "offset": "std::array<std::int64_t, 3>",
    "padding": "std::int64_t",
    "region": "std::optional<std::array<std::int64_t, 6>>",
    "scale transform": "std::optional<std::array<double, 4>>",
    "neuron descriptor": "std::optional<NeuronDescriptor>",
}
INT64_MAX = 2**63 - 1


def pascal(name: str) -> str:
    """Convert a name such as local_contrast to LocalContrast."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def enumerator(name: str) -> str:
    """Return the C++ name for a value: keywords get an underscore."""
    return f"{name}_" if name in KEYWORDS else name


class Enumerations:
    """The enumerations that the structs use, by their tuples of allowed values."""

    def __init__(self) -> None:
        self.names: dict[tuple[str, ...], str] = {}

    def name(self, owner: str, parameter: dict[str, Any]) -> str:
        """Return the enumeration's name for a parameter of an operation or kernel."""
        allowed = tuple(parameter["allowed"])
        name = SHARED.get(allowed, pascal(owner) + pascal(parameter["name"]))
        return self.names.setdefault(allowed, name)

    def text(self) -> str:
        """Return the definitions of all enumerations."""
        return "".join(self._one(name, allowed) for allowed, name in self.names.items())

    @staticmethod
    def _one(name: str, allowed: tuple[str, ...]) -> str:
        values = ", ".join(enumerator(value) for value in allowed)
        strings = ", ".join(f'"{value}"' for value in allowed)
        return (
            f"\nenum class {name} {{ {values} }};\n"
            f"constexpr std::array<const char *, {len(allowed)}> names_of({name}) {{ return {{{strings}}}; }}\n"
        )


def _default(parameter: dict[str, Any], kind: str) -> str:
    value = parameter["default"]
    if "allowed" in parameter:
        return f" = {kind}::{enumerator(value)}"
    if isinstance(value, list):
        return "{" + ", ".join(map(str, value)) + "}"
    if value is None or kind.startswith("std::optional") or value == "":
        return "{}"
    if value == INT64_MAX:
        return " = INT64_MAX"
    return f" = {json.dumps(value)}"


def _struct(
    heading: str, summary: str, parameters: list[dict[str, Any]], owner: str, found: Enumerations
) -> list[str]:
    lines = [f"/// {summary}", f"{heading} {{"]
    for parameter in parameters:
        kind = found.name(owner, parameter) if "allowed" in parameter else TYPES[parameter["type"]]
        meaning = parameter["meaning"]
        if parameter["type"] in ("region", "scale transform"):
            meaning = meaning.replace("null:", "empty:")
        elif kind.startswith("std::optional"):
            meaning = f"{meaning}; empty: what the class has by itself"
        lines.append(f"    {kind} {parameter['name']}{_default(parameter, kind)}; ///< {meaning}")
    visited = " ".join(f'visit("{p["name"]}", {p["name"]});' for p in parameters)
    unused = "" if parameters else "[[maybe_unused]] "
    body = f" {visited} " if visited else ""
    return [*lines, f"    template <class Visit> void visit_fields({unused}Visit &&visit) const {{{body}}}"]


def layers() -> str:
    """Return the text of layer.hpp, with a struct for each operation."""
    found, structs = Enumerations(), ""
    for entry in mpscnn.operations():
        lines = _struct(
            f"struct {pascal(entry['name'])}",
            entry["summary"],
            entry["parameters"],
            entry["name"],
            found,
        )
        lines.insert(2, f'    static constexpr const char *operation = "{entry["name"]}";')
        structs += "\n" + "\n".join([*lines, "};"]) + "\n"
    head = HEADER.format(
        about="Option structs of layers, the operations of docs/operations.md.",
        example='x = graph.add(mpscnn::layer::Pooling{.kernel_height = 2, .kernel_width = 2}, "pool1", x);',
        includes='#include "json.hpp"',
        space="layer",
    )
    return head + found.text() + structs + FOOTER.format(space="layer")


def _first_sentence(meaning: str) -> str:
    return re.split(r"(?<=\.)\s", meaning)[0]


def _shape_of(parameters: list[dict[str, Any]]) -> str:
    """Return a key that is equal for kernels which share a struct: all parameters, except default neurons."""
    plain = [{**p, "default": None} if p["type"] == "neuron descriptor" else p for p in parameters]
    return json.dumps([{key: value for key, value in p.items() if key != "meaning"} for p in plain])


def kernels() -> str:
    """Return the text of kernel_options.hpp: a struct for each Apple class. Equal structs share a template."""
    found, structs = Enumerations(), ""
    groups: dict[str, list[dict[str, Any]]] = {}
    for entry in json.loads(_core.kernels()):
        groups.setdefault(_shape_of(entry["fixed"] + entry["properties"]), []).append(entry)
    for entries in groups.values():
        first = entries[0]
        name = f"{first['name']}Options"
        lines = _struct(
            f"template <detail::ClassName Name> struct {name}",
            "The options of " + ", ".join(entry["apple"] for entry in entries) + ".",
            first["fixed"] + first["properties"],
            re.sub(r"(?<!^)(?=[A-Z])", "_", first["name"]).lower(),
            found,
        )
        lines.insert(2, "    static constexpr const char *kernel_class = Name.text;")
        structs += "\n" + "\n".join([*lines, "};"]) + "\n"
        structs += "".join(
            f'using {entry["name"]} = {name}<"{entry["name"]}">; ///< {_first_sentence(entry["meaning"])}\n'
            for entry in entries
        )
    head = HEADER.format(
        about="Properties of raw kernels as structs, one for each of Apple's classes.",
        example="mpscnn::Kernel pool(mpscnn::kernel::PoolingMax{.kernel_width = 2, .kernel_height = 2});",
        includes='#include "json.hpp"\n#include "layer.hpp"',
        space="kernel",
    )
    return head + found.text() + NEURON_DESCRIPTOR + structs + FOOTER.format(space="kernel")


NEURON_DESCRIPTOR = """
/// The options of MPSNNNeuronDescriptor: a function of mpscnn::layer::Neuron, whose parameters
/// docs/ops/neuron.md explains.
struct NeuronDescriptor {
    layer::NeuronKind neuron_type = layer::NeuronKind::none;
    double a = 0.0, b = 0.0, c = 0.0;
    template <class Visit> void visit_fields(Visit &&visit) const {
        visit("neuron_type", neuron_type); visit("a", a); visit("b", b); visit("c", c);
    }
};
"""


def files() -> dict[Path, str]:
    """Return both headers by their paths."""
    return {INCLUDE / "layer.hpp": layers(), INCLUDE / "kernel_options.hpp": kernels()}
