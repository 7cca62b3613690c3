"""The command `mpscnn explain`."""

from __future__ import annotations

import dataclasses

from mpscnn.apps.cli.arguments import JsonOption, ModelArgument
from mpscnn.apps.cli.option_groups import RUN, add_options
from mpscnn.apps.cli.output import show, show_json, table_width
from mpscnn.apps.cli.sizes import RandomWeightsOption, SizeOption, open_with_size
from mpscnn.runtime.options import CompileOptions, RunOptions

_PROGRAM = CompileOptions(device="cpu")


@add_options(without=("device", "check_finite"))
def explain(
    model: ModelArgument,
    size: SizeOption = None,
    program: CompileOptions = _PROGRAM,
    runs: RunOptions = RUN,
    random_weights: RandomWeightsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show how the CPU engine computes each layer of a model, and why.

    Neighbouring convolutions may be fused: a band of rows or a panel of channels passes through all of them while it is
    in the L2 cache. A cost model decides this for this machine's caches and a number of threads. The printed times are
    estimates of the cost model.

    Example: mpscnn explain mobilenet_v2 --threads 1
    """
    network = open_with_size(model, size, random_weights=random_weights).network
    explained = network.compile(**program.to_dict()).explain(threads=runs.threads)
    if as_json:
        show_json(dataclasses.asdict(explained))
    else:
        show(*explained.table(width=table_width()).split("\n"))
