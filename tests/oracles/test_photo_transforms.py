"""Compare the preprocessing of torchvision's and timm's weights with their own transforms, on photos."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
from numpy.typing import NDArray
from oracles.torchvision_models import timm, torchvision
from PIL import Image

import mpscnn
from mpscnn.converters.reading.pytorch.architectures import FAMILIES
from mpscnn.converters.reading.pytorch.state_dict import StateDict
from mpscnn.converters.reading.pytorch.timm_config import read_timm_config
from mpscnn.converters.reading.pytorch.torchvision_weights import transform_of_file
from mpscnn.models.photo_transforms import NORMALISATIONS, TORCHVISION, PhotoTransform, TimmWeights
from mpscnn.models.photo_transforms import TIMM as TIMM_WEIGHTS

pytestmark = pytest.mark.skipif(
    int(PIL.__version__.split(".")[0]) < 13,
    reason="Pillow is older than 13, and resizes the axes of portraits in another order",
)
CAT = mpscnn.samples.photo("cat")
#: Samples of 0 to 255 are equal if they differ by at most 1 after both are rounded. Pillow rounds to 8 bits after each
#: axis, mpscnn does not.
TOLERANCE = 1.5


@pytest.fixture(scope="module")
def photos() -> list[Image.Image]:
    """Return pictures of even and odd sizes, landscapes and portraits, also smaller than the crop."""
    whole = Image.open(CAT).convert("RGB")
    sizes = [(451, 300), (300, 451), (256, 256), (97, 151), (640, 213), (33, 500), (224, 224), (225, 301)]
    return [whole, whole.transpose(Image.Transpose.TRANSPOSE), *(whole.resize(size) for size in sizes)]


def assert_equal(photo: Image.Image, size: tuple[int, int], photos: PhotoTransform, transform: Any) -> None:
    expected = transform(photo).permute(1, 2, 0).numpy()
    found = mpscnn.preprocess(photo, size, photos.settings())[0]
    samples = 255 * np.asarray(photos.std) * np.abs(found.astype(np.float64) - expected)
    assert samples.max() < TOLERANCE, f"{photo.size}: {samples.max():.2f} of 255"


# ---- torchvision -------------------------------------------------------------------------------------------------


def torchvision_weights() -> Iterator[tuple[str, Any]]:
    """Yield the names of mpscnn's networks in torchvision, with each of their weights."""
    for family in FAMILIES:
        for member in family.members(StateDict({}, "")):
            name = member.name.replace(" of width 1", "")
            if not family.name.startswith("timm") and name in torchvision().models.list_models(
                module=torchvision().models
            ):
                for weights in torchvision().models.get_model_weights(name):
                    yield name, weights


def photos_in_torchvision(name: str, weights: Any) -> PhotoTransform:
    """Return what mpscnn chooses for a file of weights."""
    return transform_of_file(weights.url.split("/")[-1]) or TORCHVISION.get(name, PhotoTransform())


def test_all_weights_of_torchvision_have_their_transforms() -> None:
    seen = 0
    for name, weights in torchvision_weights():
        photos, transform = photos_in_torchvision(name, weights), weights.transforms()
        (crop,), (resize,) = transform.crop_size, transform.resize_size
        assert math.floor(crop / photos.crop) == resize, weights.url
        assert (photos.filter, photos.mode) == (transform.interpolation.value, "center"), weights.url
        normalisation = transform.mean, transform.std
        if (
            name == "inception_v3"
        ):  # with its published weights, torchvision's forward scales samples to -1..1 again
            assert normalisation == tuple(map(list, NORMALISATIONS["torch"]))
            normalisation = [0.5] * 3, [0.5] * 3
        assert (list(photos.mean), list(photos.std)) == normalisation, weights.url
        seen += 1
    assert seen > 40


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("resnet18", "IMAGENET1K_V1"),
        ("resnet50", "IMAGENET1K_V2"),
        ("resnext101_64x4d", "IMAGENET1K_V1"),
        ("mobilenet_v2", "IMAGENET1K_V2"),
        ("mobilenet_v3_small", "IMAGENET1K_V1"),
        ("shufflenet_v2_x1_5", "IMAGENET1K_V1"),
        ("squeezenet1_1", "IMAGENET1K_V1"),
        ("mnasnet0_75", "IMAGENET1K_V1"),
        ("efficientnet_b0", "IMAGENET1K_V1"),
        ("efficientnet_b1", "IMAGENET1K_V2"),
        ("efficientnet_b3", "IMAGENET1K_V1"),
        ("efficientnet_v2_s", "IMAGENET1K_V1"),
        ("efficientnet_v2_l", "IMAGENET1K_V1"),
    ],
)
def test_photos_for_torchvision(photos: list[Image.Image], name: str, kind: str) -> None:
    weights = torchvision().models.get_model_weights(name)[kind]
    transform = weights.transforms()
    (crop,) = transform.crop_size
    for photo in photos:
        assert_equal(photo, (crop, crop), photos_in_torchvision(name, weights), transform)


def test_the_preset(photos: list[Image.Image]) -> None:
    transform = torchvision().models.get_model_weights("alexnet").DEFAULT.transforms()
    for photo in photos:
        found = mpscnn.preprocess(photo, 224, "torchvision")
        np.testing.assert_array_equal(found, mpscnn.preprocess(photo, 224, PhotoTransform().settings()))
        assert_equal(photo, (224, 224), PhotoTransform(), transform)


@pytest.mark.full
def test_real_photos(shared: Path) -> None:
    """All transforms of torchvision's classifiers, also of networks that mpscnn does not recognise."""
    pictures = [path for path in sorted((shared / "images").iterdir()) if "mask" not in path.name]
    photos = [Image.open(path).convert("RGB") for path in pictures if path.suffix in (".bmp", ".jpg", ".png")]
    models = torchvision().models
    kinds: dict[str, Any] = {}
    for name in models.list_models(module=models):
        for weights in models.get_model_weights(name):
            if weights.name != "IMAGENET1K_FEATURES":  # its deviation is not of photos
                kinds.setdefault(str(weights.transforms()), weights.transforms())
    assert len(kinds) > 20
    for transform in kinds.values():
        (crop,), (resize,) = transform.crop_size, transform.resize_size
        settings = PhotoTransform(
            crop / resize,
            transform.interpolation.value,
            "center",
            tuple(transform.mean),
            tuple(transform.std),
        )
        for photo in photos:
            assert_equal(photo, (crop, crop), settings, transform)


# ---- timm --------------------------------------------------------------------------------------------------------


def test_all_default_weights_of_timm_have_their_transforms() -> None:
    unknown = set()
    for family in FAMILIES:
        if not family.name.startswith("timm"):
            continue
        for member in family.members(StateDict({}, "")):
            config = timm().models.get_pretrained_cfg(member.name)
            if config is None:
                unknown.add(member.name)
                continue
            ours = TIMM_WEIGHTS.get(member.name, TimmWeights())
            photos = PhotoTransform(
                config.crop_pct, config.interpolation, config.crop_mode, config.mean, config.std
            )
            assert (ours.size, ours.photos) == (config.input_size[1], photos), member.name
            assert member.build(None).input.shape == (None, ours.size, ours.size, 3)
    assert unknown == {"mobilenetv3_large_050", "tf_mobilenetv3_large_050", "tf_mobilenetv3_small_050"}


@pytest.mark.parametrize(
    "name",
    [
        "resnet18.a1_in1k",
        "resnet50.tv2_in1k",
        "mobilenetv2_100.ra_in1k",
        "mobilenetv3_large_150d.ra4_e3600_r256_in1k",
        "mobilenetv4_conv_medium.e500_r256_in1k",
        "efficientnet_b0.ra_in1k",
        "efficientnet_b1.ra4_e3600_r240_in1k",
        "efficientnet_b5.sw_in12k_ft_in1k",
        "tf_efficientnet_b2.ns_jft_in1k",
        "tf_efficientnetv2_s.in21k_ft_in1k",
    ],
)
def test_photos_for_timm(tmp_path: Path, photos: list[Image.Image], name: str) -> None:
    """The config.json that timm writes next to weights chooses the photos."""
    module = timm().create_model(name, pretrained=False)
    timm().models._hub.save_config_for_hf(module, tmp_path / "config.json")
    config = read_timm_config(tmp_path / "model.safetensors")
    assert config is not None
    assert config.photos is not None
    assert config.size is not None
    assert not config.replaced
    transform = timm().data.create_transform(**timm().data.resolve_model_data_config(module))
    for photo in photos:
        assert_equal(photo, config.size, config.photos, transform)


@pytest.mark.parametrize("mode", ["center", "squash", "border"])
@pytest.mark.parametrize("crop", [0.5, 0.882, 0.95, 1.0, 1.15])
@pytest.mark.parametrize("size", [(224, 224), (160, 192), (97, 64)])
def test_the_modes_of_timm(photos: list[Image.Image], mode: Any, crop: float, size: tuple[int, int]) -> None:
    interpolation: Any = "bilinear" if mode == "center" else "bicubic"
    settings = PhotoTransform(crop, interpolation, mode)
    transform = timm().data.create_transform(
        input_size=(3, *size),
        crop_pct=crop,
        crop_mode=mode,
        interpolation=interpolation,
        mean=settings.mean,
        std=settings.std,
    )
    for photo in photos[2:]:
        assert_equal(photo, size, settings, transform)


# ---- PyTorch's resize of tensors ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("size", [(37, 61), (224, 160), (300, 500)])
def test_the_filters_are_those_of_torch(
    photos: list[Image.Image], mode: str, antialias: bool, size: tuple[int, int]
) -> None:
    """PyTorch does not limit the results of floats, which the photo's low contrast makes needless."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    photo: NDArray[np.float32] = np.asarray(photos[0], np.float32) / 255 / 2 + 0.25
    given = torch.from_numpy(photo.transpose(2, 0, 1)[None].copy())
    expected = torch.nn.functional.interpolate(
        given, size, mode=mode, align_corners=False, antialias=antialias
    )[0]
    found = mpscnn.preprocess(photo, size, {"filter": mode + ("_antialias" if antialias else "")})[0]
    np.testing.assert_allclose(found / 255, expected.permute(1, 2, 0).numpy(), atol=2e-5)
