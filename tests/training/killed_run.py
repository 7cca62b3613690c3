"""Train with checkpoints in a process that tests kill: python killed_run.py CHECKPOINT RESULT."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import mpscnn
from mpscnn.training.batches import EpochData

EPOCHS = 8


class Noisy(EpochData):
    """Data that differ in each epoch. Each batch prints a line on stdout."""

    def __len__(self) -> int:
        return 48

    def batches(
        self, size: int, *, epoch: int | None = None, first: int = 0
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """Yield the batches of an epoch; see `EpochData`."""
        random = np.random.default_rng([5, 0 if epoch is None else epoch])
        labels = random.integers(0, 3, len(self))
        inputs = random.normal(0, 1, (len(self), 8, 8, 1)).astype(np.float32) + labels[:, None, None, None]
        for begin in range(first * size, len(self), size):
            print("batch", flush=True)
            yield inputs[begin : begin + size], labels[begin : begin + size]


def network() -> mpscnn.Network:
    """Return a small network with dropout and batch normalization, whose states are part of a checkpoint."""
    net = mpscnn.Network(input=(8, 8, 1), name="killed")
    x = net.batch_norm(net.conv2d(net.input, 4, 3, name="conv"), name="norm")
    x = net.dropout(net.dense(net.activation(x, "relu"), 8, name="hidden"), 0.3, name="drop")
    net.output(net.softmax(net.dense(x, 3, name="classes")))
    net.initialize_weights(seed=1)
    return net


def main() -> None:
    checkpoint, result = map(Path, sys.argv[1:])
    optimizer = mpscnn.Adam(1e-3)
    if checkpoint.exists():
        trainer = mpscnn.Trainer.resume(checkpoint, optimizer=optimizer)
    else:
        trainer = mpscnn.Trainer(network(), optimizer=optimizer, seed=2, threads=1)
    for _ in trainer.iter_epochs(Noisy(), epochs=EPOCHS, batch_size=8):
        print("epoch", flush=True)
        trainer.save(checkpoint)
    trainer.network.save(result, dtype="float32")


if __name__ == "__main__":
    main()
