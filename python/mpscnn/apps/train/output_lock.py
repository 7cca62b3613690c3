"""Check and lock the output file of a training before the training starts."""

from __future__ import annotations

import errno
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mpscnn._private.files import convert_write_errors, require_replaceable
from mpscnn._private.locks import try_hold_lock
from mpscnn.errors import StateError, WeightsError

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


@contextmanager
def lock_output(output: Path, warn: Callable[[str], object] = warnings.warn) -> Iterator[None]:
    """Hold a lock file next to `output`, so that no other process trains to the same output.

    `warn` is called with a text if the file system has no locks.

    Raises:
        WeightsError: `output` cannot be written.
        StateError: another process holds the lock.
    """
    require_replaceable(output, WeightsError)
    lock = Path(f"{output}.lock")
    with ExitStack() as stack:
        try:
            with convert_write_errors(lock, WeightsError):
                alone = stack.enter_context(try_hold_lock(lock))
        except WeightsError as error:
            cause = error.__cause__
            if not isinstance(cause, OSError) or cause.errno not in _NO_LOCKS:
                raise
            warn(f"{lock}: the file system has no locks; start no other training with this output")
            alone = True
        if not alone:
            raise StateError(
                f"{output}: is being made by another training; wait for it, or name another output"
            )
        yield
