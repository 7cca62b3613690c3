"""Accept other frameworks' names of attributes, or say in the error which name to use here.

docs/from_other_frameworks.md lists the frequent ones.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection, Iterable
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

if TYPE_CHECKING:
    from types import FrameType

Function = TypeVar("Function", bound=Callable[..., Any])

__all__ = [
    "Expected",
    "ExplainedClass",
    "FixedAttributes",
    "OfClass",
    "attribute_error",
    "explain_unknown_names",
    "lacking",
    "twin_attribute",
]

#: The smallest similarity of a name that an error suggests, from 0 to 1.
_SIMILAR = 0.75
#: The same for names without capitals and underscores, of which more are similar by chance.
_SAME_LETTERS = 0.76
#: The smallest number of letters of a name for which an error suggests one with other letters.
_SHORTEST = 3
#: The largest number of attributes that an error lists.
_MAX_LISTED = 30


def twin_attribute(owner: Any, place: str, name: str) -> tuple[list[Any], str]:
    """Look for another framework's name of an attribute: in its class, in the table of hints, and similar names.

    Return a list with the attribute to which the name is forwarded, and "". If there is none, the list is empty, and
    the text is a hint to append to the error. It is "" for names that begin with "_".
    """
    if name.startswith("_"):
        return [], ""
    own_name = _declared_name(type(owner), name)
    if own_name:
        return [attrgetter(own_name)(owner)], ""
    from mpscnn._private.hints import twin_of

    # The class of an object may be a subclass of the one that the table names, such as the model of mpscnn.train.
    places = [place, *(base.__name__ for base in type(owner).__mro__), "*"] if place[0].isupper() else [place]
    found = next(filter(None, (twin_of(one, name) for one in places)), "")
    if " " in found:
        return [], f"; {found}"
    if found.startswith("mpscnn."):
        value = attrgetter(found.removeprefix("mpscnn."))(sys.modules["mpscnn"])
        return [partial(value, owner) if place[0].isupper() else value], ""
    return (
        ([attrgetter(found)(owner)], "")
        if found
        else (
            [],
            _similar(name, dir(owner))
            or _of_network(places, name)
            or _similar_layer(place, name)
            or _own_list(place, owner),
        )
    )


def _declared_name(owner: type, name: str) -> str:
    """Return the attribute that a class, or a base of it, declares to have another name; "" if there is none."""
    for base in owner.__mro__:
        for own, words in vars(base).get("_other_names", ()):
            if name in words.split():
                return str(own)
    return ""


def _own_list(place: str, owner: Any) -> str:
    """Return a hint with the public names of an object or a module, or how to list them if they are many."""
    names = sorted(name for name in dir(owner) if not name.startswith("_"))
    if len(names) > _MAX_LISTED:
        return f"; dir({place if place.islower() else f'mpscnn.{place}'}) lists its names"
    return f"; it has {', '.join(names)}"


def _similar(name: str, known: Iterable[str]) -> str:
    """Return a hint if there is the name in another spelling, such as "conv2d" for "Conv2D", or a similar one."""
    from difflib import get_close_matches

    public = [one for one in known if one[:1] != "_" or one == "__version__"]
    letters = _letters(name)
    for own in public:
        if _letters(own) == letters:
            return f"; it is {own!r} here"
    # Too many names are near a shorter one.
    if len(letters) < _SHORTEST:
        return ""
    close = get_close_matches(name, public, n=1, cutoff=_SIMILAR)
    if not close:  # such as "VGGNet16" for "vgg16"
        spelt = {_letters(own): own for own in public}
        close = [spelt[one] for one in get_close_matches(letters, spelt, n=1, cutoff=_SAME_LETTERS)]
    return f"; did you mean {close[0]!r}?" if close else ""


def _of_network(places: Collection[str], name: str) -> str:
    """Return a hint if a Model lacks a name that its network has."""
    if "Model" not in places or name not in dir(sys.modules["mpscnn"].Network):
        return ""
    return f"; model.network has it: model.network.{name}"


def _similar_layer(place: str, name: str) -> str:
    """Return a hint if a name of the package is that of a layer, such as "Conv2D"."""
    if place != "mpscnn":
        return ""
    network = sys.modules[place].Network
    others = " ".join(words for _, words in network._other_names).split()
    if name in dir(network):
        return f"; it is a method of mpscnn.Network: net.{name}"
    if not (hint := _similar(name, [*dir(network), *others])):
        return ""
    return f"{hint}; layers are methods of mpscnn.Network: x = net.conv2d(net.input, 8, 3)"


def _letters(name: str) -> str:
    return name.replace("_", "").lower()


def attribute_error(module: str, name: str, hint: str) -> AttributeError | ImportError:
    """Return the error about an unknown attribute of a module. Only a module's `__getattr__` may call this function.

    The statement `from module import name` replaces an AttributeError by one without the hint. So an ImportError is
    returned if that statement asks for an attribute that has a hint.
    """
    is_module = f"{module}.{name}" in sys.modules  # the statement finds a module during its import, too
    if hint and not is_module and _is_import_from(sys._getframe(2)):
        file = sys.modules[module].__file__
        return ImportError(f"cannot import name {name!r} from {module!r}{hint}", name=module, path=file)
    return lacking(f"module {module!r}", name, hint)


def lacking(owner: str, name: str, hint: str) -> AttributeError:
    """Return the error about an attribute that an owner lacks, such as "module 'mpscnn'".

    Python's tracebacks add a similar name, which would contradict the hint. They do not if the object is not stated.
    """
    message = f"{owner} has no attribute {name!r}"
    return AttributeError(f"{message}{hint}", name=name) if hint else AttributeError(message)


def explain_unknown_names(
    module: str,
    *,
    make: Callable[[str], Any] | None = None,
    made: Collection[str] = (),
    hint: Callable[[str], str] = lambda _: "",
) -> None:
    """Let a module make, forward or explain the names that it lacks, and let `dir` list its public names.

    Type checkers do not see the functions that do it, which would let them accept every name.

    Args:
        module: the module's name.
        make: returns the value of a name in `made` at its first use.
        made: the names that `make` knows.
        hint: returns what the error about a name adds; "" if the hint for other frameworks' names is better.
    """
    owner = sys.modules[module]
    names = vars(owner)

    def attribute(name: str) -> Any:
        if make is not None and name in made:
            return names.setdefault(name, make(name))  # all threads get the same value
        twin, text = twin_attribute(owner, module, name)
        if twin:
            return twin[0]
        raise attribute_error(module, name, text and (hint(name) or text))

    def listed() -> list[str]:
        return sorted({*names["__all__"], *made, *(name for name in names if name.startswith("__"))})

    names["__getattr__"] = attribute
    names.setdefault("__dir__", listed)


def _is_import_from(frame: FrameType) -> bool:
    """Return True if a frame executes the instruction that binds a name of `from module import name`."""
    from opcode import EXTENDED_ARG, opmap

    code, position = frame.f_code.co_code, frame.f_lasti
    while 0 <= position < len(code) and code[position] == EXTENDED_ARG:
        position += 2  # skip a prefix, whose position Python 3.10 gives
    return 0 <= position < len(code) and code[position] == opmap.get("IMPORT_FROM")


class Expected:
    """Base class that forwards other frameworks' names of attributes, or adds a hint to the errors about them."""

    __slots__ = ()

    _other_names: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Attributes of the class with their names in other frameworks, as (("draw", "plot render"),)."""

    if not TYPE_CHECKING:  # type checkers would accept every name as an Any

        def __getattr__(self, name: str) -> Any:
            if not name.startswith("__") and hasattr(type(self), name):
                return object.__getattribute__(self, name)  # raises the AttributeError of that property again
            owner = type(self).__name__
            twin, hint = twin_attribute(self, owner, name)
            if not twin:
                raise lacking(f"{owner!r} object", name, hint)
            return twin[0]


def _instead_of_factory(made: type, name: str) -> str:
    """Return a hint for a method of Objective-C that makes an object, such as `alloc`; "" for other names."""
    if name not in ("alloc", "new") and not re.search("With[A-Z]|^cnn[A-Z]", name):
        return ""
    import inspect

    parameters = inspect.signature(made).parameters.values()
    needed = [
        one.name for one in parameters if one.default is one.empty and one.kind == one.POSITIONAL_OR_KEYWORD
    ]
    return f"call the class: {made.__name__}({', '.join([*needed, '...'])})"


class ExplainedClass(type):
    """Class of classes whose own missing attributes are explained by the table of hints."""

    if not TYPE_CHECKING:  # type checkers would accept every name

        def __getattr__(cls, name: str) -> Any:
            from mpscnn._private.hints import twin_of

            text = (
                "" if name.startswith("_") else twin_of(cls.__name__, name) or _instead_of_factory(cls, name)
            )
            raise lacking(f"type object {cls.__name__!r}", name, text and f"; {text}")


class FixedAttributes(Expected):
    """Base class of objects whose public attributes are declared in the class.

    Setting another one raises AttributeError, because it would have no effect. Another framework's name of an attribute
    sets that attribute. Subclasses of users may set any attribute.
    """

    if not TYPE_CHECKING:  # type checkers would accept every name

        def __setattr__(self, name: str, value: Any) -> None:
            owner = type(self)
            if not (name.startswith("_") or _declares(owner, name) or hasattr(owner, name)):
                if own := _declared_name(owner, name):
                    return setattr(self, own, value)
                shown = owner.__name__
                _, hint = twin_attribute(self, shown, name)
                raise AttributeError(f"{shown!r} object has no attribute {name!r} to set{hint}", name=name)
            return object.__setattr__(self, name, value)


class OfClass(Generic[Function]):
    """A function of a class, such as `Network.load`. Objects lack it, because it would not change them."""

    def __init__(self, function: Function) -> None:
        self._function = function

    def __set_name__(self, owner: type, name: str) -> None:
        self._called = f"{owner.__name__}.{name}"

    def __get__(self, instance: object, owner: type) -> Function:
        if instance is not None:
            shown, _, name = self._called.partition(".")
            raise lacking(f"{shown!r} object", name, f"; mpscnn.{self._called}(path) returns another object")
        return self._function


def _declares(owner: type, name: str) -> bool:
    """Return True if a class or a base of it annotates an attribute, or if it is a class of a user."""
    return owner.__module__.partition(".")[0] != "mpscnn" or any(
        name in getattr(base, "__annotations__", ()) for base in owner.__mro__
    )
