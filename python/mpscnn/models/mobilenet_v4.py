"""Build MobileNet V4 (Qin et al. 2024), convolutional and with attention, of timm."""

from __future__ import annotations

from mpscnn.models.mobile_blocks import Attention, BlockNetwork, Fused, Plain, Stages, Universal

_LAST = (Plain(1, 1, 960),)

_SMALL: Stages = (
    (Plain(3, 2, 32), Plain(1, 1, 32)),
    (Plain(3, 2, 96), Plain(1, 1, 64)),
    (Universal(5, 5, 2, 3, 96), *[Universal(0, 3, 1, 2, 96)] * 4, Universal(3, 0, 1, 4, 96)),
    (
        Universal(3, 3, 2, 6, 128),
        Universal(5, 5, 1, 4, 128),
        Universal(0, 5, 1, 4, 128),
        Universal(0, 5, 1, 3, 128),
        *[Universal(0, 3, 1, 4, 128)] * 2,
    ),
    _LAST,
)
_MEDIUM: Stages = (
    (Fused(2, 4, 48),),
    (Universal(3, 5, 2, 4, 80), Universal(3, 3, 1, 2, 80)),
    (
        Universal(3, 5, 2, 6, 160),
        *[Universal(3, 3, 1, 4, 160)] * 2,
        Universal(3, 5, 1, 4, 160),
        Universal(3, 3, 1, 4, 160),
        Universal(3, 0, 1, 4, 160),
        Universal(0, 0, 1, 2, 160),
        Universal(3, 0, 1, 4, 160),
    ),
    (
        Universal(5, 5, 2, 6, 256),
        Universal(5, 5, 1, 4, 256),
        *[Universal(3, 5, 1, 4, 256)] * 2,
        Universal(0, 0, 1, 4, 256),
        Universal(3, 0, 1, 4, 256),
        Universal(3, 5, 1, 2, 256),
        Universal(5, 5, 1, 4, 256),
        *[Universal(0, 0, 1, 4, 256)] * 2,
        Universal(5, 0, 1, 2, 256),
    ),
    _LAST,
)
_LARGE: Stages = (
    (Fused(2, 4, 48),),
    (Universal(3, 5, 2, 4, 96), Universal(3, 3, 1, 4, 96)),
    (
        Universal(3, 5, 2, 4, 192),
        *[Universal(3, 3, 1, 4, 192)] * 3,
        Universal(3, 5, 1, 4, 192),
        *[Universal(5, 3, 1, 4, 192)] * 5,
        Universal(3, 0, 1, 4, 192),
    ),
    (
        Universal(5, 5, 2, 4, 512),
        *[Universal(5, 5, 1, 4, 512)] * 3,
        Universal(5, 0, 1, 4, 512),
        Universal(5, 3, 1, 4, 512),
        *[Universal(5, 0, 1, 4, 512)] * 2,
        Universal(5, 3, 1, 4, 512),
        Universal(5, 5, 1, 4, 512),
        *[Universal(5, 0, 1, 4, 512)] * 3,
    ),
    _LAST,
)

_FINE, _COARSE = Attention(4, 64, 2), Attention(4, 64)
_HYBRID_MEDIUM: Stages = (
    (Fused(2, 4, 48),),
    (Universal(3, 5, 2, 4, 80), Universal(3, 3, 1, 2, 80)),
    (
        Universal(3, 5, 2, 6, 160),
        Universal(0, 0, 1, 2, 160),
        Universal(3, 3, 1, 4, 160),
        Universal(3, 5, 1, 4, 160),
        _FINE,
        Universal(3, 3, 1, 4, 160),
        _FINE,
        Universal(3, 0, 1, 4, 160),
        _FINE,
        Universal(3, 3, 1, 4, 160),
        _FINE,
        Universal(3, 0, 1, 4, 160),
    ),
    (
        Universal(5, 5, 2, 6, 256),
        Universal(5, 5, 1, 4, 256),
        *[Universal(3, 5, 1, 4, 256)] * 2,
        Universal(0, 0, 1, 2, 256),
        Universal(3, 5, 1, 2, 256),
        Universal(0, 0, 1, 2, 256),
        Universal(0, 0, 1, 4, 256),
        _COARSE,
        Universal(3, 0, 1, 4, 256),
        _COARSE,
        Universal(5, 5, 1, 4, 256),
        _COARSE,
        Universal(5, 0, 1, 4, 256),
        _COARSE,
        Universal(5, 0, 1, 4, 256),
    ),
    _LAST,
)
_HYBRID_LARGE: Stages = (
    (Fused(2, 4, 48),),
    (Universal(3, 5, 2, 4, 96), Universal(3, 3, 1, 4, 96)),
    (
        Universal(3, 5, 2, 4, 192),
        *[Universal(3, 3, 1, 4, 192)] * 3,
        Universal(3, 5, 1, 4, 192),
        *[Universal(5, 3, 1, 4, 192)] * 2,
        *(Attention(8, 48, 2), Universal(5, 3, 1, 4, 192)) * 3,
        Attention(8, 48, 2),
        Universal(3, 0, 1, 4, 192),
    ),
    (
        Universal(5, 5, 2, 4, 512),
        *[Universal(5, 5, 1, 4, 512)] * 3,
        Universal(5, 0, 1, 4, 512),
        Universal(5, 3, 1, 4, 512),
        *[Universal(5, 0, 1, 4, 512)] * 2,
        Universal(5, 3, 1, 4, 512),
        Universal(5, 5, 1, 4, 512),
        *(Attention(8, 64), Universal(5, 0, 1, 4, 512)) * 4,
    ),
    _LAST,
)


mobilenet_v4_conv_small = BlockNetwork("mobilenetv4_conv_small", _SMALL)
mobilenet_v4_conv_medium = BlockNetwork("mobilenetv4_conv_medium", _MEDIUM)
mobilenet_v4_conv_large = BlockNetwork("mobilenetv4_conv_large", _LARGE, stem=24, input_size=384)
mobilenet_v4_hybrid_medium = BlockNetwork("mobilenetv4_hybrid_medium", _HYBRID_MEDIUM, input_size=256)
mobilenet_v4_hybrid_large = BlockNetwork(
    "mobilenetv4_hybrid_large", _HYBRID_LARGE, stem=24, activation="gelu", input_size=384
)

MOBILENETS_V4 = (
    mobilenet_v4_conv_small,
    mobilenet_v4_conv_medium,
    mobilenet_v4_conv_large,
    BlockNetwork("mobilenetv4_conv_small_050", _SMALL, width=0.5),
    BlockNetwork("mobilenetv4_conv_small_035", _SMALL, width=0.35),
    mobilenet_v4_hybrid_medium,
    mobilenet_v4_hybrid_large,
    BlockNetwork("mobilenetv4_hybrid_medium_075", _HYBRID_MEDIUM, width=0.75),
    BlockNetwork(
        "mobilenetv4_hybrid_large_075",
        _HYBRID_LARGE,
        stem=24,
        width=0.75,
        activation="gelu",
        input_size=256,
    ),
)
