"""Write the model file of the bundled digit network from the folder that deep_mnist.py filled.

    python training/export_digits.py --input DIR [--output FILE]

Needs mpscnn and numpy, not PyTorch.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mpscnn.models import deep_mnist

BUNDLED = "python/mpscnn/models/data/digits.safetensors"
INFORMATION = {
    "license": "Apache-2.0",
    "source": "training/deep_mnist.py of the mpscnn project; trained on MNIST (LeCun, Cortes, Burges 1998)",
    "description": "Network of LeNet's size for single handwritten digits",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input", type=Path, required=True, help="folder with the folder lenet")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / BUNDLED)
    options = parser.parse_args()
    net = deep_mnist(options.input / "lenet", channels=(16, 32), hidden=128, name="digits")
    labels = [str(digit) for digit in range(10)]
    net.save(options.output, labels=labels, preprocess="mnist", information=INFORMATION)
    print(f"{options.output}: {options.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
