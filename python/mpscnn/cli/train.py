"""`mpscnn train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpscnn.cli.arguments import AUTO_DEVICE, DeviceOption, ThreadsOption
from mpscnn.cli.output import hint, show
from mpscnn.training.trainer import Epoch


def train(
    digits: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Folder with the four IDX files of MNIST, plain or gzipped."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.safetensors", help="Where to write the model.")
    ] = Path("digits.safetensors"),
    epochs: Annotated[int, typer.Option(min=1, metavar="N", help="Passes over the training images.")] = 10,
    batch_size: Annotated[int, typer.Option(min=1, metavar="N", help="Images of a step.")] = 64,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="Of weights, order and dropout: the same, the same file.")
    ] = 0,
    device: DeviceOption = AUTO_DEVICE,
    threads: ThreadsOption = None,
) -> None:
    """Train Deep MNIST, the network of the article, on images of handwritten digits.

    Prints loss and accuracy of each epoch, then the accuracy on the test images, which training has not seen.

    Example: mpscnn train --digits mnist/ --output mine.safetensors
    """
    from mpscnn.training.digits import read_digits, train_digits

    training, test = read_digits(digits, "train"), read_digits(digits, "t10k")

    def report(epoch: Epoch) -> None:
        show(
            f"epoch {epoch.index} of {epochs}: loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.2%}, "
            f"{epoch.seconds:.1f} s"
        )

    network, result = train_digits(
        training,
        test,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        device=device,
        threads=threads or "auto",
        report=report,
    )
    network.save(output, labels=[str(digit) for digit in range(10)], preprocess="mnist")
    show(f"test images: {result.accuracy:.2%} right of {len(test.labels):,}", f"written: {output}")
    hint(f"Try it: mpscnn digits --model {output} PHOTO...")
