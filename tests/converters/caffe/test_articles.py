"""Run the commands of docs/articles.md on a MobileNet of Caffe, as a reader of the article does."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import call
from converters.caffe_writer import Blobs, image, layer, write

import mpscnn

PAGE = Path(__file__).resolve().parents[3] / "docs" / "articles.md"
BLOCKS = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]


def mobilenet(folder: Path, width: float) -> None:
    """Write MobileNet V1 as Caffe's: each convolution is followed by BatchNorm and Scale in place."""
    random = np.random.default_rng(0)
    blobs: dict[str, list[np.ndarray]] = {}
    text = image(1, 3, 224, 224)

    def convolution(
        name: str, bottom: str, inputs: int, outputs: int, kernel: int, stride: int, group: int
    ) -> str:
        nonlocal text
        window = f"num_output: {outputs} bias_term: false pad: {kernel // 2} kernel_size: {kernel} stride: {stride}"
        text += layer("Convolution", name, bottom, f"convolution_param {{ {window} group: {group} }}")
        deviation = np.sqrt(2 / (inputs // group * kernel**2))
        blobs[name] = [random.normal(0, deviation, (outputs, inputs // group, kernel, kernel))]
        for kind, parameters in (("BatchNorm", ""), ("Scale", "scale_param { bias_term: true }")):
            text += layer(kind, f"{name}/{kind.lower()}", name, parameters, name)
        mean, variance = random.normal(0, 0.1, outputs), random.uniform(0.5, 2, outputs)
        blobs[f"{name}/batchnorm"] = [mean, variance, np.ones(1)]
        blobs[f"{name}/scale"] = [random.uniform(0.5, 1.5, outputs), random.normal(0, 0.1, outputs)]
        text += layer("ReLU", f"{name}/relu", name, "", name)
        return name

    channels = int(32 * width)
    x = convolution("conv1", "data", 3, channels, 3, 2, 1)
    for number, (outputs, stride) in enumerate(BLOCKS, start=1):
        x = convolution(f"conv{number}_dw", x, channels, channels, 3, stride, channels)
        x = convolution(f"conv{number}_sep", x, channels, int(outputs * width), 1, 1, 1)
        channels = int(outputs * width)
    text += layer("Pooling", "pool6", x, "pooling_param { pool: AVE global_pooling: true }")
    text += layer("Convolution", "fc7", "pool6", "convolution_param { num_output: 1000 kernel_size: 1 }")
    text += layer("Softmax", "prob", "fc7")
    blobs["fc7"] = [random.normal(0, 0.03, (1000, channels, 1, 1)), random.normal(0, 0.1, 1000)]
    given: Blobs = blobs
    network, weights = write(folder, text, given)
    network.rename(folder / "deploy.prototxt")
    weights.rename(folder / "mobilenet.caffemodel")


@pytest.mark.parametrize("width", [0.25, pytest.param(1.0, marks=pytest.mark.ci)])
def test_the_commands_of_the_page(
    width: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The network of the article's size took 24 seconds on two busy cores, so it belongs to the tier of CI."""
    pytest.importorskip("coremltools", reason="coremltools is not installed")
    page = PAGE.read_text("utf-8")
    (commands,) = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (settings,) = re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    mobilenet(tmp_path, width)
    (tmp_path / "caffe.json").write_text(settings, "utf-8")
    shutil.copy(mpscnn.samples.photo("cat"), tmp_path / "dog.jpg")
    monkeypatch.chdir(tmp_path)
    for command in commands.splitlines():
        program, *words = shlex.split(command)
        assert program == "mpscnn"
        if words[0] == "classify":
            words += ["--device", "cpu"]
        assert call(*words) == 0, command
    if width == 1.0:
        assert "4,221,032 parameters" in capsys.readouterr().out
    x = np.random.default_rng(1).normal(0, 1, (1, 224, 224, 3)).astype(np.float32)
    results = []
    for suffix in ("safetensors", "onnx"):
        model = mpscnn.load(tmp_path / f"mobilenet.{suffix}", device="cpu", precision="float32")
        assert model.task == "classification"
        with model.session() as session:
            results.append(np.asarray(session.run(x)).ravel())
    # The first file has weights in float16.
    np.testing.assert_allclose(results[0], results[1], atol=2e-2 * results[1].max())
    kept = mpscnn.converters.read_network(
        [tmp_path / "deploy.prototxt", tmp_path / "mobilenet.caffemodel"], fold=False
    )
    found = np.asarray(kept.compile(device="cpu", precision="float32").session().run(x)).ravel()
    np.testing.assert_allclose(results[1], found, atol=1e-4 * found.max())
    if width == 1.0:
        assert kept.num_parameters == 4_253_864
