"""List modules that mix the images of a batch, and modules that compute each image by itself."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

nn = torch.nn


class Applied(nn.Module):  # type: ignore[misc, name-defined]
    """A function of the results of a convolution, in a module of its own."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.mix, self.function = nn.Conv2d(3, 4, 1, bias=False), function

    def forward(self, x: Any) -> Any:
        return self.function(self.mix(x))


#: Functions of a batch, by the operation that mixes its images.
MIXING = {
    "max": lambda x: x / x.max(),
    "linalg_vector_norm": lambda x: x / x.norm(),
    "mean": lambda x: x - x.mean(0, keepdim=True),
    "sum": lambda x: x.sum(),
    "var": lambda x: x / (1.0 + x.var(0, unbiased=False)),
    "softmax": lambda x: x.softmax(0),
    "logsumexp": lambda x: x - x.logsumexp(0),
    "cumsum": lambda x: x.cumsum(0),
    "prod": lambda x: x * x.prod(0),
    "matmul": lambda x: x.flatten(1) @ x.flatten(1).T,
    "flip": lambda x: x.flip(0),
    "roll": lambda x: x.roll(1, 0),
    "sort": lambda x: x.sort(0)[0],
    "topk": lambda x: x.topk(1, 0)[0],
    "index": lambda x: x[torch.arange(x.shape[0] - 1, -1, -1)],
    "select": lambda x: x[0],
    "slice": lambda x: x[:1],
    "gather": lambda x: torch.gather(x, 0, torch.zeros_like(x, dtype=torch.long)),
    "softmax of a view": lambda x: x.view(1, -1).softmax(1).view_as(x),
    "softmax of moved axes": lambda x: x.permute(1, 0, 2, 3).softmax(1).permute(1, 0, 2, 3),
}
#: Limits and conditions hide what these do, unless the numbers are large or small.
HIDDEN = {
    "max": lambda x: x / x.max().clamp(min=100.0),
    "linalg_vector_norm": lambda x: x / x.norm().clamp(min=1e3),
    "mean": lambda x: x + x.mean(0, keepdim=True).clamp(min=90.0),
    "linalg_vector_norm of small images": lambda x: x / x.norm().clamp(max=0.5),
}
#: Functions that compute something else for batches above three, by the condition.
BRANCHES = {
    "above 3": lambda x: x * 2.0 if x.shape[0] > 3 else x,
    "below 12": lambda x: x * (1.0 if x.shape[0] < 12 else 2.0),
    "equal": lambda x: -x if x.shape[0] == 7 else x,
    "multiple": lambda x: x if x.size(0) % 5 else -x,
    "elements": lambda x: x * 2.0 if x.numel() > 300 else x,
    "plain number": lambda x: x * 2.0 if int(x.shape[0]) > 8 else x,
    "length": lambda x: x * 2.0 if len(x) >= 4 else x,
    "first ones": lambda x: x[:5],
    "first part": lambda x: x.split(4)[0],
    "smaller": lambda x: torch.narrow(x, 0, 0, min(6, x.shape[0])),
}
#: These change only the number of results, so no operation is named.
UNNAMED = {
    "cat": lambda x: torch.cat([x, x]),
    "repeat": lambda x: x.repeat(2, 1, 1, 1),
    "number of images": lambda x: x / x.shape[0],
}

#: These compute each image by itself.
SEPARATE = {
    "maximum of each image": lambda x: x / x.amax((1, 2, 3), keepdim=True),
    "squeezed": lambda x: x.mean((2, 3)).squeeze(),
    "flat": lambda x: x.flatten(1).softmax(1),
    "moved and back": lambda x: x.permute(1, 0, 2, 3).relu().permute(1, 0, 2, 3),
    "normalized": lambda x: nn.functional.instance_norm(x),
    "large numbers": lambda x: x / x.amax((1, 2, 3), keepdim=True).clamp(min=100.0),
    "overflowing": lambda x: x.exp(),
    "batch of one only": lambda x: x.reshape(1, 40) * 2.0,
}
