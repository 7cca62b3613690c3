"""Build messages from the JSON form of protocol buffers, such as `{"name": "conv", "inputArg": [{"name": "x"}]}`."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from mpscnn.converters.opening.wire.built import Built
from mpscnn.converters.opening.wire.kinds import Field, Kind


def message_of(kind: Kind, values: Mapping[str, Any]) -> Built:
    """Return the message for a JSON object. Entries that the kind does not have are skipped.

    Raises ValueError or TypeError for values of other types than those of the fields.
    """
    made = Built(kind)
    made.mark_stated()
    names = {name: field for field in kind.fields.values() for name in (field.name, _camel_case(field.name))}
    for name, value in values.items():
        field = names.get(name)
        if field is None or value is None:
            continue
        if field.is_repeated:
            if not isinstance(value, list):
                raise TypeError(f"{name} is not a list")
            setattr(made, field.name, [_converted(field, one) for one in value])
        else:
            setattr(made, field.name, _converted(field, value))
    return made


def _converted(field: Field, value: Any) -> Any:
    if field.inner is not None:
        if not isinstance(value, Mapping):
            raise TypeError(f"{field.name} is not an object")
        return message_of(field.inner, value)
    if field.type == "bytes":
        return base64.b64decode(value, validate=True)
    if field.type == "bool" or not field.is_number:
        if not isinstance(value, type(field.default)):
            raise TypeError(f"{field.name} is {value!r}")
        return value
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise TypeError(f"{field.name} is {value!r}")
    if isinstance(field.default, float):
        return float(value)
    number = int(value)
    if isinstance(value, float) and number != value:
        raise ValueError(f"{field.name} is {value!r}")
    return number


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
