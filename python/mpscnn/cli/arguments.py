"""Options and arguments that several commands share."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

MAX_THREADS = 1024


class Device(str, Enum):
    """Values of --device."""

    auto = "auto"
    cpu = "cpu"
    metal = "metal"


class Precision(str, Enum):
    """Values of --precision."""

    auto = "auto"
    float32 = "float32"
    float16 = "float16"


ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="Name (see `mpscnn models`) or model file.")
]
DeviceOption = Annotated[
    Device, typer.Option(help="Where to compute; auto: Metal if there is any, else the CPU.")
]
PrecisionOption = Annotated[
    Precision, typer.Option(help="Number format of the computation; auto never lowers accuracy silently.")
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=MAX_THREADS,
        metavar="N",
        help="CPU threads; default: all this process may use.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for other programs instead of a table.")]
