"""Compare networks with stored fingerprints. Their answers have the same bits on every processor with FMA.

`MPSCNN_BFLOAT16=blocks PYTHONPATH=tests python tests/models/test_fingerprints.py` stores new ones. `nox -s isa` runs
these tests with each instruction set of the machine. test_emulated_processor.py runs the networks on arm64.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from kernels_here import needs_fma

import mpscnn
from mpscnn import models

FINGERPRINTS = Path(__file__).with_suffix(".json")
PRECISIONS = "float32", "float16"
_SUMS = mpscnn.devices()[0].get("bfloat16_sums", "")

#: Small variants of the package's networks, which emulated processors can run.
NETWORKS: dict[str, Callable[[], mpscnn.Network]] = {
    "deep_mnist": models.deep_mnist,
    "mobilenet_v1": lambda: models.mobilenet_v1(depth_multiplier=0.5, input_size=96),
    "mobilenet_v2": lambda: models.mobilenet_v2(depth_multiplier=0.5, input_size=96),
    "mobilenet_v3_small": lambda: models.mobilenet_v3_small(input_size=96),
    "mobilenet_v4_conv_small": lambda: models.mobilenet_v4_conv_small(input_size=96),
    "efficientnet_b0": lambda: models.efficientnet_b0(input_size=96),
    "shufflenet_v2": lambda: models.shufflenet_v2_x0_5(input_size=96),
    "mnasnet": lambda: models.mnasnet0_5(input_size=96),
    "squeezenet": lambda: models.squeezenet1_1(input_size=96),
    "resnet18": lambda: models.resnet18(input_size=64),
    "ssdlite": lambda: models.ssdlite_mobilenet_v2(input_size=160),
    "deeplab_v3": lambda: models.deeplab_v3(depth_multiplier=0.5, input_size=97),
    "lraspp": lambda: models.lraspp_mobilenet_v3_large(input_size=96),
}


BUNDLED = "cifar10_mobilenet_v2", "digits"


def with_weights(network: mpscnn.Network) -> mpscnn.Network:
    """Set random weights with which signals neither grow nor fade. They are the same numbers on every machine."""
    weights = {}
    for number, spec in enumerate(network.weight_specs()):
        shape, role = tuple(spec["shape"]), spec["role"]
        state = np.arange(int(np.prod(shape)), dtype=np.uint32) + np.uint32(number << 20)
        for factor in (0x9E3779B1, 0x85EBCA77):  # the multipliers of xxHash
            state = (state ^ (state >> np.uint32(15))) * np.uint32(factor)
        noise = (state >> np.uint32(8)).astype(np.float32) / np.float32(1 << 23) - np.float32(1)
        if len(shape) > 1:
            noise *= np.float32(sqrt(6 * shape[0] / np.prod(shape)))
        else:
            noise = noise * np.float32(0.125) + np.float32(1 if role in ("gamma", "variance") else 0)
        weights[f"{spec['layer']}.{role}"] = noise.reshape(shape)
    network.load_weights(weights, layout="OHWI")
    return network


def fingerprint(network: mpscnn.Network, precision: str) -> str:
    return network.compile(device="cpu", precision=precision).fingerprint()


def network_of(name: str) -> mpscnn.Network:
    return mpscnn.load(name).network if name in BUNDLED else with_weights(NETWORKS[name]())


@pytest.fixture(scope="module")
def known() -> dict[str, dict[str, str]]:
    loaded: dict[str, dict[str, str]] = json.loads(FINGERPRINTS.read_text(encoding="utf-8"))
    return loaded


@needs_fma
@pytest.mark.parametrize("name", [*NETWORKS, *BUNDLED])
def test_the_bits_are_those_of_every_processor(name: str, known: dict[str, dict[str, str]]) -> None:
    network = network_of(name)
    precisions = [*PRECISIONS, *(["bfloat16"] if _SUMS.startswith("blocks") else [])]
    found = {precision: fingerprint(network, precision) for precision in precisions}
    assert found == {precision: known[name][precision] for precision in precisions}


@pytest.mark.ci
@pytest.mark.skipif(_SUMS != "pairs", reason="the test above has bfloat16's common bits")
def test_the_common_bits_of_bfloat16_where_others_take_less_time(known: dict[str, dict[str, str]]) -> None:
    command = [sys.executable, __file__, "bfloat16"]
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    environment = {**os.environ, "MPSCNN_BFLOAT16": "blocks", "PYTHONPATH": path}
    answer = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True).stdout
    assert json.loads(answer) == {name: known[name]["bfloat16"] for name in known}


if __name__ == "__main__":
    names = [*NETWORKS, *BUNDLED]
    if sys.argv[1:] == ["bfloat16"]:
        print(json.dumps({name: fingerprint(network_of(name), "bfloat16") for name in names}))
    else:
        assert _SUMS.startswith("blocks"), "set MPSCNN_BFLOAT16=blocks"
        written = {
            name: {
                precision: fingerprint(network_of(name), precision) for precision in (*PRECISIONS, "bfloat16")
            }
            for name in names
        }
        FINGERPRINTS.write_text(json.dumps(written, indent=4) + "\n", encoding="utf-8")
