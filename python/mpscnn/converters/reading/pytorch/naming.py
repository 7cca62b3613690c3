"""Find the modules of torchvision and timm that have the weights of a network's layers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from mpscnn._private.arguments import whole_number_in
from mpscnn.converters.reading.pytorch.state_dict import StateDict
from mpscnn.converters.reading.pytorch.weights import Module
from mpscnn.graph.network import Network

# ---- torchvision ---------------------------------------------------------------------------------------------------


def torchvision_modules(network: Network, _: StateDict) -> dict[str, Module]:
    """Return the module of each layer: layers have the names of torchvision's modules.

    The batch normalization after a layer is the next module of a Sequential, or has a matching name (conv1, bn1).
    """
    return {layer: Module(layer, _neighbour(layer)) for layer in weighted_layers(network)}


def inception_modules(network: Network, _: StateDict) -> dict[str, Module]:
    """Return the module of each layer of Inception, whose blocks have a convolution `conv` and a normalization `bn`."""
    return {
        layer: Module(layer, f"{layer.removesuffix('.conv')}.bn" if layer.endswith(".conv") else "")
        for layer in weighted_layers(network)
    }


def _neighbour(path: str) -> str:
    parent, dot, last = path.rpartition(".")
    if (number := whole_number_in(last)) is not None:
        return f"{parent}{dot}{number + 1}"
    return f"{parent}{dot}bn{last.removeprefix('conv')}" if last.startswith("conv") else ""


# ---- timm ----------------------------------------------------------------------------------------------------------

# For each kind of block: its modules in the order of computation, each with its batch normalization. A kind is
# recognised by its last module.
_TIMM_BLOCKS: tuple[Mapping[str, str], ...] = (
    {"conv_pw": "bn1", "conv_dw": "bn2", "se.conv_reduce": "", "se.conv_expand": "", "conv_pwl": "bn3"},
    {"conv_dw": "bn1", "se.conv_reduce": "", "se.conv_expand": "", "conv_pw": "bn2"},
    {"conv_exp": "bn1", "conv_pwl": "bn2"},
    {"conv": "bn1"},
    {
        "dw_start.conv": "dw_start.bn",
        "pw_exp.conv": "pw_exp.bn",
        "dw_mid.conv": "dw_mid.bn",
        "pw_proj.conv": "pw_proj.bn",
    },
    {
        "norm": "",
        "attn.query.proj": "",
        "attn.key.down_conv": "attn.key.norm",
        "attn.key.proj": "",
        "attn.value.down_conv": "attn.value.norm",
        "attn.value.proj": "",
        "attn.output.proj": "",
    },
)
# In some networks: the weight that multiplies the channels of a block's result.
_TIMM_SCALE = "layer_scale.gamma"
_TIMM_BEFORE = {"conv_stem": "bn1"}
_TIMM_AFTER = ({"conv_head": "bn2", "classifier": ""}, {"conv_head": "norm_head", "classifier": ""})
_BLOCK = re.compile(r"blocks\.(\d{1,3})\.(\d{1,3})\.(.+)\.weight")


def timm_modules(network: Network, state: StateDict) -> dict[str, Module]:
    """Return the module of each layer. Names differ from timm's, so they are matched by the order of computation."""
    after = _TIMM_AFTER["norm_head.weight" in state]
    after = {module: norm for module, norm in after.items() if f"{module}.weight" in state}
    modules = [*_modules("", _TIMM_BEFORE), *_block_modules(state), *_modules("", after)]
    # If the numbers differ, the network is a different one. The check for missing or unused weights then fails.
    return dict(zip(weighted_layers(network), modules, strict=False))


def timm_depths(state: StateDict) -> list[int]:
    """Return the number of blocks of each stage."""
    counts = Counter(stage for stage, _ in _blocks(state))
    return [counts[stage] for stage in sorted(counts)]


def _blocks(state: StateDict) -> dict[tuple[int, int], set[str]]:
    """Return the modules with weights of each block by its stage and number."""
    blocks: dict[tuple[int, int], set[str]] = {}
    for name in state:
        if found := _BLOCK.fullmatch(name):
            blocks.setdefault((int(found[1]), int(found[2])), set()).add(found[3])
    return blocks


def _block_modules(state: StateDict) -> Iterable[Module]:
    for (stage, number), there in sorted(_blocks(state).items()):
        for kind in _TIMM_BLOCKS:
            *_, last = kind
            if last in there and there <= {*kind, *kind.values()}:
                here = {module: norm for module, norm in kind.items() if module in there}
                prefix = f"blocks.{stage}.{number}."
                *modules, projection = _modules(prefix, here)
                yield from modules
                scale = f"{prefix}{_TIMM_SCALE}"
                yield replace(projection, scale=scale) if scale in state else projection


def _modules(prefix: str, modules: Mapping[str, str]) -> Iterable[Module]:
    for path, norm in modules.items():
        yield Module(f"{prefix}{path}", f"{prefix}{norm}" if norm else "")


def weighted_layers(network: Network) -> list[str]:
    """Return the layers with weights in the order of the network."""
    return list(dict.fromkeys(str(spec["layer"]) for spec in network.weight_specs()))
