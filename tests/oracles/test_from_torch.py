"""Convert modules of torch without a file, and compare them with torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from agreement import computed
from oracles.torchvision_models import asked, assert_close, photo, randomized, timm, torchvision
from tiers import with_full

import mpscnn

torch = pytest.importorskip("torch", reason="torch is not installed")

from mpscnn.converters.reading.pytorch.aten.operators import OPERATORS  # noqa: E402

full = pytest.mark.full
nn = torch.nn
EXAMPLE = torch.zeros(2, 3, 64, 64)

NETWORKS = [
    "mobilenet_v3_small",
    "shufflenet_v2_x0_5",
    *(
        pytest.param(name, marks=full)
        for name in (
            "resnet18",
            "resnet50",
            "mobilenet_v2",
            "mobilenet_v3_large",
            "squeezenet1_0",
            "squeezenet1_1",
            "mnasnet1_0",
            "shufflenet_v2_x1_0",
            "efficientnet_b0",
            "regnet_y_400mf",
            "densenet121",
        )
    ),
]


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_torchvision(name: str) -> None:
    module = randomized(torchvision().models.get_model(name, weights=None))
    network = mpscnn.from_torch(module, EXAMPLE)
    image = photo((64, 64), batch=3)  # another batch size than that of the example
    assert_close(computed(network, image), asked(module, image).numpy())
    assert not module.training


@full
@pytest.mark.parametrize(
    ("name", "side"), [("edgenext_xx_small", 64), ("levit_128s", 224), ("levit_conv_128s", 224)]
)
def test_hybrids_of_timm(name: str, side: int) -> None:
    """These networks mix convolutions and attention. LeViT's biases of positions fix its size."""
    module = randomized(timm().create_model(name, pretrained=False, num_classes=11))
    network = mpscnn.from_torch(module, torch.zeros(2, 3, side, side))
    image = photo((side, side), batch=3)
    assert_close(computed(network, image), asked(module, image).numpy())


class Small(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.SiLU())
        self.drop = nn.Dropout(0.5)
        self.heads = nn.ModuleDict({"low": nn.Conv2d(8, 2, 1), "high": nn.Conv2d(8, 5, 3)})

    def forward(self, x: Any) -> Any:
        x = self.drop(self.stem(x))
        return {name: head(x) for name, head in self.heads.items()}


def test_layers_have_the_names_of_modules() -> None:
    network = mpscnn.from_torch(randomized(Small()), EXAMPLE)
    assert network.name == "Small"
    assert {"stem.0", "heads.low", "heads.high"} <= set(network.layer_names())
    assert [output.name for output in network.outputs] == ["heads.low", "heads.high"]


def test_several_outputs() -> None:
    module = randomized(Small())
    network = mpscnn.from_torch(module, EXAMPLE, name="small")
    found = network.compile(device="cpu", precision="float32").session().run(photo((64, 64)))
    expected = asked(module, photo((64, 64)))
    for name in ("low", "high"):
        assert isinstance(found, dict)
        assert_close(found[f"heads.{name}"], expected[name].numpy().transpose(0, 2, 3, 1))


def test_training_mode_is_left_on_a_copy() -> None:
    module = randomized(Small()).train()
    with pytest.warns(RuntimeWarning, match="Small is in training mode; converted is a copy"):
        network = mpscnn.from_torch(module, EXAMPLE)
    assert module.training
    image = photo((64, 64))
    found = network.compile(device="cpu", precision="float32").session().run(image)
    assert isinstance(found, dict)
    expected = asked(module.eval(), image)
    assert_close(found["heads.low"], expected["low"].numpy().transpose(0, 2, 3, 1))


def test_other_precisions_become_float32() -> None:
    module = nn.Linear(4, 3).double().eval()
    network = mpscnn.from_torch(module, np.zeros((2, 4)))
    x = np.random.default_rng(0).normal(size=(5, 4))
    expected = module(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(computed(network, x.astype(np.float32)), expected, rtol=1e-5, atol=1e-6)
    assert module.weight.dtype == torch.float64


class Recurrent(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.memory = nn.LSTM(4, 3, batch_first=True)

    def forward(self, x: Any) -> Any:
        return self.memory(x)[0]


class Branching(nn.Module):  # type: ignore[misc, name-defined]
    def forward(self, x: Any) -> Any:
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    "module",
    [
        Recurrent(),
        nn.LSTM(4, 3, batch_first=True),
        nn.GRU(4, 3, num_layers=2, batch_first=True, bidirectional=True),
        nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 2)),
    ],
    ids=["one result", "lstm", "gru", "embedding"],
)
def test_sequences(module: Any) -> None:
    """`from_torch` itself compares the results."""
    is_embedding = isinstance(module, nn.Sequential)
    example = torch.randint(0, 9, (1, 5)) if is_embedding else torch.randn(1, 5, 4)
    network = mpscnn.from_torch(module.eval(), example)
    assert network.inputs[0].shape[1:] == tuple(example.shape[1:])


@pytest.mark.parametrize(
    ("module", "example", "message"),
    [
        (Branching(), torch.zeros(2, 4), "^Branching: torch.export cannot trace it: "),
        (nn.Conv2d(3, 8, 3), torch.zeros(1, 4, 8, 8), "^Conv2d: torch.export cannot trace it: "),
        (
            nn.FractionalMaxPool2d(2, 3),
            torch.zeros(1, 4, 8, 8),
            "(?s)^FractionalMaxPool2d: 2 layers .*rand.*fractional_max_pool2d",
        ),
        (
            nn.AdaptiveMaxPool2d(3, return_indices=True),
            torch.zeros(1, 4, 8, 8),
            r"^AdaptiveMaxPool2d: layer .*\(adaptive_max_pool2d\): its result 2, such as the places of maxima, is not",
        ),
        (
            nn.AvgPool2d(2, divisor_override=3),
            torch.zeros(1, 4, 8, 8),
            r"^AvgPool2d: layer .*\(avg_pool2d\): has a divisor_override",
        ),
    ],
    ids=[
        "control flow",
        "wrong example",
        "no such operator",
        "a result that is lost",
        "an argument that is lost",
    ],
)
def test_modules_that_cannot_be_converted(module: Any, example: Any, message: str) -> None:
    with pytest.raises(mpscnn.UnsupportedError, match=message):
        mpscnn.from_torch(module.eval(), example)


def test_arguments_that_the_table_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason names the operator, not the function of the table."""
    monkeypatch.setitem(OPERATORS, "relu.default", lambda _: "")
    with pytest.raises(
        mpscnn.UnsupportedError, match=r"\(relu\): takes 1 positional argument but 2 were given"
    ):
        mpscnn.from_torch(nn.ReLU().eval(), torch.zeros(1, 4))


ADAPTIVE = {
    "average": nn.AdaptiveAvgPool2d((3, 5)),
    "average of rows": nn.AdaptiveAvgPool2d((3, None)),
    "average alike": nn.AdaptiveAvgPool2d((4, 3)),
    "average of all": nn.AdaptiveAvgPool2d(1),
    "more than there are": nn.AdaptiveAvgPool2d((11, 4)),
    "maximum": nn.AdaptiveMaxPool2d((5, 2)),
    "maximum of all": nn.AdaptiveMaxPool2d(1),
    "nearest-exact": nn.Upsample(size=(11, 7), mode="nearest-exact"),
    "nearest-exact by factors": nn.Upsample(scale_factor=(1.7, 0.6), mode="nearest-exact"),
}


@pytest.mark.parametrize("name", ADAPTIVE)
def test_windows_and_places_that_onnx_lacks(name: str) -> None:
    module = ADAPTIVE[name].eval()
    image = photo((8, 9))
    network = mpscnn.from_torch(module, torch.zeros(1, 3, 8, 9))
    expected = asked(module, image).numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(computed(network, image), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", with_full([4, 5], [1, 2, 3, 6, 7, 8]))
def test_local_response_normalization(size: int) -> None:
    """An even size takes one channel more before than after. Size 8 takes more channels than there are."""
    module = nn.LocalResponseNorm(size, alpha=0.3, beta=0.6, k=1.5).eval()
    image = np.random.default_rng(6).normal(size=(2, 8, 9, 7)).astype(np.float32)
    network = mpscnn.from_torch(module, torch.zeros(1, 7, 8, 9))
    if size == 5:
        assert [node["operation"] for node in network.to_dict()["nodes"]] == ["cross_channel_normalization"]
    assert_close(computed(network, image), asked(module, image).numpy().transpose(0, 2, 3, 1))


@pytest.mark.parametrize(
    ("module", "example", "message"),
    [
        ("resnet18", EXAMPLE, r"expected a torch\.nn\.Module or a function, got str"),
        (Small().eval(), [EXAMPLE, "photo"], "example input 1 must be a tensor or an array, got str"),
    ],
)
def test_arguments_of_other_types(module: Any, example: Any, message: str) -> None:
    with pytest.raises(mpscnn.ParameterError, match=message):
        mpscnn.from_torch(module, example)
