"""Test that docs/catalogue.md is right, and that Python and the core have the same raw kernels."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest

import mpscnn
from mpscnn import _core, kernels
from mpscnn.kernels.properties import Kept, Property

PROJECT = Path(__file__).resolve().parent.parent
CLASSES = {
    apple: layer
    for classes in json.loads((PROJECT / "docs" / "apple_classes.json").read_text("utf-8")).values()
    for apple, layer in classes.items()
}
KERNELS = {entry["name"]: entry for entry in json.loads(_core.kernels())}


def test_every_class_of_apples_catalogue_is_listed(shared: Path) -> None:
    page = (shared / "references" / "apple_cnn_kernels_catalogue.txt").read_text("utf-8")
    topics = page[page.index("## Topics") : page.index("## See Also")]
    named = set(re.findall(r"^(?:class|protocol) (\w+)$", topics, re.MULTILINE))
    assert len(named) > 100
    assert named <= CLASSES.keys()


def test_apples_names_and_properties_exist(shared: Path) -> None:
    api = json.loads((shared / "mps" / "mps_api.json").read_text("utf-8"))
    assert CLASSES.keys() <= api["classes"].keys() | api["protocols"].keys()


def test_every_class_is_there(generator: dict[str, Any]) -> None:
    page = generator["catalogue_page"]
    missing = {apple for apple in CLASSES if page.counterpart(apple) is None}
    assert not missing
    assert "not yet" not in page.text()


def test_classes_have_apples_names_without_the_prefix(generator: dict[str, Any]) -> None:
    in_mpscnn = {"MPSImage", "MPSTemporaryImage", "MPSNNDefaultPadding"}
    for apple in CLASSES:
        place = "" if apple in in_mpscnn else "kernels."
        assert generator["catalogue_page"].counterpart(apple) == place + re.sub("^MPS(CNN|NN)?", "", apple)


def test_recurrent_classes_and_matrices_have_a_row(shared: Path, generator: dict[str, Any]) -> None:
    api = json.loads((shared / "mps" / "mps_api.json").read_text("utf-8"))
    instead = generator["catalogue_page"].INSTEAD
    wanted = {name for name in api["classes"] if re.search("RNN|LSTM|GRU|Matrix", name)}
    wanted -= {*CLASSES, *mpscnn.nodes.names(), *mpscnn.nodes.gradient_names()}
    assert wanted == instead.keys()


def test_names_that_replace_classes_are_there(generator: dict[str, Any]) -> None:
    for text in generator["catalogue_page"].INSTEAD.values():
        for owner, name in re.findall(r"`(Network|Image)\.(\w+)`", text):
            assert callable(getattr(getattr(mpscnn, owner), name))


@pytest.mark.parametrize("name", ["MPSRNNImageInferenceLayer", "LSTMDescriptor", "MPSMatrixMultiplication"])
def test_other_classes_lead_to_networks(name: str) -> None:
    for module in (mpscnn, kernels):
        with pytest.raises(AttributeError, match=r"net\.lstm|net\.matmul"):
            getattr(module, name)


@pytest.mark.parametrize("layer", sorted({layer for layer in CLASSES.values() if layer}))
def test_named_layers_are_methods_of_networks(layer: str) -> None:
    assert callable(getattr(mpscnn.Network, layer))


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_a_kernel_has_a_python_class_with_its_properties(name: str) -> None:
    entry = KERNELS[name]
    cls = getattr(kernels, name)
    assert cls.apple_class == entry["apple"]
    assert entry["apple"] in CLASSES
    assert cls.__doc__ is not None
    said = " ".join(cls.__doc__.split()).replace(f", as {entry['apple']}", "", 1)
    assert said.startswith(entry["meaning"].split("\n")[0])
    assert entry["apple"] in " ".join(cls.__doc__.split())
    stated = {field["name"] for field in [*entry["fixed"], *entry["properties"]]}
    if "clip_rect" in stated:  # kernels without this property use whole images
        assert issubclass(cls, kernels.UnaryKernel if entry["sources"] == 1 else kernels.BinaryKernel)
    assert properties_of(cls) == stated
    for field in [*entry["fixed"], *entry["properties"]]:
        assert len(field["meaning"]) > 3
        assert getattr(cls, field["name"]).__doc__


WITHOUT_ARGUMENTS = [
    name
    for name in sorted(KERNELS)
    if all(
        argument.default is not argument.empty or argument.kind is argument.VAR_KEYWORD
        for argument in inspect.signature(getattr(kernels, name)).parameters.values()
    )
]


# BatchNormalization needs an array or a number of channels.
@pytest.mark.parametrize("name", [name for name in WITHOUT_ARGUMENTS if name != "BatchNormalization"])
def test_a_kernel_without_arguments_has_the_defaults_of_the_core(name: str) -> None:
    stated = {
        field["name"]: field["default"] for field in [*KERNELS[name]["fixed"], *KERNELS[name]["properties"]]
    }
    assert getattr(kernels, name)()._properties() == stated


def properties_of(cls: type[Any]) -> set[str]:
    """Return the properties that the core has, without those that only Python objects keep."""
    found = {name: getattr(cls, name) for name in dir(cls)}
    return {
        name for name, value in found.items() if isinstance(value, Property) and not isinstance(value, Kept)
    }


def test_every_python_kernel_is_in_the_core() -> None:
    bases = {
        "Arithmetic",
        "ArithmeticGradient",
        "BinaryKernel",
        "GradientKernel",
        "ImageScale",
        "Kernel",
        "Optimizer",
        "Pooling",
        "PoolingGradient",
        "ReduceBinary",
        "ReduceUnary",
        "UnaryKernel",
        "Upsampling",
        "UpsamplingGradient",
    }
    classes = {
        name
        for name in kernels.__all__
        if isinstance(getattr(kernels, name), type) and issubclass(getattr(kernels, name), kernels.Kernel)
    }
    assert classes - bases == KERNELS.keys()
