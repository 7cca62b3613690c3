"""Test which kernels the self-check of a device refuses, and what computes their layers instead."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from metal.self_checks import check_program, records, run_automatic
from tiers import with_full

ANSWERS = """
import sys
import warnings
import numpy as np
import mpscnn
from metal.emulation import load

emulation = load()

def network(kind):
    net = mpscnn.Network(input=(9, 7, 8), name=kind)
    x = net.input
    if kind == "softmax":
        x = net.softmax(net.max_pool2d(x, 2))
    elif kind == "pooling":
        x = net.max_pool2d(net.activation(x, "relu"), 3)
    elif kind == "convolution":
        x = net.conv2d(x, 8, 3, activation="sigmoid")
        x = net.conv2d(x, 6, 3, activation="relu6")
    elif kind == "neuron":
        x = net.concat([net.activation(x, "sigmoid"), x])
    else:
        x = net.activation(x, "tanh")
    net.output(x)
    random = np.random.default_rng(0)
    net.load_weights({
        f"{spec['layer']}.{spec['role']}": random.random(spec["shape"], np.float32) - 0.5
        for spec in net.weight_specs()
    })
    return net

x = np.random.default_rng(1).random((3, 9, 7, 8), np.float32) - 0.5
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    warnings.simplefilter("ignore", mpscnn.SlowPrecisionWarning)  # of float16 on the CPU
    for kind in sys.argv[1:]:
        for precision, bound in (("float32", 1e-4), ("float16", 4e-3)):
            net = network(kind)
            right = net.compile(device="cpu", precision=precision).session().run(x)
            program = net.compile(device="metal", precision=precision)
            np.testing.assert_allclose(program.session().run(x), right, atol=bound)
            print(kind, program.device, "the CPU engine computes" in program.reason)
for warning in caught:
    print("warning", warning.message)
assert not emulation.violations()
"""


def answers(cache: Path, kernels: str, *networks: str, **environment: str) -> tuple[list[str], list[str]]:
    """Run networks in a new process, with some kernels of the emulation wrong.

    Checks that results are right. Returns the device of each network, and the warnings.
    """
    variables = {
        **os.environ,
        "MPSCNN_CACHE": str(cache),
        "METAL_EMULATION_KERNELS": kernels,
        **environment,
    }
    variables["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = [sys.executable, "-c", ANSWERS, *networks]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    said = [line for line in lines if not line.startswith("warning ")]
    return said, [line.removeprefix("warning ") for line in lines if line.startswith("warning ")]


@pytest.mark.parametrize(
    ("kernels", "refused", "reason", "network", "on_the_cpu"),
    [
        ("MPSCNNPoolingMax=abort", "pooling by MPSCNNPoolingMax", "signal 6 (Aborted)", "pooling", False),
        ("MPSCNNPoolingMax=hang", "pooling by MPSCNNPoolingMax", "within 15 s", "pooling", False),
        ("MPSCNNConvolution=wrong", "convolution by MPSCNNConvolution", "result", "convolution", False),
        ("MPSCNNSoftMax=abort", "softmax by MPSCNNSoftMax", "failed assertion", "softmax", True),
        ("concatenation=wrong", "concatenation by concatenation", "concatenation", "neuron", True),
        *(
            pytest.param(*case, marks=pytest.mark.full)
            for case in (
                ("MPSCNNPoolingMax=wrong", "pooling by MPSCNNPoolingMax", "maximum", "pooling", False),
                (
                    "MPSCNNConvolution=abort",
                    "convolution by MPSCNNConvolution",
                    "signal 6",
                    "convolution",
                    False,
                ),
                ("MPSCNNSoftMax=wrong", "softmax by MPSCNNSoftMax", "softmax in float32", "softmax", True),
            )
        ),
    ],
)
def test_a_kernel_that_fails_costs_that_kernel(
    tmp_path: Path, kernels: str, refused: str, reason: str, network: str, on_the_cpu: bool
) -> None:
    # Only a hanging kernel gets a short limit, because other cases might exceed it on a busy machine.
    limit = {"MPSCNN_SELF_CHECK_SECONDS": "15"} if "hang" in kernels else {}
    said, warned = answers(tmp_path, kernels, network, "other", **limit)
    assert said == [f"{network} metal {on_the_cpu}"] * 2 + ["other metal False"] * 2
    # One warning is about the device. If the CPU computes the layer, another one names the layer.
    assert len(warned) == (2 if on_the_cpu else 1)
    (device,) = (text for text in warned if text.startswith("device 'Emulated Metal device' computes some"))
    assert refused in device
    assert reason in device
    assert all(refused in text for text in warned)
    (record,) = records(tmp_path)
    text = record.read_text("utf-8")
    assert f"\n{refused}: " in text
    others = [line for line in text.splitlines() if " by " in line and not line.startswith(refused)]
    kernel = kernels.partition("=")[0]
    assert all(kernel in line for line in others), "no other kernel is refused"
    if "hang" in kernels:
        assert "\nsilent 1\n" in text, "the next process checks again"
        return
    # The next process reads the record and does not check again.
    assert answers(tmp_path, kernels, network, MPSCNN_SELF_CHECK_SECONDS="0.001")[0] == said[:2]


def check_without(cache: Path, files: str) -> tuple[int, str, list[str]]:
    """Check the device while these files of shaders do not compile.

    Returns the exit status, the record, and the name of a file for each of its compilations at run time.
    """
    cache.mkdir(exist_ok=True)
    counted = cache / "compilations"
    variables = {
        **os.environ,
        "MPSCNN_CACHE": str(cache),
        "METAL_EMULATION_REFUSED_FILES": files,
        "METAL_EMULATION_COMPILATIONS": str(counted),
    }
    done = subprocess.run(
        [str(check_program())], env=variables, capture_output=True, check=False, timeout=600
    )
    (record,) = records(cache)
    compilations = counted.read_text("utf-8").splitlines() if counted.exists() else []
    return done.returncode, record.read_text("utf-8"), compilations


SHADERS = sorted(path.name for path in (Path(__file__).parents[2] / "shaders").glob("*.metal"))
FEW_SHADERS = ["neuron.metal", "array_simdgroup_product.metal"]
#: Files that no case of the check needs, as long as the kernels that they could replace are right.
NOT_NEEDED = {
    "array_product.metal",  # the kernel in simdgroups computes its products
    "array_softmax.metal",  # MPS computes its gradients
    "copy.metal",  # only for images of the caller
    "preprocess.metal",  # only for photos
    "signal.metal",  # only for transforms of signals
}


@pytest.mark.parametrize(
    "file", with_full(FEW_SHADERS, sorted({*SHADERS} - {*FEW_SHADERS, "transfer.metal"}))
)
def test_a_file_that_does_not_compile_costs_its_kernels(tmp_path: Path, file: str) -> None:
    status, record, compilations = check_without(tmp_path, file)
    assert status == 0
    refused = [line for line in record.splitlines() if " by " in line]
    assert all(
        f"Metal cannot compile mpscnn's shaders in {file}: {file}:1:1: error: " in line for line in refused
    )
    assert bool(refused) == (file not in NOT_NEEDED)
    # Each process of the check tries the file once.
    assert set(compilations) == {file, "concurrent"}
    assert len(compilations) <= 10


@pytest.mark.parametrize("files", ["transfer.metal", "*"])
def test_a_device_that_compiles_nothing_is_refused_at_once(tmp_path: Path, files: str) -> None:
    status, record, compilations = check_without(tmp_path, files)
    assert status == 1
    assert "refused: Metal cannot compile mpscnn's shaders in " in record
    assert len(compilations) == len(set(compilations)), "one process, which tries each file once"
    first, *_ = run_automatic(tmp_path, METAL_EMULATION_COMPILATIONS=str(tmp_path / "others"))
    assert first == "cpu cpu cpu 1", "the result is recorded for a day"
    assert not (tmp_path / "others").exists()


def test_kernels_of_training_decide_about_training_alone(tmp_path: Path) -> None:
    kernels = "MPSCNNConvolutionGradient=abort,MPSCNNSoftMaxGradient=wrong,array_sgd=wrong"
    said, (warned,) = answers(tmp_path, kernels, "softmax", "pooling", "convolution")
    assert {line.partition(" ")[2] for line in said} == {"metal False"}
    (record,) = records(tmp_path)
    refused = [line for line in record.read_text("utf-8").splitlines() if " by " in line]
    assert refused
    assert all(line.startswith("training ") for line in refused)
    assert "training convolution_data_gradient by MPSCNNConvolutionGradient" in warned


@pytest.mark.parametrize(
    ("wrong", "variants"),
    [
        # If both kinds of products are wrong, a kernel with one thread for each result replaces them.
        ("array_product", ["array_product_in_simdgroups", "array_product"]),
        # If only products in simdgroups are wrong, products for any GPU replace them.
        ("array_product_in_simdgroups", ["array_product_in_simdgroups"]),
    ],
)
def test_a_product_that_is_wrong_costs_the_product(tmp_path: Path, wrong: str, variants: list[str]) -> None:
    answers(tmp_path, f"{wrong}=wrong", "pooling")
    (record,) = records(tmp_path)
    refused = [line.partition(":")[0] for line in record.read_text("utf-8").splitlines() if " by " in line]
    assert [line for line in refused if line.startswith("training convolution by")] == sorted(
        f"training convolution by {variant}" for variant in variants
    )
    assert all(f" by {wrong}" in line for line in refused)


GRADIENTS = """
from metal.test_array_products import CASES, check

kernels = set()
for shape, outputs, attributes in CASES.values():
    kernels |= check(shape, outputs, attributes, 1)
print(*kernels)
"""


def test_products_in_simdgroups_replace_wrong_gradients_of_mps(tmp_path: Path) -> None:
    gradients = "MPSCNNConvolutionGradient", "MPSCNNFullyConnectedGradient"
    variables = {
        **os.environ,
        "MPSCNN_CACHE": str(tmp_path),
        "METAL_EMULATION_KERNELS": ",".join(f"{kernel}=wrong" for kernel in gradients),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-c", GRADIENTS]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    products = {"array_product", "array_pointwise_product", "array_data_gradient_product"}
    used = {kernel for kernel in done.stdout.split() if "product" in kernel}
    assert used == {f"{kernel}_in_simdgroups" for kernel in products | {"array_weight_gradient_product"}}


def test_an_activation_that_is_wrong_costs_the_activation(tmp_path: Path) -> None:
    """If a fused activation of MPS is wrong, a shader applies the activation after the convolution."""
    said, _ = answers(tmp_path, "neuron=wrong", "convolution", "neuron", "pooling")
    assert said[0] == "convolution metal False", "the activation is compiled into another shader"
    assert said[2] == "neuron metal True"
    assert said[4].startswith("pooling metal")


def test_a_device_on_which_nothing_works_is_refused(tmp_path: Path) -> None:
    """Every case of the self-check needs copies to images, so the device is refused if these are wrong."""
    first, _, warning = run_automatic(tmp_path, METAL_EMULATION_KERNELS="image_to_buffer=wrong")
    assert first == "cpu cpu cpu 1"
    assert "is not used: " in warning
