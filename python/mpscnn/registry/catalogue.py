"""The models that mpscnn knows by name, and the exact files that they are made from."""

from __future__ import annotations

from mpscnn._private.model_name import DEFAULT_MODEL
from mpscnn.registry.entry import Entry
from mpscnn.registry.published_file import PublishedFile

__all__ = ["BUNDLED_DETECTOR", "BUNDLED_MODEL", "CATALOGUE", "DIGITS"]


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


_PASCAL_LABELS = _coral(
    "pascal_voc_segmentation_labels.txt",
    263,
    "7337a2b06728385fb3e1106416c67bfddf69628598b1f2f0db6a63cd63fb6b1e",
)

_COCO_LABELS = _coral(
    "coco_labels.txt", 661, "dc183f003fc753c4c43fae6fdf7f387559449573f13fa32e517fb7453fd380f1"
)
_FACE_LABELS = _coral(
    "face_labels.txt", 5, "98d57c25a2bed283c090bc2508078faff041262880bec9b6b744e6372d4a5f09"
)


def _detector(name: str, resolution: int, file: str, git_blob: str, labels: PublishedFile) -> Entry:
    return Entry(
        name=name,
        aliases=(),
        input_size=(resolution, resolution),
        classes=1 if labels is _FACE_LABELS else 90,
        sources=(PublishedFile(file, _GOOGLE_CORAL + file, None, git_blob=git_blob),),
        labels=labels,
        preprocess="tensorflow",
        licence="Apache-2.0",
        publisher="github.com/google-coral/test_data",
        tested=False,
    )


def _bundled(name: str, resolution: int) -> Entry:
    """Return the entry of a bundled model with ten classes. Its file has everything else."""
    return Entry(
        name=name,
        aliases=(),
        input_size=(resolution, resolution),
        classes=10,
        sources=(),
        labels=None,
        preprocess="",
        licence="Apache-2.0",
        publisher="mpscnn (bundled)",
    )


BUNDLED_MODEL = _bundled(DEFAULT_MODEL, 64)
DIGITS = _bundled("digits", 28)
BUNDLED_DETECTOR = _bundled("page_digits", 160)

CATALOGUE: tuple[Entry, ...] = (
    BUNDLED_MODEL,
    DIGITS,
    BUNDLED_DETECTOR,
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
    Entry(
        name="deeplab_v3",
        aliases=("deeplabv3_mnv2_pascal",),
        input_size=(513, 513),
        classes=21,
        sources=(
            _coral(
                "deeplabv3_mnv2_pascal_quant.tflite",
                2193224,
                "350af47fd346ea6d74b58833a351f583ba860e9806ec5bd292ff8d8f1f249398",
            ),
        ),
        labels=_PASCAL_LABELS,
        preprocess="tensorflow",
        licence="Apache-2.0",
        publisher="github.com/google-coral/test_data",
    ),
    _detector(
        "ssd_mobilenet_v1",
        300,
        "ssd_mobilenet_v1_coco_quant_postprocess.tflite",
        "1a2270d37dd7d0f84acc49e069391312e697cf12",
        _COCO_LABELS,
    ),
    _detector(
        "ssd_mobilenet_v2",
        300,
        "ssd_mobilenet_v2_coco_quant_postprocess.tflite",
        "28b6bdee3548170bb999ffcc7248b40d76f6b6b8",
        _COCO_LABELS,
    ),
    _detector(
        "ssd_mobilenet_v2_face",
        320,
        "ssd_mobilenet_v2_face_quant_postprocess.tflite",
        "1a36d6c963890c1fd3f1e386d8bd5970e872b38c",
        _FACE_LABELS,
    ),
    _detector(
        "ssdlite_mobiledet",
        320,
        "ssdlite_mobiledet_coco_qat_postprocess.tflite",
        "f2857fa8b4a89cc285194ab5a636ddbe2def7fde",
        _COCO_LABELS,
    ),
)
