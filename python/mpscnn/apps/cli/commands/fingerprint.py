"""The command `mpscnn fingerprint`."""

from __future__ import annotations

from mpscnn._private.summary import text_table
from mpscnn.apps.cli.arguments import AUTO_DEVICE, CpuDeviceOption, JsonOption, ModelArgument
from mpscnn.apps.cli.output import sentences, show, show_json, table_width
from mpscnn.apps.cli.sizes import RandomWeightsOption, SizeOption, open_with_size
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.runtime.library import precisions_of
from mpscnn.runtime.slow_precision import on_trial


def fingerprint(
    model: ModelArgument,
    device: CpuDeviceOption = AUTO_DEVICE,
    size: SizeOption = None,
    random_weights: RandomWeightsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print a hash of a model's answers to fixed inputs, for each precision.

    The same hash means the same bits. In float32 and float16, all processors with FMA give the same hash, for any
    number of threads.

    Example: mpscnn fingerprint cifar10_mobilenet_v2
    """
    network = open_with_size(model, size, random_weights=random_weights).network
    chosen = "cpu" if device == AUTO_DEVICE else device
    found: dict[str, str] = {}
    refused: dict[str, str] = {}
    for precision in precisions_of(chosen):
        try:
            with on_trial():
                found[precision] = network.compile(device=chosen, precision=precision).fingerprint()
        except (
            UnsupportedError,
            WeightsError,
        ) as error:  # the device lacks an operation or a number in this precision
            if precision == "float32":
                raise
            refused[precision] = str(error)
    if as_json:
        show_json({"model": network.name, "device": chosen, "fingerprints": found, "refused": refused})
        return
    table = text_table(("precision", "fingerprint"), [*found.items()], width=table_width())
    reasons = (f"{precision}: {reason}" for precision, reason in refused.items())
    show(*table.split("\n"), *sentences(*reasons))
