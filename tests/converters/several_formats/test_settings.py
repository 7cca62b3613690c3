"""Write operators with each setting that their rows have, and compare the results with each format's own engine.

A row's signature says which settings there are, and what they may be. For each of them the file gets other values. Each
file is converted rightly, or refused by an error that names the setting if the value is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from converters.coreai_samples import coreai_samples
from converters.setting_samples import (
    Sample,
    allowed_values,
    caffe_samples,
    coreml_samples,
    keras_samples,
    onnx_samples,
    tflite_samples,
    wrong_values,
)
from converters.tensorflow_samples import tensorflow_samples

import mpscnn

pytestmark = [pytest.mark.filterwarnings("ignore")]  # of engines about unusual settings


class Format(NamedTuple):
    """The samples of a format, and how many files with other settings are computed and refused at least.

    `needs` is a package without which the format's engine does not run.
    """

    samples: Callable[[Path], Iterator[Sample]]
    computed: int
    refused: int
    needs: str = "numpy"


FORMATS = {
    "ONNX": Format(onnx_samples, 600, 140),
    "TensorFlow Lite": Format(tflite_samples, 200, 20),
    "Keras": Format(keras_samples, 250, 50),
    "Core ML": Format(coreml_samples, 140, 60),
    "Caffe": Format(caffe_samples, 150, 80),
    "TensorFlow": Format(tensorflow_samples, 190, 90, needs="tensorflow"),
    "Core AI": Format(coreai_samples, 110, 1),
}
#: The formats whose files take more than two processor seconds are in the tier "ci".
NAMES = [
    pytest.param(name, marks=() if name in ("Caffe", "TensorFlow", "TensorFlow Lite") else pytest.mark.ci)
    for name in FORMATS
]
#: Formats whose errors name the operation, but not the setting whose type is wrong.
WITHOUT_NAMES = {"Core ML"}
#: Files whose results differ from the engine's, by the reason.
DIFFERENT = {
    "Keras on torch repeats the last row and column where it pads one side only": {
        "average_pool: padding='same'"
    },
    "TensorFlow takes the weights of bicubic interpolation from a table, at 1024 positions": {
        f"ResizeBicubic: {name}={value}"
        for name, value in (
            ("align_corners", False),
            ("half_pixel_centers", False),
            ("half_pixel_centers", True),
        )
    },
    "the tests' interpreter has no such transposed convolution": {"conv_transpose: pad_type='same'"},
}


def _changed(
    sample: Sample, values: Callable[..., list[Any]]
) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    for one, now in sample.settings():
        for value in values(one, now):
            yield one.name, value, {**sample.stated, one.name: value}


def _difference(sample: Sample, file: Any) -> str | None:
    """Return how a file's results differ from the engine's; "" if they do not, and None if one of both refuses it."""
    try:
        found = sample.ours(file)
    except mpscnn.Error:
        return None
    try:
        expected = sample.theirs(file)
    except Exception:  # engines have errors of their own
        return None
    for own, their in zip(found, expected, strict=True):
        wanted = np.asarray(their, np.float64)
        if not wanted.shape and own.size == 1:  # a network may return an array of one number
            wanted = wanted.reshape(own.shape)
        if own.ndim == wanted.ndim + 1:  # each result of a network has a batch, and an axis after it
            wanted = wanted[None] if own.shape[0] == 1 else wanted[:, None]
        largest = float(np.abs(wanted[np.isfinite(wanted)]).max(initial=1.0))
        if own.shape != wanted.shape or not np.allclose(own, wanted, 0, 1e-4 * largest, equal_nan=True):
            return f"{own.shape} {own.ravel()[:3]}, expected {wanted.shape} {wanted.ravel()[:3]}"
    return ""


@pytest.mark.parametrize("name", NAMES)
def test_allowed_values_compute_what_the_engine_computes(name: str, tmp_path: Path) -> None:
    """A file whose value of a setting the row allows is computed as the engine does, or refused by one of both.

    Some 200 files of a format take one or two processor seconds.
    """
    pytest.importorskip(FORMATS[name].needs, reason=f"needs the package {FORMATS[name].needs}")
    known = set().union(*DIFFERENT.values())
    findings, computed = [], 0
    for sample in FORMATS[name].samples(tmp_path):
        for setting, value, settings in _changed(sample, allowed_values):
            try:
                difference = _difference(sample, sample.write(settings))
            except LookupError:  # the format cannot state it
                continue
            computed += difference == ""
            case = f"{sample.name}: {setting}={value!r}"
            if difference and case not in known:
                findings.append(f"{case}: {difference}")
    assert not findings, "\n".join(findings)
    assert computed >= FORMATS[name].computed


@pytest.mark.parametrize("name", NAMES)
def test_wrong_values_are_refused_by_the_name_of_the_setting(name: str, tmp_path: Path) -> None:
    findings, refused = [], 0
    for sample in FORMATS[name].samples(tmp_path):
        try:
            sample.read(sample.write(sample.stated))
        except mpscnn.Error:  # it needs other inputs than floats
            continue
        for setting, value, settings in _changed(sample, wrong_values):
            try:
                sample.read(sample.write(settings))
                findings.append(f"{sample.name}: {setting}={value!r} is accepted")
            except LookupError:
                continue
            except mpscnn.Error as error:
                refused += 1
                if setting not in str(error) and name not in WITHOUT_NAMES:
                    findings.append(f"{sample.name}: {setting}={value!r}: {error}")
    assert not findings, "\n".join(findings)
    assert refused >= FORMATS[name].refused
