"""The models that mpscnn knows by name, and the exact files that they are made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["BUNDLED_MODEL", "CATALOGUE", "Entry", "PublishedFile"]


@dataclass(frozen=True)
class PublishedFile:
    """One file at its publisher, pinned by size and checksum."""

    name: str
    url: str
    size: int
    """Bytes."""
    sha256: str
    """Lower-case hexadecimal digest."""


@dataclass(frozen=True)
class Entry:
    """One model of the registry."""

    name: str
    aliases: tuple[str, ...]
    input_size: tuple[int, int]
    """Height and width in pixels."""
    classes: int
    """Number of outputs, a background class included."""
    sources: tuple[PublishedFile, ...]
    """The parts of the network in the order in which they are joined; none for a bundled model."""
    labels: PublishedFile | None
    preprocess: str
    """Name of the preprocessing for the converter; empty for a bundled model, whose file states its own."""
    licence: str
    publisher: str
    dtype: str = "uint8"
    """How the converted file stores weights; uint8 keeps the integers of the quantised originals exactly."""

    @property
    def bundled(self) -> bool:
        """Whether the model is part of the package and needs no publisher."""
        return not self.sources

    @property
    def files(self) -> tuple[PublishedFile, ...]:
        """Everything that the conversion reads: the sources, then the labels."""
        return self.sources if self.labels is None else (*self.sources, self.labels)

    @property
    def size(self) -> int | None:
        """Bytes of the publisher's files, or of the bundled file; None if that one is missing."""
        if not self.bundled:
            return sum(file.size for file in self.files)
        location = self.location()
        return None if location is None else location.stat().st_size

    def location(self) -> Path | None:
        """The local file that `find` would use without a download, or None.

        A model file (.safetensors) where there is one, else the first of the publisher's files if all of
        them are here and only the conversion is missing. Checksums are left to `find`.
        """
        from mpscnn.registry import lookup

        return lookup.location(self)


_GOOGLE_CORAL = (
    "https://raw.githubusercontent.com/google-coral/test_data/104342d2d3480b3e66203073dac24f4e2dbb4c41/"
)


def _coral(name: str, size: int, sha256: str) -> PublishedFile:
    return PublishedFile(name, _GOOGLE_CORAL + name, size, sha256)


# 1001 lines, "background" first, in the order of the networks' outputs.
_IMAGENET_LABELS = _coral(
    "imagenet_labels.txt", 21686, "b8aaeb5630c62626a7d124a05c0e14230a7ffdd2136a31d0190a4fb71c1d82f1"
)


def _mobilenet(name: str, aliases: tuple[str, ...], resolution: int, *sources: PublishedFile) -> Entry:
    return Entry(
        name=name,
        aliases=aliases,
        input_size=(resolution, resolution),
        classes=1001,
        sources=sources,
        labels=_IMAGENET_LABELS,
        preprocess="tensorflow",
        licence="Apache-2.0",
        publisher="github.com/google-coral/test_data",
    )


BUNDLED_MODEL = Entry(
    name="cifar10_mobilenet_v2",
    aliases=(),
    input_size=(64, 64),
    classes=10,
    sources=(),
    labels=None,
    preprocess="",
    licence="Apache-2.0",
    publisher="mpscnn (bundled)",
)

CATALOGUE: tuple[Entry, ...] = (
    BUNDLED_MODEL,
    _mobilenet(
        "mobilenet_v2",
        ("mobilenet_v2_1.0_224",),
        224,
        _coral(
            "mobilenet_v2_1.0_224_quant.tflite",
            3610798,
            "7aad0c74c5e3c06e5eb3c827e13304fdd68a83da6087d92ee169c24ff9fd4776",
        ),
    ),
    _mobilenet(
        "mobilenet_v1",
        ("mobilenet_v1_1.0_224",),
        224,
        _coral(
            "mobilenet_v1_1.0_224_quant_embedding_extractor.tflite",
            3251736,
            "f409ef4f73fcbb9667841965623c5c8524aac33d41b9bf5f3667161fb4a76319",
        ),
        _coral(
            "mobilenet_v1_1.0_224_quant_head_layers.tflite",
            1030768,
            "65a88984b258c6f3c99d7573acac8cf85bd747293d83d51fafc1c2fb6d632286",
        ),
    ),
    _mobilenet(
        "mobilenet_v1_0.75_192",
        (),
        192,
        _coral(
            "mobilenet_v1_0.75_192_quant.tflite",
            2652542,
            "41daeb22fdcf947e0e5ec32373aa9df7c31f3ef45dbd0ef7b5940fbce3c20f6a",
        ),
    ),
    _mobilenet(
        "mobilenet_v1_0.25_128",
        (),
        128,
        _coral(
            "mobilenet_v1_0.25_128_quant.tflite",
            525598,
            "cb273c23ee76374b05b9583177e28aa19744858a7679c56a250e83d0333da785",
        ),
    ),
)
