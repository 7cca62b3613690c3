"""from_torch converts operators of three spatial axes that reach along two of them, which it compares with torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mpscnn

torch = pytest.importorskip("torch", reason="torch is not installed")

nn, functional = torch.nn, torch.nn.functional

#: Windows with one element along one axis or more.
WINDOWS = [(1, 3, 2), (3, 1, 2), (2, 3, 1), (1, 1, 3), (3, 1, 1), (1, 3, 1), (1, 1, 1)]


def of_moving(kernel: tuple[int, ...], value: int, otherwise: int) -> tuple[int, ...]:
    """Return a setting that is `value` along the axes along which the window has several elements."""
    return tuple(value if extent > 1 else otherwise for extent in kernel)


OPERATORS: dict[str, Any] = {
    "convolution": lambda k: nn.Conv3d(4, 6, k, padding=of_moving(k, 1, 0)),
    "strides": lambda k: nn.Conv3d(4, 6, k, stride=of_moving(k, 2, 1), bias=False),
    "dilations": lambda k: nn.Conv3d(4, 6, k, dilation=2, padding="same"),
    "groups": lambda k: nn.Conv3d(4, 8, k, groups=4),
    "transposed": lambda k: nn.ConvTranspose3d(4, 3, k, stride=of_moving(k, 2, 1)),
    "output padding": lambda k: nn.ConvTranspose3d(
        4, 3, k, stride=of_moving(k, 2, 1), output_padding=of_moving(k, 1, 0)
    ),
    "maximum": lambda k: nn.MaxPool3d(k, stride=of_moving(k, 2, 1), padding=of_moving(k, 1, 0)),
    "average": lambda k: nn.AvgPool3d(k, padding=of_moving(k, 1, 0), stride=1),
    "average without padding": lambda k: nn.AvgPool3d(
        k, padding=of_moving(k, 1, 0), stride=1, count_include_pad=False
    ),
    "rounded up": lambda k: nn.MaxPool3d(k, stride=of_moving(k, 2, 1), ceil_mode=True),
}


class Volume(nn.Module):  # type: ignore[misc, name-defined]
    """An operator of images with a depth."""

    def __init__(self, part: Any, depth: int) -> None:
        super().__init__()
        self.before, self.part, self.depth = nn.Conv2d(3, 4 * depth, 1), part, depth

    def forward(self, x: Any) -> Any:
        y = self.before(x)
        return self.part(y.unflatten(1, (4, self.depth))).relu().flatten(1, 2)


def converted(part: Any, depth: int) -> None:
    torch.manual_seed(0)
    mpscnn.from_torch(Volume(part, depth).eval(), torch.rand(1, 3, 6, 7))


@pytest.mark.parametrize("kernel", WINDOWS, ids=str)
@pytest.mark.parametrize("name", OPERATORS)
def test_windows_along_two_axes(name: str, kernel: tuple[int, ...]) -> None:
    converted(OPERATORS[name](kernel), 5)


@pytest.mark.parametrize("name", OPERATORS)
def test_images_of_depth_one(name: str) -> None:
    converted(OPERATORS[name]((1, 3, 3)), 1)


@pytest.mark.parametrize(
    ("depth", "padding", "step"), [(3, 1, 1), (5, 2, 1), (3, 2, 2), (2, 0, 1), (4, 1, 1)]
)
def test_windows_that_reach_above_images_of_depth_one(depth: int, padding: int, step: int) -> None:
    """Only one slice of the weights meets the image."""
    before, after = padding, (depth - 1) * step - padding

    def part(y: Any) -> Any:
        return layer(functional.pad(y, (0, 0, 0, 0, before - min(before, after), after - min(before, after))))

    layer = nn.Conv3d(
        4, 6, (depth, 3, 3), padding=(min(before, after), 1, 1), dilation=(step, 1, 1), stride=(2, 1, 1)
    )
    if before == after:
        converted(part, 1)
    else:
        with pytest.raises(mpscnn.UnsupportedError, match="along all axes"):
            converted(part, 1)


@pytest.mark.parametrize("pool", [nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool3d])
@pytest.mark.parametrize("counts", [1, (2, 3, 1), (1, 2, 2)])
def test_adaptive_poolings(pool: Any, counts: Any) -> None:
    converted(pool(counts), 4)


def test_windows_along_all_axes_are_refused() -> None:
    with pytest.raises(
        mpscnn.UnsupportedError, match=r"several elements along all axes .* windows along two"
    ):
        converted(nn.Conv3d(4, 6, 3), 5)


def test_a_volume_is_a_part_of_a_network_of_images() -> None:
    """The factors are those of the module: (2+1)-D convolutions of a video of 4 frames."""
    part = nn.Sequential(nn.Conv3d(4, 5, (1, 3, 3)), nn.BatchNorm3d(5), nn.ReLU(), nn.Conv3d(5, 2, (3, 1, 1)))
    module = Volume(part, 4).eval()
    network = mpscnn.from_torch(module, torch.rand(1, 3, 6, 7))
    x = torch.rand(2, 3, 6, 7)
    with torch.no_grad():
        theirs = module(x).permute(0, 2, 3, 1).numpy()
    ours = network.compile(device="cpu", precision="float32").run(x.permute(0, 2, 3, 1).contiguous().numpy())
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize(
    ("alpha", "beta", "k"), [(1.0, 0.75, 1.0), (1.0, 1.0, 1.0), (2.0, 0.5, 2.0), (1.0, 0.5, 0.0)]
)
def test_local_response_norms_with_settings_that_torch_leaves_out(
    size: int, alpha: float, beta: float, k: float
) -> None:
    """A factor of 1 and a summand of 0 are no nodes of the graph, and an exponent of 0.5 is a square root."""
    module = nn.Sequential(nn.Conv2d(3, 5, 1), nn.LocalResponseNorm(size, alpha, beta, k)).eval()
    mpscnn.from_torch(module, torch.rand(1, 3, 6, 7) + 1.0)
