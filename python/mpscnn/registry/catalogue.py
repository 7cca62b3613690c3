"""List the models that mpscnn knows by name, and the exact files that they are made from."""

from __future__ import annotations

from mpscnn._private.model_name import DEFAULT_MODEL
from mpscnn.registry.entry import Entry
from mpscnn.registry.published_file import PublishedFile

_GOOGLE_CORAL = (
    "https://raw.githubusercontent.com/google-coral/test_data/104342d2d3480b3e66203073dac24f4e2dbb4c41/"
)


def _coral(name: str, size: int, sha256: str) -> PublishedFile:
    return PublishedFile(name, _GOOGLE_CORAL + name, size, sha256)


# The file has 1001 lines in the order of the networks' outputs, "background" first.
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


def _bundled(name: str, resolution: int, finds: str = "") -> Entry:
    """Return the entry of a bundled model with ten classes. All other information is in its file."""
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
        finds=finds,
    )


BUNDLED_MODEL = _bundled(DEFAULT_MODEL, 64)
DIGITS = _bundled("digits", 28)
BUNDLED_DETECTOR = _bundled("page_digits", 160, "handwritten digits on a page")

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
    Entry(
        name="ssd_mobilenet_v1_coco",
        aliases=("ssd_mobilenet_v1",),
        input_size=(300, 300),
        classes=90,
        sources=(
            PublishedFile(
                "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite",
                "https://raw.githubusercontent.com/tensorflow/tflite-support/"
                "dd3362ea685bb7ab1f7268c81ec567d3b720ae57/tensorflow_lite_support/cc/test/testdata/task/vision/"
                "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite",
                4185023,
                "61d598093ed03ed41aa47c3a39a28ac01e960d6a810a5419b9a5016a1e9c469b",
            ),
        ),
        labels=None,  # labels and preprocessing are in the model file
        preprocess="",
        licence="Apache-2.0",
        publisher="github.com/tensorflow/tflite-support",
        finds="COCO's 80 kinds of objects: people, animals, vehicles, furniture, food",
    ),
)
