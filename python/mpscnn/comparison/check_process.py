"""Check a converted file in a separate process: `python -m mpscnn.comparison.check_process FILE --fold`.

It prints the `CheckResult` as JSON.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from mpscnn.comparison.conversion_check import any_size, check_conversion, costs_too_much, differs
from mpscnn.converters import read_network
from mpscnn.converters.isolated_check import FOLD, CheckResult
from mpscnn.errors import Error


def main(file: str, fold: str) -> None:
    """Print the verdict on a file."""
    path = Path(file)
    network = read_network([path], fold=fold == FOLD)
    try:
        found, sentence = check_conversion(network, [path], any_size(network), quick=True)
        result = CheckResult(sentence, differs(found), failed=bool(costs_too_much(network, [path])))
    except Error as error:
        result = CheckResult(
            f"not checked: the network that it was converted to does not run: {error}", failed=True
        )
    print(json.dumps(asdict(result)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
