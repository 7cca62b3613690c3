"""Names of activation functions without parameters. `python docs/generate` writes this module."""

from typing import Literal

PlainActivationName = Literal[
    "sigmoid",
    "absolute",
    "softsign",
    "prelu",
    "gelu",
    "hard_swish",
    "mish",
    "gelu_tanh",
    "sign",
    "floor",
    "ceil",
    "round",
    "erf",
]
