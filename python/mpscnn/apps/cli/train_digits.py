"""Train for `mpscnn train --digits` with a line for each epoch, and write the model."""

from __future__ import annotations

from pathlib import Path

from mpscnn._private.printable import quote_path
from mpscnn.apps.cli.existing_outputs import require_new
from mpscnn.apps.cli.output import hint, show
from mpscnn.apps.cli.train_options import DIGITS, TrainOptions
from mpscnn.errors import ParameterError
from mpscnn.training import digits
from mpscnn.training.history import Epoch

_INFORMATION = {
    "license": "Apache-2.0",
    "source": "mpscnn train --digits; trained on MNIST (LeCun, Cortes, Burges 1998)",
}


def train_digits(options: TrainOptions) -> None:
    """Train a reader of handwritten digits, write the model, and print its accuracy."""
    assert options.digits is not None
    folder, architecture = Path(options.digits), options.model or "deep_mnist"
    epochs = DIGITS.epochs if options.epochs is None else options.epochs
    if architecture not in digits.DIGIT_NETWORKS:
        raise ParameterError(
            f"--model {architecture}: with --digits it must be {' or '.join(sorted(digits.DIGIT_NETWORKS))}"
        )
    require_new(options.overwrite, options.output)
    if epochs < 1:
        raise ParameterError("--epochs: digits need 1 or more")
    training, test = digits.read_digits(folder, "train"), digits.read_digits(folder, "t10k")

    def show_epoch(epoch: Epoch) -> None:
        show(
            f"epoch {epoch.index} of {epochs}: loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.2%}, "
            f"{epoch.seconds:.1f} s"
        )

    network, result = digits.train_digits(
        training,
        test,
        epochs=epochs,
        batch_size=options.batch_size or DIGITS.batch_size,
        seed=options.seed,
        device=options.device,
        threads=options.threads or "auto",
        architecture=architecture,
        augment=options.augment,
        report=show_epoch,
    )
    labels = [str(digit) for digit in range(10)]
    network.save(options.output, labels=labels, preprocess="mnist", information=_INFORMATION)
    show(f"test images: {result.accuracy:.2%} right of {len(test.labels):,}", f"written: {options.output}")
    hint(f"Try it: mpscnn digits --model {quote_path(options.output)} PHOTO...")
