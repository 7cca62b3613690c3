"""Hold the numbers that labelled photos gave with a classifier."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Calibration(NamedTuple):
    """The numbers that `Classification.unfamiliar` and `Classification.set` compare a photo with."""

    layer: str
    """The layer whose results are the features of a photo."""
    features: NDArray[np.float32]
    """The features of photos (photos, width)."""
    distances: NDArray[np.float32]
    """The distances (photos,) to the tenth nearest other photo, in increasing order."""
    probabilities: NDArray[np.float32]
    """The probabilities of the right classes of all photos, in increasing order."""
