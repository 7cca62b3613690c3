"""Tests of the self-check of devices, its records, and the choice of device="auto"."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from systems import mapped_files
from tiers import with_full

import mpscnn

# ---- Kernels that fail ------------------------------------------------------------------------------------------

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


def records(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.txt"))


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


# ---- Records ----------------------------------------------------------------------------------------------------

SELF_CHECK = """
import sys
import mpscnn
from metal.emulation import load

emulation = load()
net = mpscnn.Network(input=(6, 5, 4))
net.output(net.softmax(net.input))
for attempt in range(2):
    try:
        program = net.compile(device="metal")
        print(program.device, program.reason)
        del program
    except mpscnn.DeviceError as error:
        print(error)
assert not emulation.violations()
assert emulation.live_objects() == "", emulation.live_objects()
"""


def run_self_check(cache: Path, switches: str = "", **environment: str) -> list[str]:
    """Compile twice in a new process, with switches of the emulation set, and return the output."""
    variables = {
        **os.environ,
        "MPSCNN_CACHE": str(cache),
        "METAL_EMULATION_SWITCHES": switches,
        **environment,
    }
    variables["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", SELF_CHECK], env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_right_answer_is_remembered_for_device_and_system(tmp_path: Path) -> None:
    right = ["metal as asked; float32 lowers no accuracy"] * 2
    assert run_self_check(tmp_path) == right
    (record,) = records(tmp_path)
    text = record.read_text("utf-8")
    # The record has no registry id, because that changes when the machine restarts.
    assert text.startswith(f"mpscnn {mpscnn.__version__}\nEmulated Metal device\nsystem ")
    assert "0x100000abc" not in text
    # The device's softmax is wrong now, but no new check finds that.
    assert run_self_check(tmp_path, "wrong_results=1") == right
    record.write_text(text + "of another system", "utf-8")
    assert "softmax by MPSCNNSoftMax" in run_self_check(tmp_path, "wrong_results=1")[0]


# ---- The archive of pipelines -------------------------------------------------------------------------------------

ARCHIVE = """
import numpy as np
import mpscnn
from metal.emulation import load

emulation = load()
net = mpscnn.Network(input=(9, 7, 8))
net.output(net.max_pool2d(net.activation(net.input, "relu"), 2))
program = net.compile(device="metal")
program.session().run(np.zeros((1, 9, 7, 8), np.float32))
print(emulation.get("archive_hits"))
assert not emulation.violations()
"""


def archives(cache: Path) -> list[Path]:
    return sorted((cache / "self_check").glob("*.metalarchive"))


def archive_hits(cache: Path, switches: str = "", **environment: str) -> int:
    """Return the number of pipelines that a new process takes from the archive."""
    variables = {
        **os.environ,
        "MPSCNN_CACHE": str(cache),
        "METAL_EMULATION_SWITCHES": switches,
        **environment,
    }
    variables["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", ARCHIVE], env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache with the record and the archive of a check. Tests change copies of it."""
    cache = tmp_path_factory.mktemp("checked")
    assert archive_hits(cache) > 0
    return cache


@pytest.fixture
def checked_copy(checked: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checked, tmp_path / "cache"))


def test_pipelines_of_the_check_are_taken_from_its_archive(tmp_path: Path) -> None:
    hits = archive_hits(tmp_path)
    assert hits >= 3, "a shader for each of input, activation and output"
    (archive,) = archives(tmp_path)
    assert archive_hits(tmp_path) == hits
    assert archives(tmp_path) == [archive], "no second check, so the file stays"
    assert sorted(path.suffix for path in archive.parent.iterdir()) == [".lock", ".metalarchive", ".txt"]


@pytest.mark.parametrize("damage", with_full(["flip", "name"], ["cut", "empty"]))
def test_a_damaged_archive_is_deleted(checked_copy: Path, damage: str) -> None:
    (archive,) = archives(checked_copy)
    content = archive.read_bytes()
    if damage == "name":
        archive.rename(archive.with_name(archive.name[:17] + "0" * 16 + archive.suffix))
    elif damage == "flip":
        archive.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    else:
        archive.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    assert archive_hits(checked_copy) == 0
    assert not archives(checked_copy)
    subprocess.run([str(check_program())], env={**os.environ, "MPSCNN_CACHE": str(checked_copy)}, check=True)
    assert archives(checked_copy) == [archive], "a new check writes it again"


def test_an_archive_that_metal_refuses_is_deleted(checked_copy: Path) -> None:
    assert archives(checked_copy)
    assert archive_hits(checked_copy, "fail_archives=1") == 0
    assert not archives(checked_copy)


def test_a_device_without_archives_does_without(tmp_path: Path) -> None:
    for switches in ("fail_archives=1000", "discrete_memory=1"):
        assert archive_hits(tmp_path / switches, switches) == 0
        assert not archives(tmp_path / switches)
        assert len(records(tmp_path / switches)) == 1


def test_few_archives_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "self_check"
    folder.mkdir()
    for i in range(9):
        old = folder / f"{i:016x}-{i:016x}.metalarchive"
        old.write_text("of another system", "utf-8")
        os.utime(old, (i, i))
    assert archive_hits(tmp_path) > 0
    others = [path for path in archives(tmp_path) if path.read_text("utf-8") == "of another system"]
    assert [path.name[:16] for path in others] == [f"{i:016x}" for i in (6, 7, 8)]
    assert len(archives(tmp_path)) == 4


def test_a_check_that_fails_goes_on_without_an_archive(tmp_path: Path) -> None:
    """A failure with an archive of compiled shaders may be the archive's fault, so the check is repeated without it."""
    assert archive_hits(tmp_path, METAL_EMULATION_KERNELS="MPSCNNSoftMax=abort") == 0
    assert not archives(tmp_path)
    (record,) = records(tmp_path)
    assert "not used: 1\nsoftmax by MPSCNNSoftMax: " in record.read_text("utf-8")


def test_a_second_process_with_few_cases_keeps_the_archive(tmp_path: Path) -> None:
    """If a result is wrong, its few cases run again in a process that compiles only what they need."""
    assert archive_hits(tmp_path, METAL_EMULATION_KERNELS="MPSCNNSoftMax=wrong") >= 3
    (record,) = records(tmp_path)
    assert "not used: 1\nsoftmax by MPSCNNSoftMax: " in record.read_text("utf-8")
    assert len(archives(tmp_path)) == 1


# ---- Results that are recorded -----------------------------------------------------------------------------------


def test_a_failure_that_does_not_come_twice_is_no_answer(tmp_path: Path) -> None:
    assert run_self_check(tmp_path, "command_buffer_error=8")[0].startswith("metal as asked; float32")


# ---- The choice of device="auto" --------------------------------------------------------------------------------

AUTOMATIC = """
import sys
import warnings
import mpscnn

net = mpscnn.Network(input=(6, 5, 4))
net.output(net.softmax(net.input))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    programs = [net.compile(), net.compile()]
    queue = mpscnn.CommandQueue()
print(programs[0].device, programs[1].device, queue.device, len(caught))
print(programs[0].reason)
for warning in caught:
    print(warning.message)
if "metal" in sys.argv:
    print(net.compile(device="metal").device, net.compile().device)
"""


def automatic_variables(cache: Path, switches: str, **environment: str) -> dict[str, str]:
    variables = {
        **os.environ,
        "MPSCNN_CACHE": str(cache),
        "METAL_EMULATION_SWITCHES": switches,
        **environment,
    }
    variables["PYTHONPATH"] = os.pathsep.join(sys.path)
    del variables["MPSCNN_DEVICE"]
    return variables


def run_automatic(cache: Path, switches: str = "", *arguments: str, **environment: str) -> list[str]:
    """Return what "auto" chooses in a new process. That process must not run the device before it is checked."""
    variables = automatic_variables(cache, switches, **environment)
    command = [sys.executable, "-c", AUTOMATIC, *arguments]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_auto_takes_a_device_that_was_checked_in_another_process(tmp_path: Path) -> None:
    chosen = ["metal metal metal 0", "a Metal device, whose answers were checked; float32 lowers no accuracy"]
    assert run_automatic(tmp_path) == chosen
    (record,) = records(tmp_path)
    assert "refused" not in record.read_text("utf-8")
    # The result is on record, so nothing is checked. A check would fail because its time limit is too short.
    assert run_automatic(tmp_path, MPSCNN_SELF_CHECK_SECONDS="0.001") == chosen


@pytest.mark.parametrize("number", [6, 11])
def test_a_device_whose_mps_ends_the_process_is_used_without_it(tmp_path: Path, number: int) -> None:
    first, why, warning = run_automatic(tmp_path, f"end_process={number}")
    assert first == "metal metal metal 1", "one warning for two programs"
    assert "without convolution by MPSCNNConvolution, " in why
    assert warning.startswith(
        "the CPU engine computes 1 of 1 layers: layer 'softmax_1': softmax by MPSCNNSoftMax"
    )
    assert f"ended by signal {number}" in warning
    assert why.endswith(warning)
    # The failure is on record, so that no other process repeats a check that crashes.
    assert run_automatic(tmp_path, MPSCNN_SELF_CHECK_SECONDS="0.001")[0] == "metal metal metal 1"


def test_a_broken_rule_of_mps_is_not_the_end_of_the_process(tmp_path: Path) -> None:
    """If the engine breaks a rule of MPS, the emulation aborts like MPS, but only in the checking process."""
    first, _, warning = run_automatic(tmp_path, "broken_rule=1", METAL_EMULATION_ABORT="1")
    assert first == "metal metal metal 1"
    assert "signal 6" in warning
    assert "Metal emulation: " in warning


def test_a_device_that_hangs_is_not_used(tmp_path: Path) -> None:
    first, _, warning = run_automatic(tmp_path, "worker_delay_ms=1000000", MPSCNN_SELF_CHECK_SECONDS="1")
    assert first == "cpu cpu cpu 1"
    assert "no answer came within 1 s" in warning
    # The device may have been busy, so the next process tries again.
    assert run_automatic(tmp_path)[0] == "metal metal metal 0"


def test_the_gpu_of_a_virtual_machine_is_taken_after_it_was_checked(tmp_path: Path) -> None:
    first, why = run_automatic(tmp_path, "paravirtual=1")
    assert first == "cpu cpu cpu 0"
    assert "is not used: it is the GPU of a virtual machine" in why
    assert not records(tmp_path)
    variables = automatic_variables(tmp_path, "paravirtual=1")
    subprocess.run([str(check_program())], env=variables, check=True, capture_output=True)
    assert run_automatic(tmp_path, "paravirtual=1")[0].startswith("metal metal metal ")


WAITS = """
import mpscnn

net = mpscnn.Network(input=(6, 5, 4))
net.output(net.softmax(net.input))
net.compile(device="metal")
"""


def test_ctrl_c_ends_the_wait_for_the_check_of_another_process(checked: Path, tmp_path: Path) -> None:
    (name,) = (path.stem for path in records(checked))
    (tmp_path / "self_check").mkdir()
    with (tmp_path / "self_check" / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        variables = automatic_variables(tmp_path, "")
        command = [sys.executable, "-c", WAITS]
        with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True) as waiting:
            assert waiting.stderr is not None
            assert "another thread or process does this now" in waiting.stderr.readline()
            waiting.send_signal(signal.SIGINT)
            _, said = waiting.communicate(timeout=300)
    assert said.strip().endswith("KeyboardInterrupt")


def test_a_device_that_is_refused_says_so_where_it_is_asked_for(tmp_path: Path) -> None:
    hangs = run_self_check(tmp_path, "worker_delay_ms=1000000", MPSCNN_SELF_CHECK_SECONDS="1")
    assert hangs[0] == hangs[1]
    assert "is not used: its check, in a process of its own, does not go on" in hangs[0]
    assert "MPSCNN_SKIP_SELF_CHECK=1" in hangs[0]
    done = subprocess.run(
        [str(check_program())], env={**os.environ, "MPSCNN_CACHE": str(tmp_path)}, check=False
    )
    assert done.returncode == 0, "checked again"
    assert run_self_check(tmp_path)[0].startswith("metal as asked")


def check_program() -> Path:
    """Return the path of mpscnn-check, which is in the folder of the loaded library."""
    (library,) = {name for name in mapped_files() if "/libmpscnn.so." in name}
    return Path(library).parent / "mpscnn-check"


@pytest.mark.parametrize(
    ("arguments", "switches", "status", "said"),
    [
        ((), "", 0, "right answers:\nmpscnn "),
        (("metal:Emulated external GPU",), "devices=2", 0, "right answers:\nmpscnn "),
        ((), "wrong_results=1", 0, "right answers:\nmpscnn "),
        ((), "fail_command_buffers=100000", 1, "mpscnn-check: device 'Emulated Metal device' is not used: "),
        (("metal:Apple M2",), "", 1, "mpscnn-check: there is no Metal device 'Apple M2'"),
        (("cpu",), "", 1, "mpscnn-check: device 'cpu' is what others are compared with"),
        (("--help",), "", 2, "usage: mpscnn-check [DEVICE]"),
        (("metal", "metal"), "", 2, "usage: "),
    ],
)
def test_people_may_run_the_check_program(
    tmp_path: Path, arguments: tuple[str, ...], switches: str, status: int, said: str
) -> None:
    variables = {**os.environ, "MPSCNN_CACHE": str(tmp_path), "METAL_EMULATION_SWITCHES": switches}
    command = [str(check_program()), *arguments]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == status, done.stderr
    assert (done.stdout if status == 0 else done.stderr).startswith(said)
    assert len(records(tmp_path)) == (status == 0 or "is not used" in said)
