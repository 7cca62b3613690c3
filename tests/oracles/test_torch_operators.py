"""Convert operators of torch for inference and for training, and compare them with torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from agreement import computed
from oracles.torchvision_models import assert_close

import mpscnn

torch = pytest.importorskip("torch", reason="torch is not installed")

nn, functional = torch.nn, torch.nn.functional


class Function(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x)


IMAGES: dict[str, Callable[[Any], Any] | Any] = {
    # parts
    "split into sizes": lambda x: torch.cat(torch.split(x, [2, 4], 1)[::-1], 1),
    "split by size": lambda x: torch.split(x, 4, 1)[1],
    "split of rows": lambda x: torch.split(x, 3, 2)[2],
    "chunk": lambda x: torch.chunk(x, 2, 1)[0] * torch.sigmoid(torch.chunk(x, 2, 1)[1]),
    "chunk with a rest": lambda x: torch.chunk(x, 4, 1)[2],
    "tensor_split": lambda x: torch.tensor_split(x, 4, 1)[1],
    "unbind": lambda x: x.unbind(1)[2][:, None] + x,
    "unbind of all": lambda x: torch.stack(x.unbind(1)[::-1], 1),
    "select": lambda x: x.select(1, 2)[:, None],
    "narrow": lambda x: x.narrow(2, 1, 4),
    "slice": lambda x: x[:, 1:5:2, ::2],
    "index_select": lambda x: x.index_select(1, torch.tensor([3, 0, 3])),
    "lists of places": lambda x: x[:, [2, 0, 0, -1]],
    "stack": lambda x: torch.stack([x, x * 2], 1).flatten(1, 2),
    "cat": lambda x: torch.cat([x, x.flip(1)], 1),
    "flip": lambda x: x.flip(2),
    "roll": lambda x: x.roll(2, 3),
    "repeat": lambda x: x.repeat(1, 2, 1, 1),
    "expand": lambda x: x[:, :1].expand(-1, 4, -1, -1) * 2,
    "repeat_interleave": lambda x: x.repeat_interleave(2, 1),
    "glu": nn.GLU(1),
    # moves
    "permute": lambda x: x.permute(0, 2, 3, 1),
    "transpose": lambda x: x.transpose(2, 3),
    "flatten": lambda x: x.flatten(1),
    "unflatten": lambda x: x.unflatten(1, (2, 3)).transpose(1, 2).flatten(1, 2),
    "reshape": lambda x: x.reshape(x.shape[0], 3, 2, 8, 8).sum(2),
    "squeeze": lambda x: x.mean(1, keepdim=True).squeeze(1)[:, None],
    "pixel_shuffle": lambda x: functional.pixel_shuffle(torch.cat([x, x[:, :2]], 1), 2),
    "pixel_unshuffle": nn.PixelUnshuffle(2),
    "channel_shuffle": nn.ChannelShuffle(3),
    "pad": lambda x: functional.pad(x, (1, 2, 0, 3), value=0.5),
    "pad of channels": lambda x: functional.pad(x, (0, 0, 0, 0, 1, 2)),
    "pad by reflection": nn.ReflectionPad2d(2),
    "pad by repetition": nn.ReplicationPad2d((1, 0, 2, 1)),
    "crop": lambda x: functional.pad(x, (-1, -1, -2, 0)),
    # windows
    "conv2d": nn.Conv2d(6, 4, 3, stride=2, padding=1),
    "conv2d, same": nn.Conv2d(6, 4, (3, 4), padding="same"),
    "conv2d, dilated groups": nn.Conv2d(6, 6, 3, dilation=2, groups=3, bias=False),
    "conv_transpose2d": nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1, output_padding=1),
    "max_pool2d": nn.MaxPool2d(3, 2, 1),
    "max_pool2d, ceil": nn.MaxPool2d(3, 2, ceil_mode=True),
    "avg_pool2d": nn.AvgPool2d(2),
    "avg_pool2d, padded": nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "lp_pool2d": nn.LPPool2d(2, 2),
    "adaptive_avg_pool2d": nn.AdaptiveAvgPool2d((3, 5)),
    "adaptive_max_pool2d": nn.AdaptiveMaxPool2d(1),
    "interpolate, nearest": lambda x: functional.interpolate(x, scale_factor=2),
    "interpolate, bilinear": lambda x: functional.interpolate(x, (5, 11), mode="bilinear"),
    "interpolate, corners": lambda x: functional.interpolate(x, (5, 11), mode="bilinear", align_corners=True),
    "interpolate, averages": lambda x: functional.interpolate(x, (5, 11), mode="bilinear", antialias=True),
    "interpolate, cubic averages": lambda x: functional.interpolate(
        x, (5, 11), mode="bicubic", antialias=True
    ),
    "interpolate to 1 x 1": lambda x: functional.interpolate(x, (1, 1), mode="bilinear"),
    "interpolate, exact": nn.Upsample(size=(11, 7), mode="nearest-exact"),
    # normalizations
    "batch_norm": nn.BatchNorm2d(6),
    "group_norm": nn.GroupNorm(2, 6),
    "instance_norm": nn.InstanceNorm2d(6, affine=True),
    "layer_norm": nn.LayerNorm([6, 8, 8]),
    "rms_norm": nn.RMSNorm(8),
    "local_response_norm": nn.LocalResponseNorm(3, alpha=0.3, beta=0.6, k=1.5),
    "normalize": lambda x: functional.normalize(x, dim=1),
    "softmax": nn.Softmax(1),
    "log_softmax": nn.LogSoftmax(1),
    "softmin": nn.Softmin(1),
    # functions
    **{
        name: getattr(nn, name)()
        for name in (
            *("CELU", "ELU", "GELU", "Hardsigmoid", "Hardswish", "Hardtanh", "Identity", "LeakyReLU"),
            *("LogSigmoid", "Mish", "PReLU", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softplus"),
            *("Softsign", "Tanh", "Tanhshrink"),
        )
    },
    "gelu, tanh": nn.GELU("tanh"),
    "prelu, per channel": nn.PReLU(6),
    **{
        name: getattr(torch, name) for name in ("abs", "ceil", "erf", "exp", "floor", "neg", "sign", "square")
    },
    "sqrt": lambda x: torch.sqrt(x.abs() + 0.1),
    "rsqrt": lambda x: torch.rsqrt(x.abs() + 0.1),
    "reciprocal": lambda x: torch.reciprocal(x.abs() + 0.5),
    "log": lambda x: torch.log(x.abs() + 0.1),
    "log1p": lambda x: torch.log1p(x.abs()),
    "expm1": torch.expm1,
    "pow": lambda x: x.abs() ** 1.5,
    "clamp": lambda x: x.clamp(-0.3, 0.4),
    # arithmetic
    "add": lambda x: x + x.mean((2, 3), keepdim=True),
    "sub": lambda x: 1.5 - x,
    "mul": lambda x: x * torch.sigmoid(x.mean(1, keepdim=True)),
    "div": lambda x: x / (x.abs() + 0.5),
    "addcmul": lambda x: torch.addcmul(x, x, x, value=0.3),
    "lerp": lambda x: torch.lerp(x, x * x, 0.3),
    "maximum": lambda x: torch.maximum(x, x.flip(1)),
    "minimum": lambda x: torch.minimum(x, x.flip(1)),
    "where": lambda x: torch.where(x > 0.1, x, x * 0.2),
    "masked_fill": lambda x: x.masked_fill(x < 0, 0.5),
    # reductions
    "mean": lambda x: x.mean((2, 3)),
    "sum": lambda x: x.sum(1, keepdim=True),
    "sum of truth values": lambda x: (x > 0).sum((2, 3)) * x.mean((2, 3)),
    "amax": lambda x: x.amax((2, 3), keepdim=True),
    "amin": lambda x: x.amin(1, keepdim=True),
    "prod": lambda x: x.prod(1, keepdim=True),
    "var": lambda x: x.var(1, keepdim=True),
    "std": lambda x: x.std((2, 3)),
    "norm": lambda x: torch.linalg.vector_norm(x, dim=1, keepdim=True),
    "logsumexp": lambda x: x.logsumexp(1, keepdim=True),
    "argmax": lambda x: x.argmax(1),
    "remainder": lambda x: torch.remainder(x, 0.7) + torch.remainder(x, -0.3),
    "remainder of tensors": lambda x: torch.remainder(x, x.flip(1) + 3),
    "remainder of multiples": lambda x: torch.remainder((x * 20).round() * 0.1, 0.1),
    "fmod": lambda x: torch.fmod(x, 0.7),
    "atan2": lambda x: torch.atan2(x.relu() - x.flip(1).relu(), x.round()),
    "quotient, truncated": lambda x: torch.div((x * 20).round() * 0.1, -0.1, rounding_mode="trunc"),
    "quotient, floor": lambda x: torch.div((x * 20).round() * 0.1, 0.1, rounding_mode="floor"),
    "floor_divide": lambda x: x // 0.7 + torch.floor_divide(x, x.flip(1) + 3),
    "nan_to_num": lambda x: torch.nan_to_num(x / x.relu()) * 1e-38,
    "nan_to_num, numbers": lambda x: torch.nan_to_num(torch.log(x), 3.0, -1.0, -2.0),
    # blocks
    "fold": lambda x: functional.fold(
        functional.unfold(x, 3, stride=2, padding=1), (8, 8), 3, stride=2, padding=1
    ),
    "fold, overlapping": lambda x: functional.fold(functional.unfold(x, (2, 3)), (8, 8), (2, 3)),
    "windows of an axis": lambda x: x.unfold(2, 3, 2).unfold(3, 4, 1).flatten(4).mean(-1),
    "max_unpool": lambda x: functional.max_unpool2d(*functional.max_pool2d(x, 2, return_indices=True), 2),
    # products
    "einsum": lambda x: torch.einsum("bchw,bdhw->bcd", x, x),
    "bmm": lambda x: torch.bmm(x.flatten(2), x.flatten(2).transpose(1, 2)),
}
ROWS: dict[str, Any] = {
    "linear": nn.Linear(8, 4),
    "attention": nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
    # torch exports this function only for inputs of four axes.
    "scaled_dot_product_attention": lambda x: functional.scaled_dot_product_attention(*(x[:, None],) * 3)[
        :, 0
    ],
    "matmul": lambda x: x @ x.transpose(1, 2),
    "layer_norm": nn.LayerNorm(8),
    "conv1d": nn.Sequential(nn.Conv1d(9, 4, 3, padding=1), nn.ReLU()),
    "max_pool1d": nn.Sequential(nn.Conv1d(9, 4, 3), nn.MaxPool1d(2)),
    "batch_norm of rows": nn.Sequential(nn.Conv1d(9, 4, 3), nn.BatchNorm1d(4)),
    "split of features": lambda x: torch.cat(x.split(3, -1)[::-1], -1),
    "chunk of rows": lambda x: x.chunk(3, 1)[1],
    "unbind of rows": lambda x: x.unbind(1)[0],
    "glu of features": nn.GLU(-1),
    "mean of rows": lambda x: x.mean(1),
}
#: Forms of operators that the tests of Core ML's files do without.
FORMS: dict[str, Any] = {
    "conv1d of images": lambda x: functional.conv1d(x.flatten(2), WEIGHT[:, :, :, 0], padding=1),
    "conv_transpose2d, groups": nn.ConvTranspose2d(6, 6, 3, 2, 1, 1, groups=3),
    "avg_pool1d": lambda x: functional.avg_pool1d(x.flatten(2), 4),
    "adaptive_avg_pool1d": lambda x: functional.adaptive_avg_pool1d(x.flatten(2), 8),
    "interpolate, by a factor": lambda x: functional.interpolate(x, scale_factor=1.5, mode="bilinear"),
    "interpolate, linear": lambda x: functional.interpolate(x.flatten(2), 77, mode="linear"),
    "linear of rows": lambda x: functional.linear(x, WEIGHT[0, :4].flatten(1)[:, :8]),
    "attention, causal": lambda x: functional.scaled_dot_product_attention(x, x + 1, x * 2, is_causal=True),
    "attention, masked": lambda x: functional.scaled_dot_product_attention(x, x, x, torch.eye(8)),
    **{
        name: getattr(torch, name)
        for name in ("sin", "cos", "tan", "atan", "sinh", "cosh", "asinh", "erfc", "exp2")
    },
    "asin and acos": lambda x: torch.asin(x / 2) + 3 * torch.acos(x / 2),
    "acosh": lambda x: torch.acosh(x.abs() + 1),
    "atanh": lambda x: torch.atanh(x / 2.1),
    "fmax": lambda x: torch.fmax(x, torch.sqrt(x)),
    "fmin": lambda x: torch.fmin(torch.sqrt(x), x),
    "isinf": lambda x: torch.isinf(1 / torch.floor(x)).float(),
    "isnan": lambda x: torch.isnan(torch.sqrt(x)).float(),
    "tril and triu": lambda x: torch.log(x.relu()).tril(1).exp() + torch.log(x.relu()).triu(-1).exp(),
    "cosine_similarity": lambda x: functional.cosine_similarity(x, x.flip(1), dim=1),
    "roll of two axes": lambda x: x.roll((2, -3), (2, 3)),
    "expand of a new axis": lambda x: x.unsqueeze(2).expand(-1, -1, 3, -1, -1).flatten(1, 2),
    "round": torch.round,
    "add, alpha": lambda x: torch.add(x, x.flip(1), alpha=3),
    "pow of a number": lambda x: x**2 + 2**x,
    "max of an axis": lambda x: x.max(2).values + x.min(3, keepdim=True).values.squeeze(3),
    "where, a number": lambda x: torch.where(x <= x.flip(1), 1.0, x),
    "zeros_like": lambda x: x + torch.zeros_like(x).add_(2.0),
    "std, correction": lambda x: x.std(dim=(1, 2), correction=0) + torch.linalg.vector_norm(x, 1, (1, 2)),
}
WEIGHT = torch.rand(6, 6, 3, 3, generator=torch.Generator().manual_seed(2)) - 0.5
CASES = {**{name: (made, (2, 6, 8, 8)) for name, made in IMAGES.items()}} | {
    f"{name} (rows)": (made, (2, 9, 8)) for name, made in ROWS.items()
}
ALL = CASES | {name: (made, (2, 6, 8, 8)) for name, made in FORMS.items()}


@pytest.mark.parametrize(
    "fold", [pytest.param(True, id="inference"), pytest.param(False, id="training", marks=pytest.mark.full)]
)
@pytest.mark.parametrize("name", ALL)
def test_operators(name: str, fold: bool) -> None:
    made, shape = ALL[name]
    torch.manual_seed(1)
    module = (made if isinstance(made, nn.Module) else Function(made)).eval()
    x = torch.rand(shape) * 4.0 - 2.0
    network = mpscnn.from_torch(module, x[:1], fold=fold)
    with torch.no_grad():
        expected = module(x)
    array = expected.numpy()
    images = x.numpy().transpose(0, 2, 3, 1) if x.ndim == 4 else x.numpy()
    if len(network.inputs[0].shape) == 4 and x.ndim == 3:
        images = x.numpy().transpose(0, 2, 1)[:, None]
    found = computed(network, np.ascontiguousarray(images))
    channels_first = array.ndim == 4 and name != "permute"
    assert_close(found, array.transpose(0, 2, 3, 1) if channels_first else array.reshape(found.shape))
