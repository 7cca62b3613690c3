"""Networks compute the same bits when they are read from Core AI's assets, but for one. All are full tier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from agreement import results

import mpscnn
from mpscnn import models
from mpscnn.converters import export_coreai, read_network

pytest.importorskip("coreai.authoring", reason="coreai-core is not installed")
pytestmark = [pytest.mark.full, pytest.mark.filterwarnings("ignore:.*suppression of boxes:RuntimeWarning")]

NETWORKS = """mobilenet_v1 mobilenet_v2 mobilenet_v3_small mobilenet_v3_large efficientnet_b0 efficientnet_lite0
    mnasnet0_5 resnet18 shufflenet_v2_x0_5 squeezenet1_1 mobilenet_v4_conv_small lraspp_mobilenet_v3_large deeplab_v3
    ssdlite_mobilenet_v2"""
#: Networks with other rounding. In ShuffleNet, the last shuffle of each stage becomes the order of the weights after
#: it, as in all formats, so sums have another order.
ROUNDED = {"shufflenet_v2_x0_5": 1e-6}


def assert_same_bits(network: mpscnn.Network, path: Path, tolerance: float = 0.0) -> None:
    """Compare the results with those of the written network, relative to the largest."""
    export_coreai(network, path)
    x = np.random.default_rng(0).uniform(-1, 1, (1, *(extent or 1 for extent in network.input.shape[1:])))
    written = results(read_network(path), x)
    for found, right in zip(written, results(network, x), strict=True):
        assert found.shape == right.shape
        if tolerance:
            np.testing.assert_allclose(found, right, rtol=0, atol=tolerance * float(abs(right).max()))
        else:
            assert found.tobytes() == right.tobytes()


@pytest.mark.parametrize("name", NETWORKS.split())
def test_networks(name: str, tmp_path: Path) -> None:
    network = getattr(models, name)()
    network.initialize_weights(0)
    assert_same_bits(network, tmp_path / "one.aimodel", ROUNDED.get(name, 0.0))


@pytest.mark.parametrize("name", ["cifar10_mobilenet_v2", "digits", "page_digits"])
def test_bundled_models(name: str, tmp_path: Path) -> None:
    assert_same_bits(mpscnn.load(name).network, tmp_path / "one.aimodel", ROUNDED.get(name, 0.0))
