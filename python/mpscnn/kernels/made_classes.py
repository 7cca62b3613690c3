"""Make classes of raw kernels from the core's table when they are imported.

`docs/generate` writes `classes.pyi`, `fields.pyi` and `named.pyi`, which declare the same classes for type checkers and
editors.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, field, make_dataclass
from typing import Any

from mpscnn import _core
from mpscnn.kernels import properties as property_types
from mpscnn.kernels import scale_transform
from mpscnn.kernels.apple_names import property_hint
from mpscnn.kernels.class_table import BASES, CLASSES, DESCRIPTORS, PLAIN
from mpscnn.kernels.named_fields import NamedFields
from mpscnn.kernels.properties import Property, PropertyOwner

Parameter = dict[str, Any]
LINE = 110  # the longest first line of a docstring
#: The kernels of the core by name.
TABLE: dict[str, dict[str, Any]] = {entry["name"]: entry for entry in json.loads(_core.kernels())}
#: The classes of properties by the type that the core's table states.
PROPERTY_CLASSES: dict[str, type[Property[Any]]] = {
    "boolean": property_types.Flag,
    "integer": property_types.Integer,
    "neuron descriptor": property_types.Descriptor,
    "number": property_types.Number,
    "numbers": property_types.Numbers,
    "offset": property_types.Offset,
    "padding": property_types.Padding,
    "region": property_types.ClipRect,
    "scale transform": scale_transform.Transform,
    "size": property_types.Size,
    "string": property_types.Text,
}


def parameters_of(kernel: str) -> dict[str, Parameter]:
    """Return the properties of a kernel by name."""
    entry = TABLE[kernel]
    return {parameter["name"]: parameter for parameter in [*entry["fixed"], *entry["properties"]]}


def parameters_of_base(base: str) -> dict[str, Parameter]:
    """Return all properties of a base class by name, including inherited ones."""
    if not base:
        return {}
    if base in PLAIN:
        return parameters_of_base(PLAIN[base])
    first, *others = map(parameters_of, BASES[base].like.split())
    return {name: parameter for name, parameter in first.items() if all(name in other for other in others)}


def new_parameters(base: str) -> dict[str, Parameter]:
    """Return the properties of a base class that its own base class does not have."""
    inherited = parameters_of_base(BASES[base].base)
    return {name: given for name, given in parameters_of_base(base).items() if name not in inherited}


def kind(parameter: Parameter) -> str:
    """Return the key of a property's class in PROPERTY_CLASSES."""
    is_size = parameter["type"] == "offset" and "channels" in parameter["meaning"]
    return "size" if is_size else str(parameter["type"])


def default(parameter: Parameter) -> Any:
    """Return the default value of a property."""
    value = parameter["default"]
    if isinstance(value, float):
        return float(f"{value:.7g}")  # 7 digits give the number as it was written in float32
    return tuple(value) if isinstance(value, list) else value


def meaning(parameter: Parameter) -> str:
    """Return the documentation of a property as one sentence, with the values that it may have."""
    text: str = parameter["meaning"].replace("null:", "None:")
    text = text.replace(
        "width, height, depth)", "width, height, depth), or (x, y, width, height) of all images"
    )
    if not text.partition(" ")[0].endswith(":"):  # such as the name of a loss
        text = text[0].upper() + text[1:]
    text += "."
    allowed = parameter.get("allowed", [])
    if 0 < len(allowed) <= 6 and not re.search(r"'\w+'", text):
        text += f" One of {', '.join(map(repr, allowed))}."
    return text


def summary(kernel: str) -> str:
    """Return the documentation of a kernel, with the name of Apple's class."""
    entry = TABLE[kernel]
    first, *others = entry["meaning"].split("\n\n")
    stated = re.sub(r"\.(?=\s|$)", f", as {entry['apple']}.", first, count=1)
    if len(stated) > LINE >= len(first):
        stated, others = first, [*others, f"Apple's class is {entry['apple']}."]
    return "\n\n".join([stated, *others])


def kernels() -> Iterator[tuple[str, str, str | None]]:
    """Yield the name of each kernel that is made here, its base, and the arguments of its constructor.

    The arguments are None if the kernel inherits its constructor.
    """
    for base, made in CLASSES.items():
        for name, brackets, takes in re.findall(r"(\w+)(?:(\()([^)]*)\))?", made):
            yield name, base, takes if brackets else None


def fixed_arguments(name: str) -> dict[str, Any]:
    """Return the defaults of a constructor's arguments by name.

    The arguments of a kernel with one activation function are the parameters of the function.
    """
    known = parameters_of(name)
    if "neuron_descriptor" in known:
        function = known["neuron_descriptor"]["default"]
        return {parameter: default({"default": value}) for parameter, value in function.items()}
    return {key: default(given) for key, given in known.items()}


def _declared(parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """Return the properties of a class by name."""
    return {name: PROPERTY_CLASSES[kind(given)](meaning(given)) for name, given in parameters.items()}


def _constructor(takes: str, known: Mapping[str, Any], make: Callable[..., None]) -> Callable[..., None]:
    """Return a constructor that calls `make` with the new object and with its arguments by name.

    `takes` lists the arguments as Base.takes does, and `known` has the defaults.
    """
    parameters = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    by_place, _, by_keyword = takes.partition("*, ")
    for names, place in (
        (by_place, inspect.Parameter.POSITIONAL_OR_KEYWORD),
        (by_keyword, inspect.Parameter.KEYWORD_ONLY),
    ):
        for name in filter(None, names.split(", ")):
            own = known[name[:-1]] if name.endswith("=") else inspect.Parameter.empty
            parameters.append(inspect.Parameter(name.rstrip("="), place, default=own))
    signature = inspect.Signature(
        [*parameters, inspect.Parameter("properties", inspect.Parameter.VAR_KEYWORD)]
    )

    def __init__(self: Any, *given: Any, **properties: Any) -> None:  # noqa: N807, the name of a method
        try:
            bound = signature.bind(self, *given, **properties)
        except TypeError as error:
            named = [one.name for one in parameters[1:] if one.kind == one.KEYWORD_ONLY]
            places = [one.name for one in parameters[1:] if one.name not in named]
            hints = (property_hint(name, list(signature.parameters)) for name in properties)
            hint = next(filter(None, hints), "")
            if len(given) > len(places):
                by_name = f", and {', '.join(f'{name}=' for name in named)} by name" if named else ""
                hint = f"; it takes {', '.join(places) or 'nothing'} by position{by_name}"
            raise TypeError(f"{type(self).__name__}: {error}{hint}") from None
        bound.apply_defaults()
        arguments = bound.arguments
        make(self, **{name: arguments[name] for name in list(arguments)[1:-1]}, **arguments["properties"])

    __init__.__signature__ = signature  # type: ignore[attr-defined]
    return __init__


def fields_of(base: str) -> Any:
    """Return the class `{base}Fields` with those properties of a base class that it does not inherit."""
    content = {"__doc__": f"Properties of `{base}`.", "__module__": "mpscnn.kernels.fields"}
    made: Any = type(f"{base}Fields", (PropertyOwner,), {**content, **_declared(new_parameters(base))})
    takes = BASES[base].takes
    if takes:
        defaults = {name: default(given) for name, given in parameters_of_base(base).items()}

        def make(owner: Any, **properties: Any) -> None:
            super(made, owner).__init__(**properties)

        made.__init__ = _constructor(takes, defaults, make)
    return made


def descriptor_of(name: str) -> type:
    """Return the dataclass `{name}Fields` with the properties of a base class, except for its result."""
    base, needed = DESCRIPTORS[name]
    held = {name: default(given) for name, given in new_parameters(base).items() if name != "result"}
    return make_dataclass(
        f"{name}Fields",
        [(key, "Any", field(default=MISSING if key == needed else value)) for key, value in held.items()],
        bases=(NamedFields,),
        namespace={"__doc__": f"Fields of `{name}`.", "__module__": "mpscnn.kernels.fields"},
    )


def class_of(name: str, base: type, takes: str | None, make: Callable[..., None], **attributes: Any) -> type:
    """Return the class of a kernel that has only properties.

    Args:
        name: the kernel's name.
        base: its base class.
        takes: the arguments of its constructor, as in `Base`; None: the constructor of the base class.
        make: the function that the constructor calls with its arguments by name.
        attributes: other attributes of the class.
    """
    inherited = parameters_of_base(base.__name__)
    own = {key: given for key, given in parameters_of(name).items() if key not in inherited}
    content = {"__doc__": summary(name), "__module__": "mpscnn.kernels.classes", **attributes}
    if takes is not None:
        content["__init__"] = _constructor(takes, fixed_arguments(name), make)
    return type(name, (base,), {**content, **_declared(own)})
