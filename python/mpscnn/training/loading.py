"""Decode photos in threads, some batches before the training needs them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_Label = TypeVar("_Label")


def load_ahead(
    parts: Iterable[NDArray[np.int64]],
    read: Callable[[int, NDArray[np.float32]], _Label],
    shape: tuple[int, ...],
    threads: int,
    ahead: int = 2,
) -> Generator[tuple[NDArray[np.float32], NDArray[np.int64], list[_Label]], None, None]:
    """Yield the inputs, the numbers and the labels of each batch of photos.

    Args:
        parts: the numbers of the photos of each batch.
        read: writes the photo of a number into an array, and returns its label. Threads call it.
        shape: the shape of a photo's array.
        threads: the number of threads.
        ahead: the number of batches that are read before they are needed.
    """
    with ThreadPoolExecutor(threads, "mpscnn-photos") as pool:
        begun: deque[tuple[NDArray[np.float32], NDArray[np.int64], list[Future[_Label]]]] = deque()
        try:
            for chosen in parts:
                inputs = np.empty((len(chosen), *shape), np.float32)
                work = [pool.submit(read, int(index), row) for index, row in zip(chosen, inputs, strict=True)]
                begun.append((inputs, chosen, work))
                if len(begun) > ahead:
                    first, numbers, futures = begun.popleft()
                    yield first, numbers, [future.result() for future in futures]
            while begun:
                first, numbers, futures = begun.popleft()
                yield first, numbers, [future.result() for future in futures]
        finally:
            for _, _, work in begun:
                for future in work:
                    future.cancel()
