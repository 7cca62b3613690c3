"""Test values and uses of other frameworks: each is accepted, or its error says what to write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from command_line import Command
from guessed_objects import PHOTO, X, Y, network

import mpscnn
from mpscnn._private.other_arguments import DEVICES, MONITORS, PRECISIONS, WORDS


@pytest.mark.parametrize("name", [*PRECISIONS, "FP16", "Half"])
def test_precisions(name: str) -> None:
    wanted: Any = name
    if PRECISIONS[name.lower()] == "bfloat16" and "no_bfloat16" in mpscnn.devices()[0]:
        pytest.skip(f"bfloat16: {mpscnn.devices()[0]['no_bfloat16']}")
    assert network().compile(device="cpu", precision=wanted).precision == PRECISIONS[name.lower()]


@pytest.mark.parametrize(("name", "ours"), DEVICES.items())
def test_devices(name: str, ours: str, command: Command) -> None:
    """Names such as "gpu" mean "metal". On a machine without Metal the error says so."""
    if mpscnn.devices()[1]["available"]:
        assert network().compile(device=name).device == ours
        return
    for use in (
        lambda: network().compile(device=name.upper()),
        lambda: mpscnn.load(device=name),
        lambda: mpscnn.Trainer(network(), device=name),
        lambda: mpscnn.CommandQueue(name),
    ):
        with pytest.raises(mpscnn.DeviceError, match=rf"(?i)'{name}' means '{ours}': "):
            use()
    assert f"'{name}' means '{ours}': " in command("profile", "digits", "--device", name).stderr


def test_the_name_of_a_gpu_is_no_alias() -> None:
    with pytest.raises(mpscnn.DeviceError) as refused:
        network().compile(device="metal:No such GPU")
    assert "means" not in str(refused.value)


def test_numbers_instead_of_sequences_are_refused() -> None:
    from mpscnn import nodes

    number: Any = 5
    photo = np.zeros((8, 8, 3), np.uint8)
    net = network()
    detector = mpscnn.models.ssdlite_mobilenet_v2()
    detector.initialize_weights()
    model = mpscnn.Model(detector)
    for use, message in (
        (lambda: nodes.MPSNNGraph(number), "MPSNNGraph: result_image must be a sequence, got 5"),
        (lambda: net.custom(lambda x: x, net.input, shape=number), "custom: shape must be a sequence, got 5"),
        (lambda: model.detect(photo, classes=number), "classes must be names or numbers of classes, got 5"),
        (lambda: mpscnn.empty(2.5), "empty: shape must be whole numbers, got"),  # type: ignore[arg-type]
        (lambda: mpscnn.empty("ab"), "empty: shape must be whole numbers, got 'ab'"),  # type: ignore[arg-type]
    ):
        with pytest.raises(mpscnn.ParameterError, match=message):
            use()
    for shape in (np.int64(3), 3, (3,), [np.int32(3)], np.array([3])):
        assert mpscnn.empty(shape).shape == (3,)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "CUDA"])
def test_cuda_is_refused_with_what_there_is(name: str) -> None:
    there = f"this machine has 'cpu' ({mpscnn.devices()[0]['description']})"
    for use in (lambda: network().compile(device=name), lambda: mpscnn.Trainer(network(), device=name)):
        with pytest.raises(mpscnn.ParameterError) as refused:
            use()
        assert f"device {name!r} is not supported" in str(refused.value)
        assert there in str(refused.value)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (
            lambda: network().conv2d(network().input, 8, 3, 1, "same"),
            "conv2d() takes only x, filters, kernel_size by position; by name strides=, ",
        ),
        (
            lambda: mpscnn.Trainer(network()).fit(X, Y, 5),
            "fit() takes only data, labels by position; by name epochs=",
        ),
        (
            lambda: mpscnn.Trainer(network(), mpscnn.Sgd()),
            "Trainer() takes only network by position; by name loss=",
        ),
        (lambda: network().compile("cpu"), "compile() takes nothing by position; by name outputs="),
        (lambda: network().input[0], "net.slice(x, rows=(0, 8))"),
        (lambda: network().input ** 2, "x * x is a square"),
        (lambda: 2 ** network().input, "x * x is a square"),
        (lambda: network().input @ network().input, "net.matmul(x, y)"),
        (lambda: abs(network().input), "net.activation(x, 'absolute')"),
    ],
)
def test_uses_that_are_refused(use: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError) as said:
        use()
    assert message in str(said.value)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: mpscnn.Trainer(network()).fit((X, Y), 2), "fit takes epochs=2 by name"),
        (lambda: mpscnn.Trainer(network()).fit(X), "has no labels: data is (inputs, labels)"),
        (lambda: mpscnn.Trainer(network()).fit([X, Y]), "has no labels: data is (inputs, labels)"),
        (lambda: mpscnn.Trainer(mpscnn.load()), "got Model; a Model has model.network"),
        (lambda: mpscnn.Trainer(network(), optimizer=mpscnn.Sgd), "got the class: mpscnn.Sgd()"),
        (lambda: network().load_weights("net.safetensors"), "mpscnn.load(path).network.weights"),
        (lambda: list(network()), "layer_names() lists them"),
        (lambda: network().compile(device=0), "got 0; names are 'auto', 'cpu', 'metal' and 'coreml'"),
        (lambda: mpscnn.load(device=None), "got None; names are 'auto', 'cpu', 'metal' and 'coreml'"),
        (lambda: network().predict(np.ones((2, 1, 4, 4))), "; x.transpose(0, 2, 3, 1) fits"),
        (lambda: network().predict(np.ones((1, 4, 4))), "; x.transpose(1, 2, 0)[None] fits"),
        (lambda: network().predict(X[0]), "; x[None] fits"),
        (lambda: mpscnn.Network((None, None, 3)).summary(), "must be given; size=(height, width) gives them"),
        (lambda: network().predict("cat.jpg"), "; photos go through Model.predict"),
        (
            lambda: mpscnn.Trainer(network()).step(np.ones((2, 1, 4, 4)), [0, 1]),
            "; x.transpose(0, 2, 3, 1) fits",
        ),
        (lambda: mpscnn.Trainer(network()).fit([*zip(X, Y, strict=True)]), "a DataLoader makes batches"),
        (lambda: mpscnn.FeatureExtractor(mpscnn.load(), "pool"), "got Model; a Model has model.network"),
        (lambda: mpscnn.FeatureExtractor("digits", "pool"), "got str; mpscnn.load(path) reads files"),
        (lambda: mpscnn.evaluate("digits", []), "got str; mpscnn.load(name or path) makes one"),
        (
            lambda: mpscnn.evaluate(network(), []),
            "got Network; mpscnn.Model(network, preprocess=...) makes one",
        ),
        (lambda: mpscnn.evaluate_detector("digits", "photos", "boxes.json"), "expected a Model, got str"),
        (lambda: mpscnn.evaluate_segmenter("digits", []), "expected a Model, got str"),
        (lambda: mpscnn.video(mpscnn.load(), "clip.mp4"), "mpscnn.video(path, model)"),  # type: ignore[call-overload]
        (lambda: mpscnn.Runner("digits"), "got str; mpscnn.load(name or path) makes a Model"),
        (lambda: mpscnn.Runner(network()), "mpscnn.Model(network) or network.compile() makes one"),
        (lambda: mpscnn.Trainer("net.onnx"), "got str; mpscnn.load(path) reads files"),
        (lambda: mpscnn.load().predict(np.full((9, 9, 3), 7)), "give numpy.asarray(array, numpy.uint8)"),
        (lambda: mpscnn.load().predict(iter([PHOTO])), "Runner.map takes photos one after the other"),
        (lambda: mpscnn.load().classify(["cat.png"]), "Model.predict takes a list of photos"),
        (
            lambda: mpscnn.load().predict("~/cat.jpg"),
            "only shells replace '~': pathlib.Path(path).expanduser()",
        ),
        (lambda: mpscnn.load("~/net.onnx"), "only shells replace '~': pathlib.Path(path).expanduser()"),
        (
            lambda: network().save("~/net.safetensors"),
            "only shells replace '~': pathlib.Path(path).expanduser()",
        ),
    ],
)
def test_values_that_are_refused(use: Callable[[], Any], message: str) -> None:
    with pytest.raises(mpscnn.Error) as said:
        use()
    assert message in str(said.value)


def test_uses_that_work() -> None:
    trainer = mpscnn.Trainer(network())
    assert [epoch.index for epoch in trainer.iter_epochs(X, Y, epochs=2)] == [1, 2]
    free = mpscnn.Network(input=(None, None, 3))
    free.output(free.conv2d(free.input, 2, 3))
    assert free.summary(16) == free.summary((16, 16))
    for name in ("CPU", "cpu:0", "Auto"):
        assert network().compile(device=name).device in ("cpu", "metal")
    for number_format in (np.float16, np.dtype("float16")):
        assert network().compile(dtype=number_format).precision == "float16"  # type: ignore[call-arg]
        assert mpscnn.Trainer(network(), precision=np.float32) is not None  # type: ignore[arg-type]
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    assert network().compile(dtype=torch.float16).precision == "float16"  # type: ignore[call-arg]
    assert network().compile(device=torch.device("cpu")).device == "cpu"


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam", "Adam", "AdamW"])
def test_optimizers_by_name(optimizer: str) -> None:
    trainer = mpscnn.Trainer(network(), optimizer=optimizer, lr=0.25)  # type: ignore[call-arg]
    assert trainer.learning_rate == trainer.lr == 0.25
    trainer.fit(X, Y)
    assert mpscnn.Adam(lr=0.25) == mpscnn.Adam(0.25)  # type: ignore[call-arg]
    with pytest.raises(mpscnn.ParameterError, match="optimizer must be 'sgd', 'rmsprop', 'adam'"):
        mpscnn.Trainer(network(), optimizer="lion")
    with pytest.raises(mpscnn.ParameterError, match="give it to the optimizer itself"):
        mpscnn.Trainer(network(), optimizer=mpscnn.Adam(), learning_rate=0.1)


@pytest.mark.parametrize("optimizer", [mpscnn.SGD, mpscnn.RMSprop, mpscnn.Adam])
def test_optimizers_take_no_weights(optimizer: Callable[..., Any]) -> None:
    net = network()
    for weights in (net.parameters, list(net.weights.values()), iter(net.weights.values())):
        with pytest.raises(TypeError, match=r"takes a learning rate and no weights: mpscnn.Trainer\(network"):
            optimizer(weights, lr=0.1)


@pytest.mark.parametrize("name", MONITORS)
def test_monitors(name: str) -> None:
    monitor: Any = name
    assert mpscnn.EarlyStopping(monitor=monitor) == mpscnn.EarlyStopping(monitor=MONITORS[name])  # type: ignore[arg-type]
    stopping = mpscnn.EarlyStopping(2, monitor)
    history = mpscnn.Trainer(network()).fit(X, Y, validation_data=(X, Y), epochs=2, early_stopping=stopping)
    assert 1 <= len(history) <= 2


def test_evaluation_takes_what_a_training_takes() -> None:
    trainer = mpscnn.Trainer(network())
    assert trainer.evaluate(X, Y) == trainer.evaluate((X, Y))


@pytest.mark.parametrize(("name", "ours"), [*WORDS.items(), ("MSE", "mean_squared_error")])
def test_losses(name: str, ours: str) -> None:
    net = network()
    if ours.startswith("sigmoid"):  # these losses take logits
        net = mpscnn.Network(input=(4, 4, 1))
        net.output(net.dense(net.input, 2))
        net.initialize_weights(seed=0)
    rows = np.eye(2, dtype=np.float32)[Y]
    assert mpscnn.Trainer(net, loss=name).step(X, rows) == mpscnn.Trainer(net, loss=ours).step(X, rows)


def test_models_of_other_frameworks_are_explained() -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    module = torch.nn.Linear(4, 2)
    for use in (mpscnn.load, mpscnn.Model, mpscnn.Trainer):
        with pytest.raises(mpscnn.ParameterError, match=r"; mpscnn.from_torch\(module, example\) makes"):
            use(module)
    for given, example, message in (
        ("net.pt", None, r"got str; mpscnn.load\(path\) reads files"),
        (module.state_dict(), None, r"got OrderedDict; module.load_state_dict\(weights\) sets"),
        (module, (1, 4), r"got int; torch.rand\(shape\) is an example"),
    ):
        with pytest.raises(mpscnn.ParameterError, match=message):
            mpscnn.from_torch(given, example)
    with pytest.raises(TypeError, match=r"no argument 'dynamic_axes'; did you mean 'dynamic_shapes'"):
        mpscnn.from_torch(module, torch.rand(1, 4), dynamic_axes={})  # type: ignore[call-arg]
    with pytest.warns(RuntimeWarning, match="training mode") as warned:
        mpscnn.from_torch(torch.nn.Linear(4, 2).train(), torch.rand(1, 4))
    assert warned[0].filename == __file__
