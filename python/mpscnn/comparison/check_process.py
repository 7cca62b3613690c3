"""Check a converted file in a separate process: `python -m mpscnn.comparison.check_process FILE --fold`.

It prints the `CheckResult` as JSON.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import asdict
from pathlib import Path

from mpscnn.comparison.conversion_check import any_size, check_conversion, differs
from mpscnn.converters import read_network
from mpscnn.converters.file_bytes import total_size
from mpscnn.converters.formats import model_files
from mpscnn.converters.isolated_check import FOLD, CheckResult
from mpscnn.errors import Error
from mpscnn.graph.network import Network

#: The numbers that all layers may compute, and their operations, for a file of any size and for each of its bytes. A
#: few bytes can describe a run that takes hours.
_FREE_NUMBERS, _NUMBERS_PER_BYTE = 48_000_000, 40
_FREE_OPERATIONS, _OPERATIONS_PER_BYTE = 4_000_000_000, 1_000
#: Products of weights are computed faster than other operations by about this factor.
_SPEED_OF_PRODUCTS = 16


def main(file: str, fold: str) -> None:
    """Print the verdict on a file."""
    path = Path(file)
    network = read_network([path], fold=fold == FOLD)
    try:
        if reason := costs_too_much(network, total_size(model_files(path))):
            result = CheckResult(f"not checked: {reason}", failed=True)
        else:
            found, sentence = check_conversion(network, [path], any_size(network), quick=True)
            result = CheckResult(sentence, differs(found))
    except Error as error:
        result = CheckResult(
            f"not checked: the network that it was converted to does not run: {error}", failed=True
        )
    print(json.dumps(asdict(result)), flush=True)


def costs_too_much(network: Network, size: int) -> str:
    """Return why a run for one image costs much more than a file of `size` bytes should; "" if it does not."""
    try:
        layers = network.describe(any_size(network))["layers"]
    except Error:
        return ""  # the network leaves another extent free than those of an image
    numbers = sum(math.prod(layer["output"]) for layer in layers)
    operations = sum(layer["flops"] // (_SPEED_OF_PRODUCTS if layer["macs"] else 1) for layer in layers)
    if numbers > _FREE_NUMBERS + _NUMBERS_PER_BYTE * size:
        return f"its layers compute {numbers:,} numbers, which is much for a file of {size:,} bytes"
    if operations > _FREE_OPERATIONS + _OPERATIONS_PER_BYTE * size:
        return f"its layers take {operations:,} operations, which is much for a file of {size:,} bytes"
    return ""


if __name__ == "__main__":
    main(*sys.argv[1:])
