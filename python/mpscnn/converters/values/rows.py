"""Rows of a format's table: functions whose signature is the schema of an operator.

A signature has three parts. First come parameters that the reader gives by their type, such as its context. Operands
follow: parameters annotated with an `Operand`, in the order of the file or by the file's names. Keyword-only parameters
are settings: the annotation says what a setting may be, and the default what it is if the file leaves it out.

`call` reads operands and settings from the file, refuses what the signature does not allow, and calls the function.
So a row never reads, checks or refuses a setting by itself, and pages, property tests and writers can ask the
signature, too.
"""

from __future__ import annotations

import functools
import inspect
import math
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.errors import UnsupportedError, WeightsError

Row = Callable[..., Any]
"""Computes the result or the results of an operator. None: it has set the results itself."""

_MAX_SHOWN = 60  # the maximum number of characters of a setting in a message


@dataclass(frozen=True)
class Operand:
    """The annotation of a parameter that is an operand.

    Attributes:
        what: the beginning of messages about the operand.
        whole_numbers: whether it may be computed integers.
        keeps_state: whether it stays a constant if the file has it as one, even if others are computed.
        becomes_tensor: whether a constant becomes a layer's result.
        or_setting: whether some versions of the format state it as a setting.
    """

    what: str = "its operand"
    whole_numbers: bool = False
    keeps_state: bool = False
    becomes_tensor: bool = False
    or_setting: bool = False


@dataclass(frozen=True)
class Above:
    """The annotation of a number that must be above a limit, or of numbers that all must be."""

    limit: float


@dataclass(frozen=True)
class Counted:
    """The annotation of numbers of which there must be so many."""

    count: int


@dataclass(frozen=True)
class Finite:
    """The annotation of a number that must not be infinite or NaN."""


@dataclass(frozen=True)
class Parsed:
    """The annotation of a setting that a function of the format reads.

    Attributes:
        read: returns the setting as the row takes it, from the file's value and the name. It raises the errors.
    """

    read: Callable[[Any, str], Any]


@dataclass(frozen=True)
class Stated:
    """The annotation of a parameter that has another name in the file, where Python does not allow that name."""

    name: str


Name = Annotated[str, Operand()]
"""An operand by its name in the file: the row asks its reader for it."""

Ints = tuple[int, ...]
Floats = tuple[float, ...]
Texts = tuple[str, ...]
Positive = Annotated[int, Above(0)]

_WORDS: dict[Any, tuple[str, str]] = {
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("text", "texts"),
    bool: ("a truth value", "truth values"),
}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a row.

    Attributes:
        name: its name in the file.
        argument: its name in Python.
        kind: its type without None.
        kind_of_setting: the type of the setting; another one for some operands that may also be settings.
        default: its default; `inspect.Parameter.empty` if it has none.
        may_be_none: whether it may be None.
        operand: how the operand is read; None: it is a setting, or the reader gives it.
        parsed: the function that reads a setting; None: its type does.
        above: the limit above which a number, or each of several, must be; None: there is none.
        count: how many numbers there must be; None: any.
        is_finite: whether a number must be finite.
        is_rest: whether it takes all further operands.
        is_given: whether the reader gives it by its type.
    """

    name: str
    argument: str
    kind: Any
    kind_of_setting: Any
    default: Any
    may_be_none: bool
    operand: Operand | None
    parsed: Callable[[Any, str], Any] | None
    above: float | None
    count: int | None
    is_finite: bool
    is_rest: bool
    is_given: bool

    @cached_property
    def is_required(self) -> bool:
        """True if the file must have it."""
        return self.default is inspect.Parameter.empty and not (self.is_rest or self.may_be_none)

    @cached_property
    def choices(self) -> tuple[Any, ...]:
        """The allowed values of a setting; empty: a type and a limit decide."""
        return get_args(self.kind_of_setting) if get_origin(self.kind_of_setting) is Literal else ()

    def checked(self, value: Any) -> Any:
        """Return a setting of the file as the row takes it.

        Raises WeightsError for a value of another type or beyond its limit, and UnsupportedError for another choice.
        """
        kind = self.kind_of_setting
        if kind is Any or (value is None and self.may_be_none):
            return value
        if self.parsed is not None:
            return self.parsed(value, self.name)
        value = _text(value)
        if self.choices:
            if value not in self.choices or isinstance(value, float):
                raise UnsupportedError(f"its {self.name} is {shown(value)}; supported {listed(self.choices)}")
            return value
        if kind is bool:
            if not isinstance(value, (int, np.integer)):
                raise WeightsError(f"damaged: its {self.name} is {shown(value)}, expected a whole number")
            if value not in (0, 1):
                raise WeightsError(f"damaged: its {self.name} is {value}, expected 0 or 1")
            return bool(value)
        if get_origin(kind) is tuple:
            (kind, *_) = get_args(kind)
            if isinstance(value, (list, tuple, np.ndarray)):
                made = [_of_kind(_text(one), kind) for one in value]
                if None not in made and self._allows(made):
                    return tuple(made)
            count = "" if self.count is None else f"{self.count} "
            limit = "" if self.above is None else f" above {self.above:g}"
            expected = f"{count}{_WORDS[kind][1]}{limit}"
            raise WeightsError(f"damaged: its {self.name} are {shown(value)}, expected {expected}")
        made = _of_kind(value, kind)
        if made is None:
            raise WeightsError(f"damaged: its {self.name} is {shown(value)}, expected {_WORDS[kind][0]}")
        if self.is_finite and not math.isfinite(made):
            raise WeightsError(f"damaged: its {self.name} is {made}")
        if self.above is not None and not made > self.above:
            expected = f"{_WORDS[kind][0]} above {self.above:g}"
            raise WeightsError(f"damaged: its {self.name} is {shown(value)}, expected {expected}")
        return made

    def _allows(self, numbers: Sequence[Any]) -> bool:
        """Return True if there are as many numbers as there must be, and all are above the limit."""
        has_count = self.count is None or len(numbers) == self.count
        return has_count and (self.above is None or all(one > self.above for one in numbers))


def shown(value: Any) -> str:
    """Return a value of a file for a message."""
    text = repr(value) if isinstance(value, (int, float, str, bytes, list, tuple)) else type(value).__name__
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def listed(choices: Sequence[Any]) -> str:
    """Return what is supported for a message: "is a", or "are a, b and c"."""
    *names, last = map(str, choices)
    return f"are {', '.join(names)} and {last}" if names else f"is {last}"


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _of_kind(value: Any, kind: type) -> Any:
    """Return a number or text as this type; None if it is another one."""
    if kind is str:
        return value if isinstance(value, str) else None
    if isinstance(value, (int, np.integer)):
        return kind(value)
    return float(value) if kind is float and isinstance(value, (float, np.floating)) else None


@dataclass(frozen=True)
class Schema:
    """The schema of a row: what the reader gives, the operands in their order, and the settings by name.

    Attributes:
        given, operands: the parameters.
        settings: the settings by name, with the operands that some versions of the format state as settings.
        ignored: the names of settings, and of operands with names, that change no result of inference, so any value of
            them is accepted.
        passes_on: whether all other settings are passed on, to a row that checks them.
    """

    given: tuple[Parameter, ...]
    operands: tuple[Parameter, ...]
    settings: Mapping[str, Parameter]
    ignored: frozenset[str]
    passes_on: bool

    def checked(self, stated: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of a file as the row takes them.

        Raises UnsupportedError for a setting that the row does not know, and the errors of `Parameter.checked`.
        """
        found = {}
        for name, value in stated.items():
            known = self.settings.get(name)
            if known is None:
                if name in self.ignored:
                    continue
                if self.passes_on:
                    found[name] = value
                    continue
                raise UnsupportedError(self._unknown(name, value))
            found[known.argument] = known.checked(value)
        for one in self._needed:
            if one.argument not in found:
                raise WeightsError(f"damaged: it has no {one.name}")
        return found

    @cached_property
    def _needed(self) -> list[Parameter]:
        """The settings without a default."""
        return [one for one in self.settings.values() if one.is_required and one.operand is None]

    def _unknown(self, name: str, value: Any) -> str:
        names = [*self.settings, *sorted(self.ignored)]
        allowed = f"supported {listed(names)}" if names else "it has no settings"
        return f"its {quote_name(name)} is {shown(_text(value))}, which is not known; {allowed}"


Decorated = TypeVar("Decorated", bound=Row)


def ignores(*names: str) -> Callable[[Decorated], Decorated]:
    """Return a decorator for rows of operators with settings that change no result of inference."""

    def decorate(row: Decorated) -> Decorated:
        vars(row)["ignored"] = frozenset(names)
        return row

    return decorate


@functools.cache
def schema_of(row: Row) -> Schema:
    """Return the schema of a row. It is read at the row's first use."""
    hints = get_type_hints(row, include_extras=True)
    stated = inspect.signature(row).parameters.values()
    found = [_parameter(one, hints[one.name]) for one in stated if one.kind is not one.VAR_KEYWORD]
    operands = tuple(one for one in found if one.operand is not None)
    return Schema(
        tuple(one for one in found if one.is_given),
        operands,
        {
            one.name: one
            for one in found
            if not one.is_given and (one.operand is None or one.operand.or_setting)
        },
        getattr(row, "ignored", frozenset()),
        any(one.kind is one.VAR_KEYWORD for one in stated),
    )


def _parameter(stated: inspect.Parameter, hint: Any) -> Parameter:
    kind, none, marks = hint, False, []
    while True:
        if get_origin(kind) is Annotated:
            kind, *more = get_args(kind)
            marks += more
        elif get_origin(kind) in (Union, types.UnionType) and types.NoneType in get_args(kind):
            none, left = True, [one for one in get_args(kind) if one is not types.NoneType]
            kind = functools.reduce(lambda a, b: a | b, left)
        else:
            break
    operand = next((mark for mark in marks if isinstance(mark, Operand)), None)
    stated_kind = kind
    if get_origin(kind) in (Union, types.UnionType):  # as an operand, and as a setting
        kind, stated_kind = get_args(kind)
    name = next((mark.name for mark in marks if isinstance(mark, Stated)), stated.name)
    parsed = next((mark.read for mark in marks if isinstance(mark, Parsed)), None)
    above = next((mark.limit for mark in marks if isinstance(mark, Above)), None)
    count = next((mark.count for mark in marks if isinstance(mark, Counted)), None)
    is_finite = any(isinstance(mark, Finite) for mark in marks)
    is_rest, is_setting = (stated.kind is one for one in (stated.VAR_POSITIONAL, stated.KEYWORD_ONLY))
    is_given = operand is None and not is_setting
    return Parameter(
        name,
        stated.name,
        kind,
        stated_kind,
        stated.default,
        none,
        operand,
        parsed,
        above,
        count,
        is_finite,
        is_rest,
        is_given,
    )


Reference = TypeVar("Reference")


def call(
    row: Row,
    operands: Sequence[Reference | None] | Mapping[str, Reference],
    settings: Mapping[str, Any],
    read: Callable[[Parameter, Reference], Any],
    given: Mapping[Any, Any],
) -> Any:
    """Call a row for an operator of a file, and return what it returns.

    Args:
        row: the row.
        operands: the file's references to the operands, in their order or by name; None: one is left out.
        settings: the settings that the file states.
        read: returns the operand that a parameter takes.
        given: what the reader gives to rows, by the type of the parameter.

    Raises UnsupportedError for settings and operands that the row does not have, and WeightsError if one that it needs
    is missing or of another type.
    """
    schema = schema_of(row)
    found = schema.checked(settings)
    places = schema.operands
    by_name = isinstance(operands, Mapping)
    if isinstance(operands, Mapping):
        for name in operands.keys() - {one.name for one in places} - schema.ignored:
            raise UnsupportedError(f"its operand {quote_name(name)} is not known")
        operands = [operands.get(one.name) for one in places]
    arguments = [given[one.kind] for one in schema.given]
    for place, one in enumerate(places):
        if one.is_rest:
            arguments += [None if own is None else read(one, own) for own in operands[place:]]
            break
        own = operands[place] if place < len(operands) else None
        if own is not None:
            found.pop(one.argument, None)
            arguments.append(read(one, own))
        elif one.argument in found:
            arguments.append(found.pop(one.argument))
        elif one.is_required:
            is_named = by_name or (one.operand is not None and one.operand.or_setting)
            missing = f"it has no {one.name}" if is_named else None
            raise WeightsError(f"damaged: {missing or f'its operand {place + 1} is missing'}")
        else:
            arguments.append(None if one.default is inspect.Parameter.empty else one.default)
    else:
        if any(own is not None for own in operands[len(places) :]):
            raise UnsupportedError(f"it has {len(operands)} operands; supported are {len(places)}")
    return row(*arguments, **found)
