"""`use_bias` says whether a layer has a bias."""

from __future__ import annotations

import numpy as np
import pytest
from guessed_objects import X, Y

import mpscnn


def test_biases() -> None:
    """`use_bias` determines whether a layer has a bias, also before a batch normalization."""
    net = mpscnn.Network(input=(4, 4, 2))
    x = net.conv2d(net.input, 3, 3, use_bias=False, name="without")
    x = net.conv2d(x, 3, 1, bias=True, name="with")  # type: ignore[call-arg]
    x = net.batch_norm(x, name="norm")
    x = net.conv2d(x, 3, 1, name="before_norm")
    x = net.batch_norm(x, name="last_norm")
    net.output(net.dense(net.flatten(x), 2, name="head"))
    assert [spec["layer"] for spec in net.weight_specs() if spec["role"] == "bias" and spec["set"]] == [
        "with"
    ]
    with pytest.raises(
        mpscnn.WeightsError, match=r"no weight 'without.bias'; the layer has 'without.weight'"
    ):
        net.set_weights({"without.bias": np.zeros(3, np.float32)})
    for seed in (0, 1):
        for one in (net, net.copy(), net.subgraph(["head"])):
            one.initialize_weights(seed=seed)
            assert {name for name in one.weights if name.endswith("bias")} == {"with.bias", "head.bias"}
    again = mpscnn.Network.from_graph(net.graph.copy())
    again.initialize_weights(seed=2)
    assert again.weights.keys() == net.weights.keys()
    with pytest.raises(mpscnn.ParameterError, match="use_bias must be True or False"):
        net.conv2d(net.input, 3, 3, use_bias=0)  # type: ignore[arg-type]


def test_training_adds_no_bias() -> None:
    net = mpscnn.Network(input=(4, 4, 1))
    net.output(net.softmax(net.dense(net.conv2d(net.input, 2, 3, use_bias=False), 2, use_bias=False)))
    net.initialize_weights(seed=0)
    trainer = mpscnn.Trainer(net)
    trainer.fit(X, Y)
    assert trainer.network.weights.keys() == {"conv2d_1.weight", "dense_1.weight"}
