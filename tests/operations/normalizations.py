"""Define samples and attributes that the tests of several normalizations share."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from operations.record import Array, Sample
from ops.single_layer import seeds, values

images = st.tuples(*(st.integers(1, maximum) for maximum in (3, 9, 9, 40)))
shapes = st.one_of(images, st.tuples(st.integers(1, 3), st.integers(1, 40)))


def factors(seed: int, channels: int) -> dict[str, Array]:
    return {"gamma": values(seed, (channels,)), "beta": values(seed + 1, (channels,))}


def epsilon_of(sample: Sample, default: float = 1e-5) -> float:
    return float(np.float32(sample.attributes.get("epsilon", default)))


@st.composite
def around(
    draw: st.DrawFn, means: tuple[float, ...], shapes: st.SearchStrategy[tuple[int, ...]] = shapes
) -> Array:
    """Draw numbers around one of the means, as float16 has them."""
    x = values(draw(seeds), draw(shapes)) + np.float32(draw(st.sampled_from(means)))
    return x.astype(np.float16).astype(np.float32)
