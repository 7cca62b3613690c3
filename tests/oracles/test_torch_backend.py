"""Compare the backend "mpscnn" of torch.compile with torch itself. One small test for each promise."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np
import pytest
from oracles.compiled_modules import Compiled, assert_equal
from oracles.test_torch_operators import FORMS, IMAGES
from oracles.torchvision_models import randomized, torchvision

import mpscnn

torch = pytest.importorskip("torch", reason="torch is not installed")

from mpscnn.torch_backend import backend  # noqa: E402

nn = torch.nn
functional = torch.nn.functional
full = pytest.mark.full


@pytest.fixture(autouse=True)
def inference() -> Any:
    """Begin each test without graphs of other tests, and compute no gradients."""
    torch._dynamo.reset()
    with torch.no_grad():
        yield


def small() -> Any:
    return randomized(
        nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3, stride=2)
        )
    )


PHOTO = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def test_the_name_is_found() -> None:
    module = small()
    assert "mpscnn" in torch._dynamo.list_backends(exclude_tags=())
    assert_equal(torch.compile(module, backend="mpscnn")(PHOTO), module(PHOTO))


def test_a_network_runs_as_one() -> None:
    module = small()
    compiled = Compiled(module)
    assert_equal(compiled(PHOTO), module(PHOTO))
    (part,) = compiled.graphs[0].report.networks
    assert compiled.left == []
    # The batch normalization became part of the convolution before it.
    assert [row["operation"] for row in part.network.describe()["layers"]].count("convolution") == 2


class Cut(nn.Module):  # type: ignore[misc, name-defined]
    """Two convolutions with an operator between them that mpscnn lacks."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 2, 3)

    def forward(self, x: Any) -> Any:
        return self.second(torch.cumprod(self.first(x), 2))


def test_an_operator_that_is_missing_runs_in_torch() -> None:
    module = Cut().eval()
    compiled = Compiled(module)
    assert_equal(compiled(PHOTO), module(PHOTO))
    assert compiled.left == ["cumprod.default"]
    assert compiled.networks == 2


def test_an_operator_that_the_reader_refuses_runs_in_torch() -> None:
    first = nn.Conv2d(3, 6, 3)

    places = torch.rand(1, 5, 5, 2) * 2 - 1

    def sampled(x: Any) -> Any:  # cubic interpolation is refused; bilinear and nearest are read
        return nn.functional.grid_sample(first(x), places, mode="bicubic", align_corners=False)

    compiled = Compiled(sampled)
    assert_equal(compiled(PHOTO), sampled(PHOTO))
    assert compiled.networks == 1
    assert compiled.left == ["grid_sampler_2d.default"]


def test_reductions_over_the_batch() -> None:
    """The batch may be reduced like any axis, whether its size is always the same or not."""
    first = nn.Conv2d(3, 6, 3)

    def spread(x: Any) -> Any:
        return first(x).var(0)

    compiled = Compiled(spread)
    for batch in (2, 3, 5):
        x = torch.randn(batch, 3, 16, 16)
        assert_equal(compiled(x), spread(x))
    assert compiled.left == []


class Broken(nn.Module):  # type: ignore[misc, name-defined]
    """A module with a graph break between two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 2, 3)

    def forward(self, x: Any) -> Any:
        x = self.first(x)
        torch._dynamo.graph_break()
        return self.second(x)


def test_a_graph_break_makes_two_graphs() -> None:
    module = Broken().eval()
    compiled = Compiled(module)
    assert_equal(compiled(PHOTO), module(PHOTO))
    assert len(compiled.graphs) == compiled.networks == 2


class Heads(nn.Module):  # type: ignore[misc, name-defined]
    """A module with two inputs and three results, one of which is an extent and no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.other = nn.Conv2d(3, 4, 3), nn.Conv2d(2, 4, 3)

    def forward(self, x: Any, y: Any) -> Any:
        both = self.image(x) + self.other(y)
        return {"sum": both, "pooled": both.mean((2, 3)), "size": x.shape[2]}


def test_several_inputs_and_results() -> None:
    module = Heads().eval()
    compiled = Compiled(module)
    other = torch.randn(1, 2, 16, 16)
    found, expected = compiled(PHOTO, other), module(PHOTO, other)
    assert found.keys() == expected.keys()
    assert found["size"] == 16
    for name in ("sum", "pooled"):
        assert_equal(found[name], expected[name])
        assert found[name].stride() == expected[name].stride()
    assert compiled.networks == 1


def test_tensors_are_read_and_written_where_they_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    run = mpscnn.Session.run

    def noted(self: Any, x: Any, *, out: Any = None) -> Any:
        seen.append((x.__array_interface__["data"][0], out.__array_interface__["data"][0]))
        return run(self, x, out=out)

    monkeypatch.setattr(mpscnn.Session, "run", noted)
    compiled = Compiled(small())
    for x in (PHOTO, PHOTO.to(memory_format=torch.channels_last), torch.randn(1, 3, 16, 32)[..., ::2]):
        result = compiled(x)
        assert seen[-1] == (x.data_ptr(), result.data_ptr())


def test_bfloat16_autocast() -> None:
    module = randomized(
        nn.Sequential(nn.Conv2d(3, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten(), nn.Linear(6272, 5))
    )
    exact = module(PHOTO)
    compiled = Compiled(module)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected, found = module(PHOTO), compiled(PHOTO)
    assert found.dtype == expected.dtype == torch.bfloat16
    assert compiled.left == []
    largest = exact.abs().max()
    assert (found - exact).abs().max() <= max((expected - exact).abs().max(), 2**-7 * largest)
    assert_equal(compiled(PHOTO), exact)


def test_weights_that_change_are_bound_again() -> None:
    module = small()
    compiled = Compiled(module)
    before = compiled(PHOTO)
    module[0].weight.mul_(2.0)
    after = compiled(PHOTO)
    assert_equal(after, module(PHOTO))
    assert not torch.equal(before, after)
    module.load_state_dict(small().state_dict())
    assert_equal(compiled(PHOTO), module(PHOTO))


def test_modules_of_one_structure_keep_their_weights_apart() -> None:
    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x: Any) -> Any:
            return self.layer(x)

    blocks = [Block().eval() for _ in range(4)]
    compiled = [Compiled(block) for block in blocks]
    for _ in range(2):
        for one, block in zip(compiled, blocks, strict=True):
            assert_equal(one(PHOTO), block(PHOTO))


def test_other_shapes_than_the_first() -> None:
    module = small()
    compiled = Compiled(module)
    for shape in ((1, 3, 16, 16), (2, 3, 16, 16), (3, 3, 16, 16), (3, 3, 20, 24), (1, 3, 16, 16)):
        x = torch.randn(shape)
        assert_equal(compiled(x), module(x))


def test_a_module_that_changes_its_own_buffers() -> None:
    class Counting(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 4, 3)
            self.register_buffer("mean", torch.zeros(1, 4, 1, 1))

        def forward(self, x: Any) -> Any:
            x = self.layer(x)
            self.mean.mul_(0.5).add_(x.mean((2, 3), keepdim=True))
            return x - self.mean

    module, twin = Counting().eval(), Counting().eval()
    twin.load_state_dict(module.state_dict())
    compiled = Compiled(module)
    for _ in range(4):
        assert_equal(compiled(PHOTO), twin(PHOTO))
        assert_equal(module.mean, twin.mean)


def test_batch_statistics_of_training_mode() -> None:
    module, twin = small().train(), small().train()
    twin.load_state_dict(module.state_dict())
    compiled = Compiled(module)
    x = torch.randn(2, 3, 16, 16)
    for _ in range(2):
        assert_equal(compiled(x), twin(x))
    assert_equal(module[1].running_mean, twin[1].running_mean)


def test_gradients_are_left_to_torch_with_one_warning() -> None:
    module, twin = small(), small()
    twin.load_state_dict(module.state_dict())
    compiled = Compiled(module)
    with torch.enable_grad():
        with pytest.warns(RuntimeWarning, match="runs inference only, and this call needs gradients"):
            compiled(PHOTO).sum().backward()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            compiled(PHOTO)
        twin(PHOTO).sum().backward()
    assert torch.equal(module[0].weight.grad, twin[0].weight.grad)
    assert_equal(compiled(PHOTO), module(PHOTO))


def test_inference_mode() -> None:
    module = small()
    compiled = Compiled(module)
    with torch.inference_mode():
        for _ in range(2):
            assert_equal(compiled(PHOTO), module(PHOTO))


def test_small_parts_stay_in_torch() -> None:
    compiled = Compiled(lambda x: (x + 1).relu())
    assert torch.equal(compiled(PHOTO), (PHOTO + 1).relu())
    assert compiled.networks == 0


def test_what_became_of_a_graph_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "mpscnn.torch_backend"):
        Compiled(Cut().eval())(PHOTO)
    assert "2 of 3 operators run in 2 networks" in caplog.text
    assert "torch computes cumprod: cumprod.default: mpscnn has no such operator" in caplog.text


def test_options_of_programs_are_taken() -> None:
    module = small()
    compiled = Compiled(
        module, options={"precision": "float16", "accumulate_dtype": "float16", "winograd": False}
    )
    with pytest.raises(AssertionError, match="relative error"):
        assert_equal(compiled(PHOTO), module(PHOTO), 1e-5)
    assert_equal(compiled(PHOTO), module(PHOTO), 1e-2)
    (part,) = compiled.graphs[0].report.networks
    assert part._program.numbers == "float16, sums in halves"
    assert part._program.winograd is False


@pytest.mark.parametrize("mode", ["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"])
def test_modes_of_torch_change_nothing(mode: str) -> None:
    module = small()
    assert torch.equal(Compiled(module, mode=mode)(PHOTO), Compiled(module)(PHOTO))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"options": {"speed": 1}}, "there is no option 'speed'"),
        ({"mode": "fastest"}, "mode must be one of default, reduce-overhead"),
        ({"options": {"threads": 1}}, "as many threads as torch.set_num_threads says"),
    ],
)
def test_wrong_arguments(arguments: Any, message: str) -> None:
    with pytest.raises(mpscnn.ParameterError, match=message):
        backend(None, [], **arguments)


# ---- The table of operators ----------------------------------------------------------------------------------------


class Applied(nn.Module):  # type: ignore[misc, name-defined]
    """A module that applies a function or a module to a convolution's result (1, 6, 8, 8)."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 6, 3)
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(self.layer(x))


#: Operators that the backend leaves to torch. from_torch decomposes them by torch's definitions.
LEFT = {
    "argmax": ["argmax.default"],
    "fold": ["im2col.default", "too few operators for a network"],
    "glu": ["glu.default"],
    "LogSigmoid": ["log_sigmoid_forward.default"],
    "max_unpool": ["its result is not computed", "max_unpool2d.default"],
}
#: Modules that torch.compile itself refuses.
NOT_COMPILED = {"conv2d, same"}


@pytest.mark.parametrize("name", sorted({*(*IMAGES, *FORMS)[::3], *LEFT} - NOT_COMPILED))
def test_operator(name: str) -> None:
    """test_torch_operators.py converts all operators of the table, which is the backend's, too."""
    module = Applied((IMAGES | FORMS)[name]).eval()
    compiled = Compiled(module)
    x = PHOTO[:, :, :10, :10]
    assert_equal(compiled(x), module(x))
    assert compiled.left == LEFT.get(name, [])
    assert compiled.networks == 1


# ---- Networks ------------------------------------------------------------------------------------------------------

NETWORKS = (
    "resnet18", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "shufflenet_v2_x1_0", "densenet121",
    "squeezenet1_1", "regnet_y_400mf", "convnext_tiny", "swin_t", "deeplabv3_mobilenet_v3_large",
    "timm:vit_tiny_patch16_224", "timm:mobilenetv4_conv_small", "timm:ghostnet_100", "timm:convnextv2_atto",
    "timm:efficientvit_b0", "timm:repvgg_a0",
)  # fmt: skip


def network(name: str) -> Any:
    """Return a network of torchvision or timm with random weights."""
    if name.startswith("timm:"):
        torchvision()
        timm = pytest.importorskip("timm", reason="timm is not installed")
        return randomized(timm.create_model(name.removeprefix("timm:"), pretrained=False), gain=0.7)
    arguments = {"weights_backbone": None} if "deeplab" in name else {}
    return randomized(torchvision().models.get_model(name, weights=None, **arguments), gain=0.7)


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=[] if one == "resnet18" else full) for one in NETWORKS]
)
def test_networks(name: str) -> None:
    module = network(name)
    x = torch.from_numpy(np.random.default_rng(5).normal(size=(1, 3, 224, 224)).astype(np.float32))
    compiled = Compiled(module)
    found, expected = compiled(x), module(x)
    if isinstance(expected, dict):
        found, expected = found["out"], expected["out"]
    assert expected.std() > 1e-3 * expected.abs().max()
    assert_equal(found, expected)
    assert compiled.left == []
    assert compiled.networks == 1
