"""Write networks of every operation as Core ML models, read them, and write what was read again."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from agreement import results
from converters.coreml_rewriting import CHANGED, NOT_EXPRESSED, NOT_EXPRESSED_OLD
from converters.onnx_writer.test_onnx_export import CASES, LAYERS, VECTORS, network_of, network_of_case
from oracles.test_coreml_written import written_again

import mpscnn
from mpscnn import Network, converters
from mpscnn.errors import UnsupportedError

pytest.importorskip("coremltools", reason="coremltools is not installed")
pytestmark = [
    pytest.mark.full,
    pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

NETWORKS: dict[str, Callable[[], Network]] = {
    **{name: lambda build=build: network_of(build) for name, build in LAYERS.items()},
    **{name: lambda build=build: network_of(build, (12,)) for name, build in VECTORS.items()},
    **{
        f"case {case['name']}": lambda case=case: network_of_case(case)
        for case in CASES
        if "conformance" in case["tags"]
    },
    "flattened means before a dense layer": lambda: network_of(classes_of_means),
    "flattened image before a dense layer": lambda: network_of(
        lambda network, x: network.dense(network.flatten(x), 4)
    ),
}
# This layer is a transposition of the input. The reader takes it for a change from NCHW to NHWC.
del NETWORKS["transpose, cyclic"]


def classes_of_means(network: Network, x: mpscnn.Tensor) -> mpscnn.Tensor:
    means = network.global_average_pool2d(network.conv2d(x, 8, 3, activation="relu"))
    return network.softmax(network.dense(network.flatten(means, name="flat"), 4))


@pytest.fixture(scope="module", autouse=True)
def _quick_collections() -> Iterator[None]:
    """Keep the objects of imported packages out of the garbage collections that coremltools makes."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def assert_same_answers(network: Network, back: Network) -> None:
    """Run a batch of one in both networks. Differences are relative to the largest output."""
    generator = np.random.default_rng(11)
    given = [
        generator.uniform(-3.0, 3.0, (1, *tensor.shape[1:])).astype(np.float32)  # type: ignore[arg-type]
        for tensor in network.inputs
    ]
    # If a network begins with a transposition, the reader leaves it to the caller.
    taken = [
        x if one.shape == other.shape else np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        for x, one, other in zip(given, network.inputs, back.inputs, strict=True)
    ]
    for expected, found in zip(results(network, *given), results(back, *taken), strict=True):
        largest = max(1.0, float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0)))
        np.testing.assert_allclose(found, expected.reshape(found.shape), rtol=0, atol=1e-4 * largest)


@pytest.mark.parametrize("suffix", [".mlpackage", ".mlmodel"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_operation_keeps_its_answers_and_its_bytes(name: str, suffix: str, tmp_path: Path) -> None:
    network, path = NETWORKS[name](), tmp_path / f"one{suffix}"
    if name in NOT_EXPRESSED or (suffix == ".mlmodel" and name in NOT_EXPRESSED_OLD):
        with pytest.raises(UnsupportedError, match="one"):
            converters.export_coreml(network, path)
        return
    first, second = written_again(network, tmp_path, f"{suffix} float32", 2)
    for time in (0, 1):
        assert_same_answers(network, converters.read_network([tmp_path / f"{time}" / f"one{suffix}"]))
    listed = next((reason for reason, cases in CHANGED.items() if {name, f"{name}{suffix}"} & cases), None)
    if listed is None:
        assert first == second
    else:
        assert first != second, f"keeps its bytes, so take it off the list: {listed}"


def test_the_cases_that_are_listed_exist() -> None:
    listed = set().union(*CHANGED.values()) | NOT_EXPRESSED | NOT_EXPRESSED_OLD
    kinds = [f"{name}{suffix}" for name in NETWORKS for suffix in (".mlpackage", ".mlmodel")]
    assert listed <= {*NETWORKS, *kinds}


def test_every_operation_is_among_the_networks() -> None:
    operations = {node["operation"] for build in NETWORKS.values() for node in build().to_dict()["nodes"]}
    assert operations == {operation["name"] for operation in mpscnn.operations()}
