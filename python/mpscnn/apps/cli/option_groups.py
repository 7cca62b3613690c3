"""Turn the fields of `CompileOptions`, `RunOptions` and dataclasses into options of commands."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import is_dataclass
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from mpscnn._private import literals
from mpscnn.apps.cli.arguments import parse_device
from mpscnn.errors import ParameterError
from mpscnn.runtime.options import LOAD_FIELDS, CompileOptions, Option, RunOptions

#: Default values for the parameters that `add_options` replaces by options.
COMPILE, RUN = CompileOptions(), RunOptions()

_Group = CompileOptions | RunOptions
_PARSERS = {"device": parse_device}
_UNITS = {"device": "DEVICE", "max_memory": "BYTES"}


def add_options(
    *, only: Iterable[str] = LOAD_FIELDS, without: Iterable[str] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate a command: parameters whose default is a group of options become one option for each field.

    A group is a `CompileOptions`, a `RunOptions`, or a dataclass whose fields are annotated like commands' parameters.

    Args:
        only: the fields of `CompileOptions` and `RunOptions` that become options.
        without: such fields that do not become options. They keep the values of the parameter's default.
    """
    has = {*only} - {*without}

    def changed(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command)
        types = get_type_hints(command, include_extras=True)
        groups: dict[str, _Group] = {}
        records: dict[str, tuple[type, list[str]]] = {}
        parameters: list[inspect.Parameter] = []
        for parameter in signature.parameters.values():
            if isinstance(parameter.default, _Group):
                group = groups[parameter.name] = parameter.default
                parameters += [_parameter(group, field) for field in group.fields if field in has]
            elif is_dataclass(kind := type(parameter.default)):
                fields = _fields(parameter.default)
                records[parameter.name] = kind, [field.name for field in fields]
                parameters += fields
            else:
                parameters.append(parameter.replace(annotation=types[parameter.name]))

        @functools.wraps(command)
        def call(**given: Any) -> None:
            for name, group in groups.items():
                values = {field: given.pop(field, None) for field in group.fields}
                # None means that the option was not given.
                given[name] = group.replaced(**{f: v for f, v in values.items() if v is not None})
            for name, (kind, fields) in records.items():
                given[name] = kind(**{field: given.pop(field) for field in fields})
            command(**given)

        call.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return call

    return changed


def _fields(group: Any) -> list[inspect.Parameter]:
    """Return the fields of a dataclass as parameters, with the values of `group` as defaults."""
    return [
        inspect.Parameter(
            name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=getattr(group, name), annotation=kind
        )
        for name, kind in get_type_hints(type(group), include_extras=True).items()
    ]


def _parameter(group: _Group, name: str) -> inspect.Parameter:
    option = group.fields[name]
    kind: Any = _kind(group, name)
    default = getattr(group, name)
    dashed = name.replace("_", "-")
    names = [f"--{dashed}/--no-{dashed}" if option.default is True else f"--{dashed}"]
    told: dict[str, Any] = {"help": option.text[0].upper() + option.text[1:], "callback": _checks(option)}
    is_choice = kind is bool or get_origin(kind) is Literal
    if not is_choice and not isinstance(option.default, kind):
        # The default is None, or "auto" for a number.
        default, kind = None if default == option.default else default, kind | None
        told |= {"metavar": _UNITS.get(name, "N" if kind == int | None else "NAME")}
    elif name in _PARSERS:
        told |= {"metavar": _UNITS[name], "parser": _PARSERS[name]}
    annotation: Any = Annotated[kind, typer.Option(*names, **told)]
    return inspect.Parameter(
        name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=annotation
    )


def _checks(option: Option) -> Callable[[typer.CallbackParam, Any], Any]:
    """Return a callback that checks the option's value and reports an error as wrong usage."""

    def check(parameter: typer.CallbackParam, value: Any) -> Any:
        if value is not None:
            try:
                option.check(str(parameter.name), value)
            except ParameterError as error:
                raise typer.BadParameter(str(error)) from error
        return value

    return check


def _kind(group: _Group, name: str) -> Any:
    """Return a field's type for Typer: a choice of texts, otherwise the type without "auto" and None."""
    known = get_type_hints(type(group), localns={**vars(literals), "Literal": Literal})
    kind = known[name]
    parts = [part for part in get_args(kind) if isinstance(part, type) and part is not NoneType]
    return parts[0] if parts else kind
