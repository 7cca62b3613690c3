"""`mpscnn explain`."""

from __future__ import annotations

import dataclasses

from mpscnn.apps.cli.arguments import (
    Accumulate,
    AccumulateOption,
    JsonOption,
    ModelArgument,
    Precision,
    PrecisionOption,
    RandomWeightsOption,
    ThreadsOption,
    Weights,
    WeightsOption,
    WinogradOption,
)
from mpscnn.apps.cli.output import hint, show, show_json, table_width
from mpscnn.apps.cli.sizes import SizeOption, sized_subject
from mpscnn.runtime.library import slow_precision


def explain(
    model: ModelArgument,
    threads: ThreadsOption = None,
    size: SizeOption = None,
    precision: PrecisionOption = Precision.auto,
    weights: WeightsOption = Weights.auto,
    accumulate: AccumulateOption = Accumulate.auto,
    winograd: WinogradOption = True,
    random_weights: RandomWeightsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show how the CPU engine computes each layer of a model, and why.

    Neighbouring convolutions may be fused: a band of rows or a panel of channels passes through all of them while
    it is in the L2 cache. A cost model chooses, for this machine's caches and a number of threads. The times are
    estimates of the cost model.

    Example: mpscnn explain mobilenet_v2 --threads 1
    """
    network = sized_subject(model, size, random_weights=random_weights).network
    program = network.compile(
        device="cpu",
        precision=precision.value,
        weights=weights.value,
        accumulate=accumulate.value,
        winograd=winograd,
    )
    explained = program.explain(threads=threads or "auto")
    if as_json:
        show_json(dataclasses.asdict(explained))
    else:
        show(*explained.table(width=table_width()).split("\n"))
        if reason := slow_precision(precision.value, "cpu"):
            hint(reason)
