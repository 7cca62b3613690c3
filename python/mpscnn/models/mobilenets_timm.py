"""Build MobileNets that only timm has: V1, variants of V3, PP-LCNet (Cui et al. 2021) and those for Edge TPUs."""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn.models.mobile_blocks import Block, BlockNetwork, Fused, Inverted, Plain, Separable, Stages
from mpscnn.models.mobilenet import round_channels

_V1: Stages = (
    (Separable(3, 1, 64),),
    (Separable(3, 2, 128), Separable(3, 1, 128)),
    (Separable(3, 2, 256), Separable(3, 1, 256)),
    (Separable(3, 2, 512), *[Separable(3, 1, 512)] * 5),
    (Separable(3, 2, 1024), Separable(3, 1, 1024)),
)
_LCNET: Stages = (
    (Separable(3, 1, 32),),
    (Separable(3, 2, 64), Separable(3, 1, 64)),
    (Separable(3, 2, 128), Separable(3, 1, 128)),
    (Separable(3, 2, 256), Separable(5, 1, 256)),
    (Separable(5, 1, 256),) * 4,
    (Separable(5, 2, 512, squeeze=True), Separable(5, 1, 512, squeeze=True)),
)


def _v3(skips: bool, depths: tuple[tuple[int, ...], ...]) -> Stages:
    """Return V3-Large with other numbers of repetitions.

    Args:
        skips: whether the first stage adds its input.
        depths: the repetitions of the blocks of each stage.
    """
    first = Separable(3, 1, 16, activation="relu", linear=True, skips=skips)
    stages: tuple[tuple[Sequence[Block], ...], ...] = (
        ((first, first),),
        (
            (Inverted(3, 2, 4, 24, activation="relu"),) * 2,
            (Inverted(3, 1, 3, 24, activation="relu"),) * 2,
        ),
        (tuple(Inverted(5, stride, 3, 40, squeeze=True, activation="relu") for stride in (2, 1)),),
        (
            (Inverted(3, 2, 6, 80),) * 2,
            (Inverted(3, 1, 2.5, 80),) * 2,
            (Inverted(3, 1, 2.3, 80),) * 2,
        ),
        ((Inverted(3, 1, 6, 112, squeeze=True),) * 2,),
        (tuple(Inverted(5, stride, 6, 160, squeeze=True) for stride in (2, 1)),),
        ((Plain(1, 1, 960),) * 2,),
    )
    return tuple(
        tuple(
            block
            for (head, rest), depth in zip(stage, repeated, strict=True)
            for block in (head, *[rest] * (depth - 1))
        )
        for stage, repeated in zip(stages, depths, strict=True)
    )


_EDGE_V1: Stages = (
    (Plain(1, 1, 16),),
    (Fused(2, 8, 32), *[Fused(1, 4, 32)] * 3),
    (Fused(2, 8, 48), *[Fused(1, 4, 48)] * 3),
    (Inverted(3, 2, 8, 96), *[Inverted(3, 1, 4, 96)] * 3),
    (Inverted(3, 1, 8, 96, skips=False), *[Inverted(3, 1, 4, 96)] * 3),
    (Inverted(5, 2, 8, 160), *[Inverted(5, 1, 4, 160)] * 3),
    (Inverted(3, 1, 8, 192),),
)


def _edge_v2(channels: tuple[int, ...], group: int) -> Stages:
    """Return the stages of MobileNet EdgeTPU V2.

    Args:
        channels: the channels of the result of each stage.
        group: the channels of each group in the grouped convolutions.
    """
    a, b, c, d, e, f, g = channels
    return (
        (Plain(1, 1, a),),
        (Fused(2, 8, b), Fused(1, 4, b, group)),
        (Fused(2, 8, c), Fused(1, 4, c, group), Fused(1, 4, c), Fused(1, 4, c, group)),
        (Fused(2, 8, d), *[Inverted(3, 1, 4, d)] * 3),
        (Inverted(3, 1, 8, e), *[Inverted(3, 1, 4, e)] * 3),
        (Inverted(3, 2, 8, f), *[Inverted(3, 1, 4, f)] * 3),
        (Inverted(3, 1, 8, g),),
    )


def _edge(name: str, stages: Stages, stem: int, kernel: int = 3, features: int = 1280) -> BlockNetwork:
    return BlockNetwork(name, stages, stem=stem, stem_kernel=kernel, head="before", features=features)


def _v1(name: str, width: float = 1.0, *, head: bool = False) -> BlockNetwork:
    return BlockNetwork(
        name,
        _V1,
        stem=round_channels(32 * width),
        width=width,
        activation="relu6",
        head="before" if head else "none",
        features=1024,
    )


def _lcnet(width: float) -> BlockNetwork:
    name, stem = f"lcnet_{100 * width:03.0f}", round_channels(16 * width)
    return BlockNetwork(name, _LCNET, stem=stem, width=width, activation="hard_swish")


mobilenet_v3_rw = BlockNetwork(
    "mobilenetv3_rw",
    _v3(False, ((1,), (1, 1), (3,), (1, 1, 2), (2,), (3,), (1,))),
    stem=16,
    activation="hard_swish",
    squeeze_activation=None,
)

MOBILENETS_TIMM = (
    _v1("mobilenetv1_100"),
    _v1("mobilenetv1_100h", head=True),
    _v1("mobilenetv1_125", 1.25),
    mobilenet_v3_rw,
    BlockNetwork(
        "mobilenetv3_large_150d",
        _v3(True, ((2,), (1, 2), (4,), (1, 2, 2), (3,), (4,), (2,))),
        stem=24,
        width=1.5,
        activation="hard_swish",
        squeezed=round_channels,
        input_size=256,
    ),
    *(_lcnet(width) for width in (0.35, 0.5, 0.75, 1.0, 1.5)),
    _edge("mobilenet_edgetpu_100", _EDGE_V1, 32),
    _edge("mobilenet_edgetpu_v2_xs", _edge_v2((16, 32, 48, 96, 144, 160, 192), 64), 32),
    _edge("mobilenet_edgetpu_v2_s", _edge_v2((24, 48, 64, 128, 160, 192, 256), 64), 64, 5),
    _edge("mobilenet_edgetpu_v2_m", _edge_v2((32, 64, 80, 160, 192, 240, 320), 64), 64, 5, 1344),
    _edge("mobilenet_edgetpu_v2_l", _edge_v2((32, 64, 96, 192, 240, 256, 384), 128), 64, 7, 1408),
)
