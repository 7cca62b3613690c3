"""Test what the scores of classifiers are: found from the network's end, stated by a file, or chosen by the user."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Command
from hypothesis import given
from hypothesis import strategies as st
from kernels_here import cpu_precisions

import mpscnn
from mpscnn import converters

LABELS = ["red", "green", "blue"]
LOGITS = np.array([3.0, 1.2, -0.2])
#: A photo of 4 x 4 pixels whose channels have the means 6, 2.4 and 0.4 in the unit of the preprocessing.
PHOTO = np.full((4, 4, 3), (60, 24, 4), np.uint8)
#: The inputs of the photo, and of darker ones.
CALIBRATION = np.linspace(0, 0.1, 8, dtype=np.float32).reshape(-1, 1, 1, 1) * PHOTO
PREPROCESS = {"scale": [0.1] * 3}

SOFTMAX = np.exp(LOGITS) / np.exp(LOGITS).sum()
SIGMOID = 1 / (1 + np.exp(-LOGITS))
EXPECTED: dict[Any, Any] = {"softmax": SOFTMAX, "sigmoid": SIGMOID, "as is": LOGITS}

End = Callable[[mpscnn.Network, Any], Any]
"""A function that adds the end of a network after its logits."""


def classifier(end: End = lambda _, x: x, classes: int = 3, **dense: Any) -> mpscnn.Network:
    """Return a network whose end gets the logits 0.5 * mean, less 0.4 for the third class."""
    net = mpscnn.Network(input=(4, 4, 3), name="scores")
    x = net.flatten(net.global_average_pool2d(net.input))
    net.output(end(net, net.dense(x, classes, name="fc", **dense)))
    weight, bias = 0.5 * np.eye(3, dtype=np.float32), np.array([0.0, 0.0, -0.4], np.float32)
    net.load_weights({"fc.weight": weight[:classes], "fc.bias": bias[:classes]})
    net.preprocess, net.labels = PREPROCESS, LABELS if classes == 3 else None
    return net


def softmax(net: mpscnn.Network, x: Any) -> Any:
    return net.softmax(x)


def sigmoid(net: mpscnn.Network, x: Any) -> Any:
    return net.activation(x, "sigmoid")


def scores_of(model: mpscnn.Model) -> tuple[list[float], str]:
    """Return the scores of the classes in their order, and what they are."""
    found = model.predict(PHOTO)
    return [one.probability for one in sorted(found, key=lambda one: one.index)], found.scores_are


def parallel(function: Any) -> End:
    """Return an end with two heads."""

    def end(net: mpscnn.Network, x: Any) -> Any:
        first, second = net.slice(x, channels=(0, 1)), net.slice(x, channels=(1, 3))
        return net.concat([net.activation(first, "sigmoid"), net.activation(second, function)])

    return end


def pixels(function: End) -> End:
    """Return an end that computes a function for each pixel, and averages its results."""

    def end(net: mpscnn.Network, x: Any) -> Any:
        image = net.reshape(net.concat([x, x, x, x]), (2, 2, 3))
        return net.flatten(net.global_average_pool2d(function(net, image)))

    return end


def tanh(net: mpscnn.Network, x: Any) -> Any:
    return net.activation(x, "tanh")


def line(net: mpscnn.Network, x: Any, factor: float, added: float) -> Any:
    return net.activation(x, {"kind": "linear", "a": factor, "b": added})


def below(net: mpscnn.Network, x: Any, kind: str) -> Any:
    """Return the channels without one number of all of them."""
    return net.subtract(x, net.layer("reduction", [x], {"kind": kind, "axis": "channels"}))


def shares(net: mpscnn.Network, x: Any) -> Any:
    return net.layer("layer_normalization", [x], {"norm": "l1_norm", "epsilon_rule": "minimum"})


ENDS: dict[str, tuple[End, str | None]] = {
    "logits": (lambda _, x: x, None),
    "softmax": (softmax, "softmax"),
    "sigmoid": (sigmoid, "sigmoid"),
    "hard sigmoid": (lambda net, x: net.activation(x, "hard_sigmoid"), "sigmoid"),
    "log of softmax": (lambda net, x: net.log_softmax(x), None),
    "tanh": (lambda net, x: net.activation(x, "tanh"), None),
    "softmax, reshaped": (
        lambda net, x: net.reshape(net.reshape(softmax(net, x), (1, 1, 3)), (3,)),
        "softmax",
    ),
    "sigmoid, reshaped": (
        lambda net, x: net.reshape(net.reshape(sigmoid(net, x), (1, 1, 3)), (3,)),
        "sigmoid",
    ),
    "sigmoid, sliced": (lambda net, x: net.slice(sigmoid(net, x), channels=(0, 2)), "sigmoid"),
    "softmax, sliced": (lambda net, x: net.slice(softmax(net, x), channels=(1, 3)), "softmax"),
    "sigmoid, dropout": (lambda net, x: net.dropout(sigmoid(net, x), 0.5), "sigmoid"),
    "sigmoid, clipped": (
        lambda net, x: net.activation(sigmoid(net, x), {"kind": "clamp", "a": 1e-6, "b": 1 - 1e-6}),
        "sigmoid",
    ),
    "sigmoid, gathered": (lambda net, x: net.gather(sigmoid(net, x), [2, 0, 1]), "sigmoid"),
    "two sigmoids": (parallel("sigmoid"), "sigmoid"),
    "sigmoid and tanh": (parallel("tanh"), None),
    "sigmoid of pixels": (pixels(sigmoid), "sigmoid"),
    "softmax of pixels": (pixels(softmax), "softmax"),
    "sigmoid, relu": (lambda net, x: net.activation(sigmoid(net, x), "relu"), "as is"),
    "sigmoid, doubled": (lambda net, x: sigmoid(net, x) * 2.0, None),
    "sigmoid and softmax": (lambda net, x: net.concat([sigmoid(net, x), softmax(net, x)]), "as is"),
    "product of sigmoids": (lambda net, x: net.multiply(sigmoid(net, x), sigmoid(net, x * 2.0)), "as is"),
    "product of tanhs": (lambda net, x: net.multiply(tanh(net, x), tanh(net, x * 2.0)), None),
    "rest of softmax": (lambda net, x: line(net, softmax(net, x), -1.0, 1.0), "as is"),
    "tanh, moved": (lambda net, x: line(net, tanh(net, x), 0.5, 0.5), "as is"),
    "tanh, moved further": (lambda net, x: line(net, tanh(net, x), 0.5, 0.6), None),
    "exponential of log_softmax": (lambda net, x: net.activation(net.log_softmax(x), "exponential"), "as is"),
    "exponential": (lambda net, x: net.activation(x, "exponential"), None),
    "exponential below the maximum": (
        lambda net, x: net.activation(below(net, x, "max"), "exponential"),
        "as is",
    ),
    "exponential below the sum": (
        lambda net, x: net.activation(below(net, x, "log_sum_exp"), "exponential"),
        "as is",
    ),
    "exponential below the mean": (lambda net, x: net.activation(below(net, x, "mean"), "exponential"), None),
    "shares": (lambda net, x: shares(net, net.activation(x, "relu")), "softmax"),
    "shares with signs": (lambda net, x: shares(net, x), None),
}


@pytest.mark.parametrize("name", ENDS)
def test_the_end_of_a_network_is_found(name: str) -> None:
    end, function = ENDS[name]
    net = classifier(end)
    assert net.last_function == function
    assert (net.scores, net.scores_are) == (None, function or "softmax")
    # The engine sees the same end in the graph that it has simplified.
    net.labels = None
    output = np.asarray(net.predict(PHOTO[None].astype(np.float32) * 0.1)).ravel()
    expected = output if function else np.exp(output) / np.exp(output).sum()
    found, scores_are = scores_of(mpscnn.Model(net))
    assert scores_are == net.scores_are
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_infinite_scores_are_null_in_json() -> None:
    net = classifier(lambda net, x: x * 3e38 * 10.0)
    found = mpscnn.Model(net, scores="as is").predict(PHOTO)
    assert [one.probability for one in found] == [float("inf"), float("inf"), -float("inf")]
    sent = json.loads(found.to_json(), parse_constant=lambda name: pytest.fail(name))
    assert [one["probability"] for one in sent["predictions"]] == [None, None, None]


def test_an_attached_sigmoid_is_found() -> None:
    net = classifier(activation="sigmoid")
    assert net.last_function == "sigmoid"
    np.testing.assert_allclose(scores_of(mpscnn.Model(net))[0], SIGMOID, rtol=1e-5)


#: Functions with parameters for which results may be between 0 and 1.
FUNCTIONS: list[Any] = [
    *("sigmoid", "tanh", "absolute", "softsign", "relu", "elu", "exponential", "erf", "round", "floor", "sign"),
    *({"kind": "linear", "a": a, "b": b} for a, b in ((-1, 1), (0.5, 0.5), (2, -1), (0.25, 0))),
    *({"kind": "clamp", "a": a, "b": b} for a, b in ((0, 1), (-0.5, 2), (-1, 0))),
    *({"kind": "power", "a": 1, "b": b, "c": c} for b, c in ((0, 2), (1, 0.5), (1, -1))),
    {"kind": "relun", "a": 0.1, "b": 1}, {"kind": "exponential", "a": -1, "b": 0, "c": 2},
    {"kind": "softplus", "a": -1, "b": 1}, {"kind": "hard_sigmoid", "a": 0.3, "b": 0.4},
]  # fmt: skip
PAIRS = ("add", "subtract", "multiply", "divide", "maximum", "minimum", "greater")


@given(st.lists(st.tuples(st.sampled_from(PAIRS), st.sampled_from(FUNCTIONS)), min_size=1, max_size=5))
def test_numbers_that_stay_as_they_are_are_between_0_and_1(steps: list[tuple[str, Any]]) -> None:
    """Whatever functions follow each other, numbers without a softmax are not beyond 0 and 1 for any input."""
    net = mpscnn.Network(input=(8,))
    before = x = net.activation(net.input, "sigmoid")
    for pair, function in steps:
        before, x = x, net.activation(getattr(net, pair)(x, before), function)
    net.output(x)
    if net.last_function is None:
        return
    given = np.random.default_rng(1).normal(0, 20, (64, 8)).astype(np.float32)
    results = np.asarray(net.compile(device="cpu").run(given))
    results = results[~np.isnan(results)]
    assert ((results >= -1e-6) & (results <= 1 + 1e-6)).all()


def test_the_search_is_linear() -> None:
    """A thousand layers that each read the one before twice have 2^1000 paths."""
    net = mpscnn.Network(input=(4,), name="paths")
    x = net.activation(net.input, "sigmoid")
    for _ in range(1000):
        x = net.slice(net.concat([x, x]), channels=(2, 6))
    net.output(x)
    assert net.last_function == "sigmoid"


def test_networks_without_one_output_have_no_function() -> None:
    net = classifier(sigmoid)
    net.output(net["fc"])
    assert net.last_function is None
    assert mpscnn.Network(input=(4,), name="empty").last_function is None


REDUCED = ("float16", "bfloat16")
CHOICES = [
    (lambda _, x: x, None, "softmax", SOFTMAX),
    *((lambda _, x: x, chosen, chosen, EXPECTED[chosen]) for chosen in EXPECTED),
    (softmax, None, "softmax", SOFTMAX),
    (softmax, "softmax", "softmax", SOFTMAX),
    (softmax, "as is", "as is", SOFTMAX),
    (softmax, "sigmoid", "sigmoid", 1 / (1 + np.exp(-SOFTMAX))),
    (sigmoid, None, "sigmoid", SIGMOID),
    (sigmoid, "sigmoid", "sigmoid", SIGMOID),
    (sigmoid, "as is", "as is", SIGMOID),
    (sigmoid, "softmax", "softmax", np.exp(SIGMOID) / np.exp(SIGMOID).sum()),
]


@pytest.mark.parametrize(("end", "chosen", "scores_are", "expected"), CHOICES)
def test_the_choice_decides(tmp_path: Path, end: End, chosen: Any, scores_are: str, expected: Any) -> None:
    net = classifier(end)
    path = tmp_path / "net.safetensors"
    net.save(path, dtype="float32")
    stated = classifier(end)
    stated.scores = chosen
    stated.save(tmp_path / "stated.safetensors", dtype="float32")
    for model in (
        mpscnn.Model(net, scores=chosen),
        mpscnn.Model(stated),
        mpscnn.load(path, scores=chosen),
        mpscnn.load(tmp_path / "stated.safetensors"),
        *(mpscnn.load(path, scores=chosen, precision=each) for each in REDUCED if each in cpu_precisions()),
    ):
        found, are = scores_of(model)
        assert are == model.scores_are == scores_are
        exact = model.program.precision == "float32"
        np.testing.assert_allclose(found, expected, rtol=1e-5 if exact else 2e-2)
    with mpscnn.Runner(mpscnn.load(path, scores=chosen)) as runner:
        (result,) = runner.map([PHOTO])
    assert (result.scores_are, result.top1.index) == (scores_are, 0)


def test_a_choice_replaces_what_the_file_states(tmp_path: Path) -> None:
    net = classifier()
    net.scores = "sigmoid"
    net.save(tmp_path / "net.safetensors", dtype="float32")
    model = mpscnn.load(tmp_path / "net.safetensors", scores="as is")
    np.testing.assert_allclose(scores_of(model)[0], LOGITS, rtol=1e-5)
    model.save(tmp_path / "again.safetensors")
    assert mpscnn.load(tmp_path / "again.safetensors").network.scores == "as is"


@pytest.mark.parametrize("wrong", ["logits", "", 3, True, b"sigmoid"])
def test_other_scores_are_refused(wrong: Any) -> None:
    net = classifier()
    with pytest.raises(
        mpscnn.ParameterError, match='scores must be one of "softmax", "sigmoid", "as is", got'
    ):
        net.scores = wrong
    with pytest.raises(mpscnn.ParameterError, match="scores must be"):
        mpscnn.load(net, scores=wrong)


def test_words_of_a_name_may_be_joined() -> None:
    net = classifier()
    net.scores = "as_is"  # type: ignore[assignment]
    assert net.scores == "as is"
    with pytest.raises(mpscnn.ParameterError, match="did you mean 'softmax'"):
        net.scores = "sofmax"  # type: ignore[assignment]


def test_copies_and_changes_keep_the_statement(tmp_path: Path) -> None:
    net = classifier()
    net.scores = "sigmoid"
    model = mpscnn.Model(net)
    assert copy.copy(net).scores == net.copy().scores == "sigmoid"
    assert pickle.loads(pickle.dumps(model)).scores_are == copy.deepcopy(model).scores_are == "sigmoid"
    quantized, _ = mpscnn.quantize(net, [CALIBRATION])
    assert quantized.scores == "sigmoid"
    found, scores_are = scores_of(mpscnn.Model(quantized, precision="int8"))
    assert scores_are == "sigmoid"
    np.testing.assert_allclose(found, SIGMOID, atol=0.02)
    trainer = mpscnn.Trainer(net, seed=0)
    assert trainer.network.scores == "sigmoid"
    trainer.save(tmp_path / "checkpoint")
    assert mpscnn.Trainer.resume(tmp_path / "checkpoint").network.scores == "sigmoid"
    converters.export_onnx(net, tmp_path / "net.onnx")
    assert converters.read_network(tmp_path / "net.onnx").scores == "sigmoid"


@pytest.mark.parametrize("end", [sigmoid, softmax])
def test_integers_of_functions_are_taken_as_they_are(end: End) -> None:
    quantized, _ = mpscnn.quantize(classifier(end), [CALIBRATION])
    found, scores_are = scores_of(mpscnn.Model(quantized, precision="int8"))
    assert scores_are == end.__name__
    np.testing.assert_allclose(found, EXPECTED[end.__name__], atol=0.02)


def parts_of_softmaxes(net: mpscnn.Network, x: Any, factors: tuple[float, ...]) -> Any:
    """Return the sum of softmaxes of x, each with its factor."""
    parts = [
        net.activation(
            net.softmax(net.activation(x, {"kind": "linear", "a": place})), {"kind": "linear", "a": factor}
        )
        for place, factor in enumerate(factors, start=1)
    ]
    return parts[0] if len(parts) == 1 else net.add(*parts)


def quotient(net: mpscnn.Network, x: Any, kind: str, added: float) -> Any:
    positive = net.activation(x, "exponential")
    whole = net.activation(
        net.layer("reduction", [positive], {"kind": kind}), {"kind": "linear", "a": 1, "b": added}
    )
    return net.divide(positive, whole)


@pytest.mark.parametrize(
    ("end", "function"),
    [
        (lambda net, x: parts_of_softmaxes(net, x, (0.3, 0.7)), "softmax"),
        (lambda net, x: parts_of_softmaxes(net, x, (0.5, 0.5)), "softmax"),
        (lambda net, x: parts_of_softmaxes(net, x, (1, 1)), None),
        (lambda net, x: parts_of_softmaxes(net, x, (100,)), None),
        (lambda net, x: quotient(net, x, "sum", 0.0), "softmax"),
        (lambda net, x: quotient(net, x, "sum", 1e-8), "softmax"),
        (lambda net, x: quotient(net, x, "mean", 0.0), None),
        (
            lambda net, x: net.divide(
                x, net.layer("reduction", [net.activation(x, "tanh")], {"kind": "sum"})
            ),
            None,
        ),
    ],
)
def test_weighted_means_and_quotients_by_the_sum_are_probabilities(end: Any, function: str | None) -> None:
    """The right answer: a result is a probability if the numbers of each element add up to 1 for any input."""
    net = mpscnn.Network(input=(4,))
    net.output(end(net, net.input))
    x = np.random.default_rng(3).uniform(0.5, 1, (5, 4)).astype(np.float32)
    sums = np.asarray(net.compile(device="cpu").run(x)).sum(axis=-1)
    assert (function == "softmax") == np.allclose(sums, 1, atol=1e-5)
    assert net.last_function == function


def test_training_by_a_sigmoid_loss_is_stated() -> None:
    net = classifier(lambda _, x: x)
    assert mpscnn.Trainer(net, loss="softmax_cross_entropy").network.scores is None
    assert mpscnn.Trainer(net, loss="sigmoid_cross_entropy").network.scores == "sigmoid"


# ---- Core ML -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mlmodel", ".mlpackage"])
@pytest.mark.parametrize(("end", "chosen", "scores_are", "expected"), CHOICES)
@pytest.mark.parametrize("labels", [LABELS, None])
def test_core_ml_files_have_the_scores(
    tmp_path: Path, suffix: str, end: End, chosen: Any, scores_are: str, expected: Any, labels: Any
) -> None:
    """The first case takes a second, since it imports coremltools."""
    pytest.importorskip("coremltools", reason="coremltools is not installed")
    net = classifier(end)
    net.scores, net.labels = chosen, labels
    converters.export_coreml(net, tmp_path / f"net{suffix}")
    back = converters.read_network(tmp_path / f"net{suffix}")
    found, are = scores_of(mpscnn.Model(back, preprocess=PREPROCESS))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    # The file of a classifier has probabilities, and does not say that they are taken as they are.
    assert are == (scores_are if labels is None or scores_are != "as is" else back.last_function or "as is")
    if labels is not None:
        output = np.asarray(back.predict(PHOTO[None].astype(np.float32) * 0.1)).ravel()
        np.testing.assert_allclose(output, expected, rtol=1e-4)


@pytest.mark.parametrize("suffix", [".mlmodel", ".mlpackage"])
def test_core_ml_files_of_one_output(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("coremltools", reason="coremltools is not installed")
    net = classifier(sigmoid, classes=1)
    net.labels = ["cat", "dog"]
    converters.export_coreml(net, tmp_path / f"pets{suffix}")
    back = mpscnn.Model(converters.read_network(tmp_path / f"pets{suffix}"), preprocess=PREPROCESS)
    np.testing.assert_allclose(scores_of(back)[0], [1 - SIGMOID[0], SIGMOID[0]], rtol=1e-4)
    assert back.labels == net.labels
    logit = classifier(classes=1)
    logit.labels = ["cat", "dog"]
    with pytest.raises(mpscnn.UnsupportedError, match="the softmax of a single number is always 1"):
        converters.export_coreml(logit, tmp_path / f"logit{suffix}")


# ---- One output ----------------------------------------------------------------------------------------------------


def test_one_logit_is_no_classifier() -> None:
    with pytest.raises(mpscnn.UnsupportedError, match=r'a single number.*scores "sigmoid".*scores "as is"'):
        mpscnn.Model(classifier(classes=1)).predict(PHOTO)
    for model, expected in (
        (mpscnn.Model(classifier(classes=1), scores="as is"), LOGITS),
        (mpscnn.Model(classifier(classes=1), scores="sigmoid"), SIGMOID),
        (mpscnn.Model(classifier(sigmoid, 1)), SIGMOID),
    ):
        np.testing.assert_allclose(scores_of(model)[0], expected[:1], rtol=1e-5)


@pytest.mark.parametrize(("end", "scores"), [(sigmoid, None), (lambda _, x: x, "sigmoid")])
def test_one_probability_of_two_labels_is_that_of_the_second(tmp_path: Path, end: End, scores: Any) -> None:
    net = classifier(end, classes=1)
    net.labels, net.scores = ["cat", "dog"], scores
    net.save(tmp_path / "pets.safetensors", dtype="float32")
    model = mpscnn.load(tmp_path / "pets.safetensors")
    found = model.predict(PHOTO)
    assert [one.label for one in found] == ["dog", "cat"]
    np.testing.assert_allclose(found.probabilities, [1 - SIGMOID[0], SIGMOID[0]], rtol=1e-5)
    assert mpscnn.evaluate(model, [(PHOTO, "dog"), (PHOTO, 0)]).confusion.tolist() == [[0, 1], [0, 1]]
    swapped = {"scale": [-0.1] * 3}  # the logit is -3
    assert mpscnn.evaluate(model, [(PHOTO, "cat")], preprocess=swapped).top1 == 1.0


# ---- Views ---------------------------------------------------------------------------------------------------------


def test_views_say_what_the_numbers_are() -> None:
    texts = {}
    for scores in EXPECTED:
        result = mpscnn.Model(classifier(), scores=scores).predict(PHOTO)
        assert result.to_dict()["scores_are"] == scores
        assert result.draw().width > 0
        texts[scores] = repr(result).partition(";")[0], result._repr_html_()
    percents = [f"{share:.1%}" for share in SOFTMAX]
    assert texts["softmax"][0] == "<Classification: red {}, green {}, blue {}".format(*percents)
    assert texts["sigmoid"][0] == "<Classification (sigmoid): red 95.3%, green 76.9%, blue 45.0%"
    assert texts["as is"][0] == "<Classification (as is): red 3, green 1.2, blue -0.2"
    assert "independent probability" in texts["sigmoid"][1]
    assert "%" not in texts["as is"][1].rpartition("</style>")[2].partition("ms on")[0]


def test_commands_choose_and_say_what_the_numbers_are(tmp_path: Path, command: Command) -> None:
    model, photo = str(tmp_path / "net.safetensors"), str(tmp_path / "photo.npy")
    classifier().save(model, dtype="float32")
    np.save(photo, PHOTO)
    expected = {
        "softmax": [f"  {SOFTMAX[0]:6.1%}  red", "cpu, float32)"],
        "sigmoid": ["   95.3%  red", "cpu, float32, independent probabilities)"],
        "as-is": ["       3  red", "cpu, float32, the network's own scores)"],
    }
    for scores, (first, end) in expected.items():
        answer = command("classify", photo, "--model", model, "--scores", scores, "--device", "cpu")
        head, line, *_ = answer.stdout.splitlines()
        assert line == first
        assert head.endswith(end)
    assert command("classify", photo, "--model", model, "--scores", "logits").returncode == 2
    assert "softmax (nothing states it)" in command("info", model).stdout
    assert command("info", model, "--set", "scores=sigmoid").returncode == 0
    assert "sigmoid (the file states it)" in command("info", model).stdout
    assert json.loads(command("info", model, "--json").stdout)["scores"] == "sigmoid"
    assert mpscnn.load(model).network.scores == "sigmoid"
    assert command("convert", model, str(tmp_path / "net.onnx"), "--scores", "as-is").returncode == 0
    assert mpscnn.load(tmp_path / "net.onnx").scores_are == "as is"
