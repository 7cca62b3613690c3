"""Walk the table of other frameworks' words: each is forwarded to its twin, or its error has the lead."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from guessed_objects import OBJECTS

import mpscnn
from mpscnn import converters, kernels, models, nodes, onnx_backend, onnxruntime, quantization, training
from mpscnn._private.hints import NEAREST, ROWS, option_of, place_of, twin_of
from mpscnn._private.other_arguments import option_error
from mpscnn.apps.cli.app import every_command
from mpscnn.apps.train.complete_training import TrainedModel
from mpscnn.graph.quantized import has_integers

MODULES = {"mpscnn": mpscnn, "mpscnn.models": models, "mpscnn.onnx_backend": onnx_backend}
MODULES |= {
    "mpscnn.converters": converters,
    "mpscnn.kernels": kernels,
    "mpscnn.nodes": nodes,
    "mpscnn.quantization": quantization,
    "mpscnn.training": training,
    "mpscnn.onnxruntime": onnxruntime,
}
CLASSES = [name for name in OBJECTS if name != "mpscnn"]
WORDS = sorted(
    {
        (place_of(place, word), word, twin)
        for places, words, twin in ROWS
        for place in places.split()
        for word in words.split()
    }
)


def test_a_word_stands_once_at_each_place_of_a_short_table() -> None:
    assert len(ROWS) <= 95
    assert len({(place, word) for place, word, _ in WORDS}) == len(WORDS)
    assert {place for place, _, _ in WORDS} <= {"*", "argument", "option", "command", *MODULES, *CLASSES}


def test_the_lead_to_profiles_runs() -> None:
    lead = twin_of("*", "warmup")
    assert "program.session().profile(x)" in lead
    assert "mpscnn.profile(model)" in lead
    model = mpscnn.load()
    x = np.zeros((1, 64, 64, 3), np.float32)
    assert len(model.network.compile(device="cpu").session().profile(x).steps) > 10
    assert len(mpscnn.profile(model).steps) > 10


@pytest.fixture(scope="module")
def objects() -> dict[str, Any]:
    pytest.importorskip("av", reason="a Video needs PyAV")
    return {name: OBJECTS[name]() for name in CLASSES}


def test_attributes_are_forwarded_or_explained(objects: dict[str, Any]) -> None:
    """Each word works for at least one object, and never replaces an attribute."""
    useless = []
    for place, word, twin in WORDS:
        if place in MODULES:
            found = [outcome(MODULES[place], word, twin)]
        elif place == "*" or place in CLASSES:
            owners = [objects[name] for name in (CLASSES if place == "*" else [place])]
            found = [
                outcome(owner, word, twin)
                for owner in owners
                if word not in dir(owner) and (place != "*" or not twin_of(type(owner).__name__, word))
            ]
        else:
            continue
        if not any(found):
            useless.append((place, word))
    assert useless == []


def outcome(owner: Any, word: str, twin: str) -> bool:
    """Return True if the word is forwarded, or explained by its lead."""
    if " " in twin:
        with pytest.raises(AttributeError) as said:
            getattr(owner, word)
        assert str(said.value).endswith(f"has no attribute {word!r}; {twin}")
        return True
    meant = attrgetter(twin.removeprefix("mpscnn."))(mpscnn if twin.startswith("mpscnn.") else owner)
    found = getattr(owner, word)
    if isinstance(found, partial):  # a function of mpscnn, with the object as its first argument
        return found.func is meant and found.args == (owner,)
    return _same(found, meant)


def _same(found: Any, meant: Any) -> bool:
    """Compare values, arrays, and methods of objects that were made anew."""
    if callable(meant):
        return getattr(found, "__func__", found) == getattr(meant, "__func__", meant)
    return found is meant or bool(np.all(np.asarray(found, object) == np.asarray(meant, object)))


def test_names_that_classes_declare_are_forwarded(objects: dict[str, Any]) -> None:
    declared = 0
    for owner in objects.values():
        pairs = [pair for base in type(owner).__mro__ for pair in vars(base).get("_other_names", ())]
        for own, words in pairs:
            for word in words.split():
                assert word not in dir(owner), (owner, word)
                assert _same(getattr(owner, word), attrgetter(own)(owner)) or own == "f1", (owner, word)
                declared += 1
    assert declared > 50


def test_forwarded_names_are_the_twins() -> None:
    model = mpscnn.load()
    result = model.predict(mpscnn.samples.photo("cat"))
    assert (result.plot, result.tojson()) == (result.draw, result.to_json())
    assert result.names == result.labels == model.labels
    assert result.speed == result.milliseconds
    assert model.info() == model.summary()
    assert mpscnn.list_models() == mpscnn.registry.names()
    history = mpscnn.History((mpscnn.Epoch(1, 0.5, 0.5, None, None, 0.1, 1.0),))
    assert list(history.history)[:5] == ["index", "loss", "accuracy", "val_loss", "val_accuracy"]
    for name in ("val_loss", "validation_loss"):
        assert history.history[name] == history.history.get(name) == history[name] == [None]
        assert name in history.history
        assert history[0][name] is getattr(history[0], name)
    with pytest.raises(KeyError, match="val_map: there are index, loss"):
        history.history["val_map"]
    with pytest.raises(mpscnn.ParameterError, match="an epoch has index, loss"):
        history[0]["val_map"]
    with pytest.raises(AttributeError, match=r"it has .* to_dict"):
        history.keys  # noqa: B018


def test_subclasses_of_models_have_the_names_of_models() -> None:
    given = mpscnn.load()
    trained = TrainedModel.of(given.network, {}, mpscnn.History(()), None)
    for model in (trained, pickle.loads(pickle.dumps(trained))):
        assert (model.evaluate.func, model.val.args) == (mpscnn.evaluate, (model,))
    with pytest.raises(AttributeError, match=r"model\.network has it: model\.network\.conv2d"):
        trained.conv2d  # noqa: B018


@pytest.mark.parametrize("word", [word for place, word, _ in WORDS if place == "argument"])
def test_arguments_are_explained(word: str) -> None:
    assert str(option_error(word, [])).endswith(f"{word!r}; {twin_of('argument', word)}")


def test_each_word_of_trainings_leads_to_the_nearest_own_word(capsys: pytest.CaptureFixture[str]) -> None:
    """Each lead is short and begins with the own word; a command that has the option names it."""
    train = {option for one in every_command()["train"].params for option in one.opts}
    for own, words, where in NEAREST:
        assert len(where) <= 125, where
        assert not own or where.startswith(f"{own}= of mpscnn."), where
        for word in words.split():
            assert str(option_error(word, [])).endswith(f"{word!r}; {where}")
            if (option := option_of(word)) not in train:
                assert call("train", "photos", option, "1") == 2
                lead = twin_of("option", option)
                if own and option_of(own) in train:
                    lead = f"it is {option_of(own)} here: "
                assert f"No such option: {option}; {lead}" in capsys.readouterr().err
    with pytest.raises(TypeError, match=r"has no argument 'freeze'; trained_layers= of mpscnn\.train is"):
        mpscnn.train("photos", freeze=10)
    assert call("train", "photos", "batch=16", "lr0=0.01", "data=photos.yaml") == 2
    assert "photos.yaml --batch-size 16 --learning-rate 0.01" in " ".join(capsys.readouterr().err.split())


def test_options_and_commands_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    for place, word, twin in WORDS:
        if place == "option":
            assert call("models", word) == 2
            assert f"No such option: {word}; {twin}" in capsys.readouterr().err
        elif place == "command":
            assert call(word, "photo.png") == 2
            assert f"No such command {word!r}; it is `{twin}` here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("owner", "name", "hint"),
    [
        ("Network", "Conv2D", "it is 'conv2d' here"),
        ("Network", "BatchNorm", "it is 'batch_norm' here"),
        ("Model", "numParameters", "it is 'num_parameters' here"),
        ("Trainer", "learningRate", "it is 'learning_rate' here"),
        ("Network", "max_pool", "did you mean 'max_pool2d'?"),
        ("Detections", "to_panda", "did you mean 'to_pandas'?"),
        ("mpscnn", "Netwrok", "did you mean 'Network'?"),
    ],
)
def test_names_that_are_nearly_right(owner: str, name: str, hint: str) -> None:
    with pytest.raises(AttributeError, match=rf"has no attribute '{name}'; {re.escape(hint)}$"):
        getattr(OBJECTS[owner](), name)


#: The beginning of an expression in a lead, and the object that it means.
MEANT = {"session.": "Session", "model.": "Model", "net.": "Network", "mpscnn.": "mpscnn"}


def test_the_names_in_leads_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    leads = dict.fromkeys(
        [*(twin for _, _, twin in WORDS if " " in twin), *(where for _, _, where in NEAREST)]
    )
    meant = MEANT | {f"{name}.": name for name in OBJECTS}
    for lead in leads:
        for owner, path in re.findall(r"(?<![\w.'/])(\w+\.)([A-Za-z_]\w*(?:\.[a-z_]\w*)*)", lead):
            found: Any = OBJECTS[meant[owner]]() if owner in meant else None
            for name in path.split(".") if found is not None else ():
                assert name in dir(found), f"{owner}{path}: {lead}"
                found = getattr(found, name)
    for command in {name for lead in leads for name in re.findall(r"`mpscnn (\w[\w-]+)", lead)}:
        assert call(command, "--help") == 0, command
        capsys.readouterr()


def _image_node() -> mpscnn.nodes.MPSNNImageNode:
    return mpscnn.nodes.MPSNNImageNode((8, 8, 3))


def _node_graph() -> mpscnn.nodes.MPSNNGraph:
    return mpscnn.nodes.MPSNNGraph(mpscnn.nodes.MPSCNNPoolingMaxNode(_image_node(), 2, 2).result_image)


def _tiny() -> mpscnn.Network:
    net = mpscnn.Network(input=(8, 8, 3), name="tiny")
    net.output(net.conv2d(net.input, 4, 3, name="conv1"))
    net.initialize_weights()
    return net


BUNDLED = "cifar10_mobilenet_v2"


@pytest.mark.parametrize(
    ("guess", "lead"),
    [
        (lambda: mpscnn.samples.cat, "it has names, photo"),
        (lambda: mpscnn.photo.open_foto, "did you mean 'open_photo'?"),
        (lambda: mpscnn.load("yolov8n"), "`yolo export model=yolov8n.pt format=onnx`"),
        (lambda: mpscnn.load("yolov8n.pt"), "`yolo export model=yolov8n.pt format=onnx`"),
        (lambda: mpscnn.load("resnet50.pth"), "mpscnn.models.resnet50(weights) builds it"),
        (lambda: mpscnn.load("mobilenet_v2.onnx"), "No such file or directory. mpscnn.load('mobilenet_v2')"),
        (lambda: mpscnn.load("resnet50"), "mpscnn.models.resnet50(weights) builds it"),
        (lambda: models.mobilenet_v2(weights="DEFAULT"), "mpscnn.load(NAME) has trained weights"),
        (
            lambda: mpscnn.load().predict("rtsp://a.example/b"),
            "mpscnn.video('rtsp://a.example/b', model) reads it",
        ),
        (lambda: mpscnn.evaluate(mpscnn.load(), "rtsp://a/b"), "mpscnn.video('rtsp://a/b', model) reads it"),
        (lambda: mpscnn.evaluate(mpscnn.load(), "http://a/b.mp4"), "mpscnn.video('http://a/b.mp4', model)"),
        (lambda: _tiny().custom(_tiny().input, lambda x: x), "net.custom(function, x)"),
        (lambda: _tiny().custom(lambda x: x, 3), "custom: x must be a sequence, got 3"),
        (lambda: mpscnn.Trainer(_tiny()).fit(_tiny(), [1]), "Trainer(network) has the network"),
        (
            lambda: mpscnn.Trainer(_tiny()).step(),
            "'inputs' and 'labels'; call step(inputs, labels): Train on",
        ),
        (lambda: mpscnn.Trainer(_tiny(), optimizer=type("Lion", (), {})), "or mpscnn.Sgd, RmsProp or Adam"),
        (lambda: mpscnn.load().save("x.tflite", dtype="int8"), "mpscnn.quantize makes"),
        (lambda: mpscnn.load().save("x.onnx", dtype="int8"), "mpscnn.quantize makes"),
        (lambda: mpscnn.load().save("x.safetensors", dtype="int4"), "mpscnn.quantize makes"),
        (lambda: models.mobilenet_v2(weights=BUNDLED, classes=3), "replace_head(classes) other classes"),
        (lambda: models.resnet18(BUNDLED, layout="OIHW"), "layout is for arrays"),
        (lambda: mpscnn.Trainer(_tiny(), frozen=["conv2"]), "did you mean 'conv1'?"),
        (lambda: mpscnn.load().predict({"x": 1}), "session.run(x) takes arrays by the names of inputs"),
        (lambda: mpscnn.kernels.PoolingMax(kernelWidth=2), "it is 'kernel_width' here"),
        (lambda: mpscnn.kernels.PoolingMax(2, 2).encodeToCommandBuffer, "it is encode(commands, source"),
        (lambda: mpscnn.training.schedules.Cosine(1e-3), "it is 'cosine' here"),
        (lambda: mpscnn.training.schedules.WarmUp(10, 1e-3), "it is 'warm_up' here"),
        (lambda: mpscnn.kernels.MPSImageDescriptor, "it is mpscnn.ImageDescriptor here"),
        (lambda: mpscnn.nodes.MPSNNImageNode(handle=None), "an image of a graph has a shape and a name"),
        (lambda: mpscnn.nodes.MPSNNGraph(resultImage=None), "did you mean 'result_image'?"),
        (lambda: _node_graph().encodeToCommandBuffer, "session.run(x) computes arrays"),
        (lambda: mpscnn.nodes.MPSCNNPoolingMaxNode(source=_image_node()), "first, without a name"),
        (
            lambda: mpscnn.nodes.MPSCNNPoolingMaxNode(_image_node(), kernelWidth=2),
            "it is 'kernel_width' here",
        ),
        (lambda: mpscnn.ImageDescriptor(featureChannels=4), "did you mean 'feature_channels'?"),
        (lambda: mpscnn.Conv2D, "'conv2d' here; layers are methods of mpscnn.Network"),
        (lambda: mpscnn.MaxPooling2D, "'max_pooling2d' here; layers are methods of mpscnn.Network"),
        (
            lambda: mpscnn.load().save(format="onnx"),
            "the suffix of the file that is written chooses its format",
        ),
        (lambda: mpscnn.load().weights, "model.network.weights"),
        (lambda: mpscnn.sklearn.Classifier, "did you mean 'ImageClassifier'?"),
        (lambda: mpscnn.profile("digits"), "mpscnn.load(path) reads files"),
        (lambda: mpscnn.quantize("digits", []), "mpscnn.load(path) reads files"),  # type: ignore[arg-type]
        (lambda: mpscnn.load().compile(), "mpscnn.load(name, device=...) compiles a Model"),
        (
            lambda: _tiny().conv2d(np.zeros((1, 8, 8, 3)), 4, 3),
            "got ndarray; arrays are for network.predict(x)",
        ),  # type: ignore[arg-type]
        (lambda: mpscnn.load(task="detection"), "for the task of that model (`mpscnn models` lists them)"),  # type: ignore[call-overload]
        (lambda: mpscnn.train("photos", mixup=0.2), "augment=mpscnn.Augmentation(rotation=10)"),
        (lambda: _tiny().load("x.onnx"), "mpscnn.Network.load(path) returns another object"),
        (lambda: mpscnn.Model(_tiny()).load("x.onnx"), "mpscnn.Model.load(path) returns another object"),
        (lambda: _tiny().custom(lambda x: x), "computes function(x) on the CPU, where x is"),
        (lambda: mpscnn.compare(_tiny(), _tiny(), []), "input is an empty list"),
        (
            lambda: mpscnn.evaluate(mpscnn.load(), "http://localhost:9/x.jpg"),
            "its class: [('http://localhost:9/x.jpg'",
        ),
        (lambda: mpscnn.Runner(mpscnn.load()).map(0), "mpscnn.video('camera:0', model) reads a camera"),  # type: ignore[call-overload]
        (lambda: mpscnn.Image(8, 8, featureChannels=4), "did you mean 'feature_channels'?"),
        (lambda: mpscnn.TemporaryImage(8, 8, featureChannels=4), "did you mean 'feature_channels'?"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_calls_that_are_nearly_right(guess: Any, lead: str) -> None:
    with pytest.raises((mpscnn.Error, AttributeError, TypeError)) as said:
        guess()
    assert lead in str(said.value)


def test_results_of_quantize_are_saved_or_lead_to_the_network(tmp_path: Path) -> None:
    made = mpscnn.quantize(_tiny(), np.zeros((2, 8, 8, 3), np.float32))
    made.save(tmp_path / "q.safetensors")
    assert has_integers(mpscnn.Network.load(tmp_path / "q.safetensors"))
    with pytest.raises(
        AttributeError, match=r"'predict': network, report = mpscnn.quantize\(model, photos\)"
    ):
        made.predict  # type: ignore[attr-defined]  # noqa: B018
    assert tuple(made) == (made.network, made.report)


def test_arrays_of_names_are_photos() -> None:
    model, cat = mpscnn.load(), str(mpscnn.samples.photo("cat"))
    for kind in (str, object):
        photos = np.array([cat, cat], kind)
        assert [one.label for one in model.predict(photos)] == [model.predict(cat).label] * 2
        assert mpscnn.compare(model, model, photos).equal


def test_tables_are_written_as_pages(tmp_path: Path) -> None:
    profile = mpscnn.profile(mpscnn.load())
    profile.save(tmp_path / "p.html")
    profile.save(tmp_path / "p.csv")
    assert (tmp_path / "p.html").read_text().startswith('<!doctype html><meta charset="utf-8"><div')
    assert (tmp_path / "p.csv").read_text() == profile.to_csv()
    result = mpscnn.load().predict(mpscnn.samples.photo("cat"))
    result.save(tmp_path / "r.json")
    assert (tmp_path / "r.json").read_text() == result.to_json()
    found = mpscnn.compare(mpscnn.load().network, mpscnn.load().network)
    found.save(tmp_path / "c.csv")
    assert (tmp_path / "c.csv").read_text() == found.to_csv()


def test_python_adds_no_name_to_a_hint() -> None:
    """Tracebacks of Python end with a similar name unless the error has a hint. Starting Python takes half a second."""
    places = [
        ("mpscnn", "MPSImage"),
        ("mpscnn.kernels", "MPSCNNConvolutionDescriptor"),
        ("mpscnn.Network", "lod"),
        ("mpscnn.kernels.NeuronReLU()", "lable"),
        ("mpscnn.Network(input=(8, 8, 3))", "conv2D"),
        ("mpscnn.nodes.MPSNNImageNode((8, 8, 3))", "shapes"),
        ("mpscnn.ImageDescriptor(8, 8, 3)", "widht"),
    ]
    code = "import sys, mpscnn, mpscnn.kernels, mpscnn.nodes\n" + "\n".join(
        f"try: {owner}.{name}\nexcept AttributeError: sys.__excepthook__(*sys.exc_info())"
        for owner, name in places
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    errors = [line for line in found.stderr.splitlines() if line.startswith("AttributeError: ")]
    assert len(errors) == len(places), found.stderr
    assert [line for line in errors if "; " in line and ". Did you mean: " in line] == []
    assert sum("; " in line for line in errors) >= 4


@pytest.mark.parametrize("made", ["ssdlite_mobilenet_v2", "mobilenet_v2", "deeplab_v3", "deep_mnist"])
def test_weights_of_files_are_read_before_anything_else_is_imported(made: str, tmp_path: Path) -> None:
    """A function of mpscnn.models may be the first thing that a program calls. This starts Python."""
    call_of_it = f"mpscnn.models.{made}({str(tmp_path / 'a.safetensors')!r})"
    code = f"import mpscnn\ntry: {call_of_it}\nexcept mpscnn.WeightsError as error: print(error)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "a.safetensors" in found.stdout, found.stderr


def test_a_loss_is_a_number_that_has_no_gradient() -> None:
    loss = mpscnn.Trainer(_tiny(), loss="mse").step(np.zeros((1, 8, 8, 3)), np.zeros((1, 6, 6, 4)))
    assert isinstance(loss, float)
    assert loss.item() == loss  # type: ignore[attr-defined]
    with pytest.raises(
        AttributeError, match=r"no attribute 'backward'; nothing trains but a Trainer, whose step"
    ):
        loss.backward()  # type: ignore[attr-defined]


def test_a_network_has_a_length_and_contains_names() -> None:
    empty, net = mpscnn.Network(input=(8, 8, 3)), _tiny()
    assert (len(empty), len(net), bool(empty)) == (0, 1, True)
    assert ("conv1" in net, "conv2" in net, 1 in net) == (True, False, False)


def test_the_build_is_shown_as_numpy_shows_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    for show in (mpscnn.show_config, mpscnn.__config__.show):  # type: ignore[attr-defined]
        assert show() is None
        assert json.loads(capsys.readouterr().out) == mpscnn.build_config() == show(mode="dicts")
        with pytest.raises(mpscnn.ParameterError, match="'stdout' or 'dicts', got 'text'"):
            show("text")


def test_commands_of_other_tools_after_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("models", "download", "mobilenet_v2") == 2
    assert "here it is `mpscnn models` or" in " ".join(capsys.readouterr().err.split())


def test_a_commands_own_option_wins_over_a_general_lead(capsys: pytest.CaptureFixture[str]) -> None:
    for line, lead in (
        ("train photos --imgsz", "it is --size here"),
        ("detect photo.png --max-det", "it is --max-detections here"),
        ("classify photo.png --topk", "it is --top here"),
        ("quantize digits --dataset", "it is --images here"),
        ("benchmark digits --batch", "it is --max-batch here"),
        ("classify photo.png --batch", "mpscnn train has --batch-size, and mpscnn benchmark and serve have"),
    ):
        command, given, option = line.split()
        assert call(command, given, option, "3") == 2
        message = " ".join(capsys.readouterr().err.split())
        assert f"No such option: {option}; {lead}" in message
        assert "mpscnn.train" not in message


def test_files_to_write_and_integers_lead_to_their_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("quantize", "digits", "small.safetensors", "--images", "photos") == 2
    assert "--output small.safetensors writes to it" in " ".join(capsys.readouterr().err.split())
    assert call("convert", "digits", "small.mlpackage", "--dtype", "int8") == 2
    assert "; uint8 stores 8-bit weights" in " ".join(capsys.readouterr().err.split())
    for option, lead in (
        ("--half", "it is --dtype here"),
        ("--format", "the suffix of the file that is written chooses its format"),
        ("--nms", "it is --suppression here"),
    ):
        assert call("convert", "digits", "small.mlpackage", option) == 2
        assert f"No such option: {option}; {lead}" in " ".join(capsys.readouterr().err.split())


def test_a_model_before_photos_leads_to_its_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("evaluate", "model.safetensors", str(tmp_path)) == 2
    assert "--model FILE names the model" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("owner", "name", "lead"),
    [
        ("Model", "from_pretrained", "mpscnn.load(name or path)"),
        ("Image", "open", "a photo is a path"),
    ],
)
def test_names_of_classes_lead(owner: str, name: str, lead: str) -> None:
    """They are typed on the class, before there is an object."""
    with pytest.raises(AttributeError, match=re.escape(lead)):
        getattr(getattr(mpscnn, owner), name)


def test_a_device_of_another_framework_is_no_device_to_load_for() -> None:
    model = mpscnn.load()
    with pytest.raises(mpscnn.ParameterError, match="mpscnn runs on 'cpu', 'metal' and 'coreml'"):
        model.to("cuda")
    with pytest.raises(mpscnn.ParameterError, match="load it with device='metal'"):
        model.to("metal")
    assert model.to("cpu") is model


def test_a_filter_of_detections_is_a_function(objects: dict[str, Any]) -> None:
    with pytest.raises(mpscnn.ParameterError, match=r"must be a function of a Detection.* got 0\.5"):
        objects["Detections"].filter(0.5)


def test_options_by_other_names_and_models_as_weights(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("classify", "photo.png", "--top-k", "3") == 2
    assert "No such option: --top-k; it is --top here" in capsys.readouterr().err
    assert call("classify", "photo.png", "--weights", "mobilenet_v2") == 2
    assert "--model names the model with its weights" in " ".join(capsys.readouterr().err.split())
