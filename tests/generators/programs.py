"""Draw random networks as lists of steps, and reduce a list on which a check fails to a few steps.

A step names an operation, its operands and its options. Value 0 is the input, and value i the result of step i.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mpscnn import Network, Tensor
from mpscnn.errors import Error


@dataclass(frozen=True)
class Step:
    """A call of an operation: its name, the numbers of its operands and its options."""

    operation: str
    operands: tuple[int, ...]
    options: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Program:
    """A random network: the extents of its input without the batch, its steps, and further outputs."""

    seed: int
    shape: tuple[int, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...] = ()

    def __str__(self) -> str:
        lines = [f"seed {self.seed}, input {self.shape}, outputs {self.outputs or 'the last'}"]
        lines += [
            f"  {place} = {step.operation}({', '.join(map(str, step.operands))}) {step.options or ''}"
            for place, step in enumerate(self.steps, 1)
        ]
        return "\n".join(lines)


Draw = random.Random
Apply = Callable[..., Tensor]


def _new_shape(draw: Draw, x: Tensor) -> tuple[Any, ...]:
    """Return extents with as many elements as x: the same ones in another order, merged, or divided."""
    extents = [int(extent or 1) for extent in x.shape[1:]]
    draw.shuffle(extents)
    if len(extents) > 1 and draw.random() < 0.5:
        place = draw.randrange(len(extents) - 1)
        extents[place : place + 2] = [extents[place] * extents[place + 1]]
    if len(extents) < 4 and draw.random() < 0.5:
        place = draw.randrange(len(extents))
        factor = next((one for one in (2, 3, 5) if extents[place] % one == 0), 1)
        extents[place : place + 1] = [factor, extents[place] // factor]
    return (tuple(extents),)


def _order(draw: Draw, x: Tensor) -> tuple[Any, ...]:
    axes = list(range(1, len(x.shape)))
    draw.shuffle(axes)
    return (tuple(axes),)


def _axis(draw: Draw, x: Tensor) -> tuple[Any, ...]:
    return (draw.randrange(1, len(x.shape)),)


FUNCTIONS = (
    *("relu", "relu6", "sigmoid", "tanh", "swish", "hard_swish", "gelu", "elu", "softplus", "abs"),
    *("hard_sigmoid", "softsign", "exp", "square", "negate"),
)


def _function(draw: Draw, _: Tensor) -> tuple[Any, ...]:
    return (draw.choice(FUNCTIONS[:12]),)


def _window(draw: Draw, _: Tensor) -> tuple[Any, ...]:
    return draw.randint(1, 3), draw.randint(1, 2), draw.choice(["same", "valid"])


#: Operations of one operand: how to add the layer, and how to draw its options.
OF_ONE: dict[str, tuple[Apply, Callable[[Draw, Tensor], tuple[Any, ...]]]] = {
    "activation": (lambda n, x, kind: n.activation(x, kind), _function),
    "reshape": (lambda n, x, shape: n.reshape(x, shape), _new_shape),
    "transpose": (lambda n, x, axes: n.transpose(x, axes), _order),
    "softmax": (lambda n, x: n.softmax(x), lambda *_: ()),
    "conv2d": (
        lambda n, x, kernel, stride, padding: n.conv2d(x, 4, kernel, strides=stride, padding=padding),
        _window,
    ),
    "depthwise": (
        lambda n, x, kernel, stride, padding: n.depthwise_conv2d(x, kernel, strides=stride, padding=padding),
        _window,
    ),
    "max_pool": (
        lambda n, x, kernel, stride, padding: n.max_pool2d(x, kernel, strides=stride, padding=padding),
        _window,
    ),
    "average_pool": (
        lambda n, x, kernel, stride, padding: n.average_pool2d(x, kernel, strides=stride, padding=padding),
        _window,
    ),
    "dense": (lambda n, x, units: n.linear(x, units), lambda draw, _: (draw.randint(1, 6),)),
    "batch_norm": (lambda n, x: n.batch_norm(x), lambda *_: ()),
    "layer_norm": (lambda n, x: n.layer_norm(x), lambda *_: ()),
    "reduce_mean": (lambda n, x, axis: n.reduce_mean(x, axis), _axis),
    "reduce_max": (lambda n, x, axis: n.reduce_max(x, axis), _axis),
    "upsample": (
        lambda n, x, method: n.upsample(x, 2, method=method),
        lambda draw, _: (draw.choice(["nearest", "bilinear"]),),
    ),
    "pad": (lambda n, x, amount: n.pad(x, amount), lambda draw, _: (draw.randint(0, 2),)),
    "flip": (
        lambda n, x, axis: n.gather(x, list(range(x.shape[axis]))[::-1], axis=axis),
        _axis,
    ),
}
OF_TWO: dict[str, Apply] = {
    "add": lambda n, a, b: n.add(a, b),
    "subtract": lambda n, a, b: n.subtract(a, b),
    "multiply": lambda n, a, b: n.multiply(a, b),
    "maximum": lambda n, a, b: n.maximum(a, b),
    "concat": lambda n, a, b, axis: n.concat([a, b], axis=axis),
    "matmul": lambda n, a, b: n.matmul(a, b, transpose_b=True),
}
_MOVES = ("reshape", "reshape", "reshape", "transpose", "transpose", "softmax", "activation")


def build(program: Program) -> Network:
    """Return the network of a program, with random weights. Raises an error of mpscnn if a step does not fit."""
    network = Network(input=program.shape, name=f"program_{program.seed}")
    values = [network.input]
    for step in program.steps:
        values.append(_apply(network, values, step))
    read = {operand for step in program.steps for operand in step.operands}
    ends = [place for place in range(1, len(values)) if place not in read]
    for place in dict.fromkeys([*ends, *program.outputs]):
        network.output(values[place])
    network.initialize_weights(seed=program.seed)
    return network


def _apply(network: Network, values: Sequence[Tensor], step: Step) -> Tensor:
    operands = [values[place] for place in step.operands]
    made = OF_ONE[step.operation][0] if step.operation in OF_ONE else OF_TWO[step.operation]
    return made(network, *operands, *step.options)


def drawn(seed: int, most: int = 10) -> Program:
    """Return a random program of up to `most` steps. The same seed gives the same program."""
    draw = random.Random(seed)
    side = draw.choice([3, 4, 4, 5, 6])
    shape = draw.choice([(side, side, 3), (side, side, side), (side, side + 2, 4), (side * 2,), (side, side)])
    network = Network(input=shape, name="drawn")
    values, steps = [network.input], []
    for _ in range(draw.randint(2, most)):
        step = _drawn_step(draw, values)
        try:
            values.append(_apply(network, values, step))
        except (Error, ValueError, TypeError):
            continue
        steps.append(step)
    if not steps:
        return drawn(seed + 1_000_003, most)
    more = tuple(draw.sample(range(1, len(values)), 1)) if draw.random() < 0.3 else ()
    return Program(seed, shape, tuple(steps), more)


def _drawn_step(draw: Draw, values: Sequence[Tensor]) -> Step:
    first = draw.randrange(len(values)) if draw.random() < 0.5 else len(values) - 1
    if draw.random() < 0.35:
        operation = draw.choice(list(OF_TWO))
        fits = [place for place, value in enumerate(values) if value.shape == values[first].shape]
        options = _axis(draw, values[first]) if operation == "concat" else ()
        return Step(operation, (first, draw.choice(fits)), options)
    operation = draw.choice([*OF_ONE, *_MOVES])
    return Step(operation, (first,), OF_ONE[operation][1](draw, values[first]))


def reduced(program: Program, fails: Callable[[Program], bool]) -> Program:
    """Return a program with as few steps as this delta debugger finds, for which `fails` is still true."""
    changed = True
    while changed:
        changed = False
        for place in range(len(program.steps), 0, -1):
            for smaller in (_cut(program, place), _without(program, place)):
                if smaller is not None and smaller.steps and _holds(smaller, fails):
                    program, changed = smaller, True
                    break
            if changed:
                break
    return program


def _holds(program: Program, fails: Callable[[Program], bool]) -> bool:
    try:
        build(program)
    except Exception:  # any error means that the steps do not fit each other
        return False
    return fails(program)


def _cut(program: Program, place: int) -> Program | None:
    """Return the program without the steps from `place` on."""
    outputs = tuple(one for one in program.outputs if one < place)
    return replace(program, steps=program.steps[: place - 1], outputs=outputs)


def _without(program: Program, place: int) -> Program:
    """Return the program without one step. What reads its result reads its first operand instead."""

    def moved(operand: int) -> int:
        if operand == place:
            operand = program.steps[place - 1].operands[0]
        return operand - 1 if operand > place else operand

    steps = [
        replace(step, operands=tuple(map(moved, step.operands)))
        for number, step in enumerate(program.steps, 1)
        if number != place
    ]
    outputs = tuple(one for one in map(moved, program.outputs) if one > 0)
    return replace(program, steps=tuple(steps), outputs=outputs)
