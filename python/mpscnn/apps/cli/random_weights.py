"""Define the option --random-weights, which needs the list of all architectures."""

from __future__ import annotations

from typing import Annotated

import typer

from mpscnn.apps.benchmark.subject import ARCHITECTURES

RandomWeightsOption = Annotated[
    bool,
    typer.Option(
        "--random-weights",
        help=f"Read no file: MODEL is an architecture that gets random weights: {', '.join(ARCHITECTURES)}.",
    ),
]
