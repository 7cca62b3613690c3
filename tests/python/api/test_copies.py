"""Test copies and pickles of objects, in this process and in a new one."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import photo_models
import pytest
from command_line import colour_network, save_colour_model

import mpscnn
from mpscnn import kernels

Copier = Callable[[Any], Any]
COPIERS: dict[str, Copier] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "oldest pickle": lambda value: pickle.loads(pickle.dumps(value, protocol=2)),
}
IMAGES = np.random.default_rng(2).random((2, 8, 8, 3), np.float32)


@pytest.fixture(params=COPIERS)
def copied(request: pytest.FixtureRequest) -> Copier:
    return COPIERS[request.param]


def results(program: mpscnn.Program) -> np.ndarray[Any, Any]:
    found = program.session(threads=1).run(IMAGES)
    assert isinstance(found, np.ndarray)
    return found


# ---- Networks and programs -----------------------------------------------------------------------------------------


def test_networks(copied: Copier) -> None:
    network = colour_network()
    network.preprocess = "unit"
    network.labels = ["r", "g", "b"]
    network.keep_float32(["dense"])
    expected = results(network.compile(device="cpu"))
    other = copied(network)
    assert (other.name, other.preprocess, other.labels) == (network.name, "unit", ["r", "g", "b"])
    assert other.to_dict() == network.to_dict()
    np.testing.assert_array_equal(results(other.compile(device="cpu")), expected)
    # Each network can be changed without changing the other.
    other.output(other.activation(other["dense"], "relu", name="more"))
    other.load_weights({"dense.weight": np.zeros((3, 3), np.float32)})
    assert "more" not in network.layer_names()
    assert len(network.outputs) == 1
    np.testing.assert_array_equal(results(network.compile(device="cpu")), expected)


def test_networks_without_outputs_and_weights(copied: Copier) -> None:
    network = mpscnn.Network(input=(None, None, 3), name="half done")
    x = network.conv2d(network.input, 4, 3, name="conv")
    other = copied(network)
    other.output(other.activation(other["conv"], "relu"))
    assert x.shape == other["conv"].shape
    assert not network.outputs


def test_quantised_weights_stay_as_they_are(copied: Copier) -> None:
    network = colour_network()
    values = np.arange(9, dtype=np.uint8).reshape(3, 3)
    network.set_quantized_weight("dense.weight", values, [0.5, 0.25, 2.0], [1.0, 2.0, 3.0])
    other = copied(network)
    stored, scales, zero_points = other.graph.get_weight("dense", "weight")
    assert stored.dtype == np.uint8
    np.testing.assert_array_equal(stored, values)
    assert (scales, zero_points) == ([0.5, 0.25, 2.0], [1.0, 2.0, 3.0])


def test_programs_are_of_the_network_as_it_was(copied: Copier) -> None:
    network = colour_network()
    program = network.compile(device="cpu", precision="float16", outputs=["dense"])
    expected = results(program)
    network.load_weights({"dense.weight": np.zeros((3, 3), np.float32)})
    other = copied(program)
    assert (other.precision, other.device, other.outputs) == ("float16", "cpu", {"dense": (None, 3)})
    np.testing.assert_array_equal(results(other), expected)


# ---- Models and results --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", photo_models.NETWORKS)
def test_models_and_results(task: str, tmp_path: Path, copied: Copier) -> None:
    model = photo_models.load(tmp_path, task)
    photo = photo_models.photos(1)[0]
    expected = model.predict(photo)
    other = copied(model)
    (tmp_path / f"{task}.safetensors").unlink()
    assert other is not model
    assert (other.name, other.task, other.labels, other.preprocess, other.information) == (
        model.name,
        model.task,
        model.labels,
        model.preprocess,
        model.information,
    )
    found = other.predict(photo)
    assert photo_models.same(found, copied(expected))
    again = copied(expected)
    np.testing.assert_array_equal(np.asarray(again.draw()), np.asarray(expected.draw()))


def test_labels_of_a_copy_are_its_own(tmp_path: Path, copied: Copier) -> None:
    model = mpscnn.load(save_colour_model(tmp_path / "colours.safetensors"), device="cpu")
    model.labels = ["a", "b", "c"]
    other = copied(model)
    assert other.labels == ["a", "b", "c"]
    other.labels = ["d", "e", "f"]
    assert model.labels == ["a", "b", "c"]
    photo = np.zeros((8, 8, 3), np.uint8)
    assert {one.label for one in model.predict(photo)} == {"a", "b", "c"}
    assert {one.label for one in other.predict(photo)} == {"d", "e", "f"}


@pytest.mark.parametrize("task", ["classification", "detection", "segmentation"])
def test_assigned_labels_name_the_classes_of_every_task(tmp_path: Path, task: str) -> None:
    model = photo_models.load(tmp_path, task)
    photo, own = photo_models.photos(1)[0], model.labels

    def shown() -> set[str]:
        result = model.predict(photo)
        return set(result.names) if task == "segmentation" else {entry.label for entry in result}

    before = shown()
    count = len(own or before)
    model.labels = tuple(f"name {index}" for index in range(count))
    assert model.labels == [f"name {index}" for index in range(count)]
    assert shown() <= set(model.labels)
    model.labels = None
    assert all(label.startswith("class ") for label in shown())
    for wrong in ("ab", 5, [1, 2], np.array(5)):
        with pytest.raises(mpscnn.ParameterError, match="labels must be a sequence of names"):
            model.labels = wrong  # type: ignore[assignment]
    if own is not None:
        with pytest.raises(mpscnn.ParameterError, match=f"labels must be {count} names, got {count + 1}"):
            model.labels = ["a"] * (count + 1)
        model.labels = own
        assert shown() == before


def test_feature_extractors_and_detectors(tmp_path: Path, copied: Copier) -> None:
    model = mpscnn.load(save_colour_model(tmp_path / "colours.safetensors"), device="cpu")
    extractor = model.features("pool")
    photo = photo_models.photos(1)[0]
    np.testing.assert_array_equal(copied(extractor).run(photo)["pool"], extractor.run(photo)["pool"])
    head = mpscnn.models.ssdlite_mobilenet_v2(classes=2, input_size=64, depth_multiplier=0.35).detection
    assert head is not None
    detector = head.detector((64, 64))
    other = copied(detector)
    assert other.settings == detector.settings
    np.testing.assert_array_equal(other.anchors, detector.anchors)


_CLASSIFY = """
import pickle, sys
model, photo = pickle.load(sys.stdin.buffer)
pickle.dump(model.classify(photo), sys.stdout.buffer)
"""


def test_a_process_started_anew_takes_a_model_and_gives_results(tmp_path: Path) -> None:
    model = mpscnn.load(save_colour_model(tmp_path / "colours.safetensors"), device="cpu")
    photo = photo_models.photos(1)[0]
    command = [sys.executable, "-c", _CLASSIFY]
    done = subprocess.run(
        command, input=pickle.dumps((model, photo)), stdout=subprocess.PIPE, check=True, timeout=120
    )
    assert photo_models.same(pickle.loads(done.stdout), model.classify(photo))


def test_a_module_of_torch_that_holds_a_model(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    model = mpscnn.load(save_colour_model(tmp_path / "colours.safetensors"), device="cpu")
    module = torch.nn.Sequential(torch.nn.Linear(2, 2))
    module.mpscnn_model = model
    again = copy.deepcopy(module)
    photo = photo_models.photos(1)[0]
    assert photo_models.same(again.mpscnn_model.predict(photo), model.predict(photo))


# ---- Kernels -------------------------------------------------------------------------------------------------------


def test_kernels(copied: Copier) -> None:
    random = np.random.default_rng(4)
    neuron = kernels.NeuronDescriptor("prelu", data=random.random(5, np.float32))
    descriptor = kernels.ConvolutionDescriptor(3, 3, 3, 5, stride_x=2, fused_neuron_descriptor=neuron)
    convolution = kernels.Convolution(
        descriptor, random.random((5, 3, 3, 3), np.float32), random.random(5, np.float32), edge_mode="clamp"
    )
    convolution.label = "first"
    pool = kernels.PoolingMax(2, 2, stride_x=2, stride_y=2, clip_rect=(0, 0, 2, 2))
    pool.destination_image_allocator = kernels.allocate_image
    image = mpscnn.Image.from_numpy(random.random((9, 9, 3), np.float32))
    queue = mpscnn.CommandQueue("cpu", threads=1)
    for kernel in (convolution, pool):
        other = copied(kernel)
        assert other._properties() == kernel._properties()
        with queue.command_buffer() as commands:
            expected, found = kernel.encode(commands, image), other.encode(commands, image)
        np.testing.assert_array_equal(found.read(), expected.read())
        other.edge_mode = "zero"
        other.label = "another"
        assert kernel.label != "another"
    again = copied(descriptor)
    assert again.properties().keys() == descriptor.properties().keys()


def test_every_kernel_that_needs_no_arguments(copied: Copier) -> None:
    made = 0
    for name in kernels.__all__:
        kind = getattr(kernels, name)
        if not (isinstance(kind, type) and issubclass(kind, kernels.Kernel)):
            continue
        try:
            kernel = kind()
        except (TypeError, mpscnn.Error):
            continue
        made += 1
        assert copied(kernel)._properties() == kernel._properties(), name
    assert made > 20


# ---- Objects that cannot be copied ---------------------------------------------------------------------------------


def test_what_cannot_be_copied_says_why(tmp_path: Path, copied: Copier) -> None:
    program = colour_network().compile(device="cpu")
    session = program.session(threads=1)
    queue = mpscnn.CommandQueue("cpu", threads=1)
    with mpscnn.Runner(program) as runner:
        refused = {
            "a Session cannot be copied or pickled: .* copy its program": session,
            "a Request cannot be .* copy its result": session.submit(IMAGES),
            "a Runner cannot be .* of a copy of the model": runner,
            "a FrameFuture cannot be .* copy what its result": runner.submit(IMAGES),
            "a CommandQueue cannot be .* make another one": queue,
            "a CommandBuffer cannot be .* encode the kernels again": queue.command_buffer(),
            r"an Image cannot be .* image\.read\(\)": mpscnn.Image(2, 2, 3),
        }
        for message, value in refused.items():
            with pytest.raises(TypeError, match=message):
                copied(value)
