"""Test arguments that are paths: any other value is refused with the name of the argument."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from constant_detector import constant_network
from guessed_objects import OBJECTS, network

import mpscnn
from mpscnn import converters


def _saved(name: str) -> Callable[[Any], object]:
    return lambda path: OBJECTS[name]().save(path)


def _detector() -> mpscnn.Model:
    return mpscnn.load(constant_network())


def _deep_mnist() -> mpscnn.Network:
    made = mpscnn.models.deep_mnist()
    made.initialize_weights()
    return made


#: How a value is given to an argument that takes paths only, by function and argument.
CALLS: dict[str, Callable[[Any], object]] = {
    "Classification.save path": _saved("Classification"),
    "Comparison.save path": _saved("Comparison"),
    "Detections.save path": _saved("Detections"),
    "Evaluation.save path": _saved("Evaluation"),
    "DataCheck.write folder": partial(mpscnn.DataCheck.write, None),
    "ImageFolder.__init__ path": mpscnn.ImageFolder,
    "DetectorEvaluation.save path": _saved("DetectorEvaluation"),
    "DetectorMeasures.save path": partial(mpscnn.DetectorMeasures.save, None),
    "SegmenterEvaluation.save path": _saved("SegmenterEvaluation"),
    "Model.calibrate annotations": lambda path: _detector().calibrate(".", annotations=path, precision=0.9),
    "Model.save path": _saved("Model"),
    "Network.load path": mpscnn.Network.load,
    "Network.load_raw_weights directory": network().load_raw_weights,
    "Network.save path": _saved("Network"),
    "Profile.save path": _saved("Profile"),
    "Profile.save_trace path": lambda path: OBJECTS["Profile"]().save_trace(path),
    "SceneReport.save folder": partial(mpscnn.SceneReport.save, None),
    "Segmentation.save path": _saved("Segmentation"),
    "TrainedModel.calibrate annotations": lambda path: mpscnn.TrainedModel.calibrate(
        _detector(), ".", annotations=path, precision=0.9
    ),
    "TrainedModel.save path": _saved("Model"),
    "TrackedDetections.save path": _saved("Detections"),
    "Trainer.save path": _saved("Trainer"),
    "TrainingReport.save folder": partial(mpscnn.TrainingReport.save, None),
    "check_data annotations": lambda path: mpscnn.check_data(".", annotations=path),
    "check_data photos": mpscnn.check_data,
    "check_data unlabelled": lambda path: mpscnn.check_data(".", unlabelled=path),
    "converters.convert_files output": partial(converters.convert_files, "a.onnx"),
    "converters.export_coreai path": partial(converters.export_coreai, network()),
    "converters.export_coreml path": partial(converters.export_coreml, network()),
    "converters.export_onnx path": partial(converters.export_onnx, network()),
    "converters.export_tflite path": partial(converters.export_tflite, network()),
    "converters.read_labels path": converters.read_labels,
    "evaluate annotations": lambda path: mpscnn.evaluate(_detector(), ".", annotations=path),
    "evaluate labels": lambda path: mpscnn.evaluate(mpscnn.load(), ".", labels=path),
    "evaluate masks": lambda path: mpscnn.evaluate(mpscnn.load(), ".", masks=path),
    "evaluate_detector annotations": lambda path: mpscnn.evaluate_detector(_detector(), ".", path),
    "evaluate_detector photos": lambda path: mpscnn.evaluate_detector(_detector(), path, "a.json"),
    "models.export_deep_mnist directory": partial(mpscnn.models.export_deep_mnist, _deep_mnist()),
    "read_idx path": mpscnn.read_idx,
    "train data": mpscnn.train,
    "train_classifier data": mpscnn.train_classifier,
    "train_classifier labels": lambda path: mpscnn.train_classifier(".", labels=path, task="tags"),
    "train_classifier output": lambda path: mpscnn.train(".", output=path),
    "train_classifier report": lambda path: mpscnn.train(".", report=path),
    "train_detector annotations": lambda path: mpscnn.train_detector(".", annotations=path),
    "train_detector data": lambda path: mpscnn.train(path, annotations="a.json"),
    "train_detector output": lambda path: mpscnn.train(".", annotations="a.json", output=path),
    "train_detector report": lambda path: mpscnn.train(".", annotations="a.json", report=path),
    "train_segmenter data": lambda path: mpscnn.train(path, masks="."),
    "train_segmenter masks": lambda path: mpscnn.train_segmenter(".", masks=path),
    "train_segmenter output": lambda path: mpscnn.train(".", masks=".", output=path),
    "train_segmenter report": lambda path: mpscnn.train(".", masks=".", report=path),
    "video source": lambda path: mpscnn.video(path, mpscnn.load()),
}


def _functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in mpscnn.__all__:
        found = getattr(mpscnn, name)
        if inspect.isfunction(found):
            yield name, found
        for member in getattr(found, "__all__", ()) if inspect.ismodule(found) else ():
            if inspect.isfunction(function := getattr(found, member)):
                yield f"{name}.{member}", function
        for member, function in (
            inspect.getmembers(found, inspect.isfunction) if inspect.isclass(found) else ()
        ):
            if member == "__init__" or not member.startswith("_"):
                yield f"{name}.{member}", function


CALLS |= {
    f"{name} path": partial(function, None)
    for name, function in _functions()
    if name.endswith(".to_csv") and "path" in inspect.signature(function).parameters
}


def test_all_arguments_that_take_paths_only_are_in_the_table() -> None:
    texts = {"str", "os.PathLike[str]", "PathLike[str]", "None"}
    found = {
        f"{name} {argument.name}"
        for name, function in _functions()
        for argument in inspect.signature(function).parameters.values()
        if "PathLike" in str(argument.annotation) and {*str(argument.annotation).split(" | ")} <= texts
    }
    assert found - {"converters.convert_files labels"} == set(CALLS)  # which may also be None


@pytest.mark.parametrize("call", CALLS)
def test_anything_but_a_path_is_refused(call: str) -> None:
    argument = call.split()[-1]
    for value in (3, {"images": []}, [Path()], OBJECTS["Network"]):
        kind = type(value).__name__
        with pytest.raises(mpscnn.ParameterError, match=rf"^{argument} must be (a|the) path.*got {kind}"):
            CALLS[call](value)


@pytest.mark.parametrize(
    ("values", "options", "lead"),
    [
        (
            (OBJECTS["ImageFolder"](),),
            {},
            "mpscnn.Trainer(network).fit(data) trains on arrays and on an ImageFolder",
        ),
        (("data.yaml",), {}, "mpscnn.train(folder, annotations='data.yaml')"),
        (("http://a.example/photos.zip",), {}, "download the photos"),
        ((".",), {"annotations": {}}, "json.dump writes"),
        ((".",), {"annotation": {}}, "json.dump writes"),
        ((".", 3), {}, "it may also be a Network, a Model or None"),
    ],
)
def test_what_is_not_a_folder_of_photos_leads_to_its_place(values: Any, options: Any, lead: str) -> None:
    with pytest.raises(mpscnn.ParameterError) as said:
        mpscnn.train(*values, **options)
    assert lead in str(said.value)


def test_singular_names_of_labels_are_known(tmp_path: Path) -> None:
    empty = tmp_path / "a.json"
    empty.write_text(json.dumps({}))
    with pytest.raises(TypeError, match=r"annotations= of mpscnn\.train, for a detector"):
        mpscnn.train_classifier(tmp_path, annotation=empty)  # type: ignore[call-arg]


#: Functions that read a text of any length, by the suffix of its file.
TEXTS: dict[str, Callable[[Path], object]] = {
    ".txt": converters.read_labels,
    ".json": converters.read_labels,
    " photos.json": lambda path: converters.choose_settings(network(), preprocess=path),
    " scenes.json": lambda path: mpscnn.evaluate(_detector(), path.parent, annotations=path),
    ".prototxt": lambda path: converters.read_network([path, path.with_suffix(".caffemodel")]),
}


@pytest.mark.parametrize("begin", ["", "{\n", "a"])
@pytest.mark.parametrize("suffix", TEXTS)
def test_a_hole_of_a_terabyte_in_a_text_is_not_read(suffix: str, begin: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_text(begin)
    os.truncate(path, 1 << 40)
    path.with_suffix(".caffemodel").write_bytes(b"x")
    with pytest.raises(mpscnn.Error, match="the rest is a hole"):
        TEXTS[suffix](path)
