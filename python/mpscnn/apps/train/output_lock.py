"""Check and lock an output file before a long computation starts."""

from __future__ import annotations

import errno
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mpscnn._private.files import convert_write_errors, require_replaceable
from mpscnn._private.locks import try_hold_lock
from mpscnn.errors import Error, StateError, WeightsError

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


@contextmanager
def lock_output(
    output: Path,
    warn: Callable[[str], object] = warnings.warn,
    *,
    kind: type[Error] = WeightsError,
    maker: str = "training",
) -> Iterator[None]:
    """Hold a lock file next to `output`, so that no other process makes the same output.

    Args:
        warn: is called with a text if the file system has no locks.
        kind: the class of the error for an output that cannot be written.
        maker: what makes the output, for the messages.

    Raises:
        WeightsError, or another `kind`: `output` cannot be written.
        StateError: another process holds the lock.
    """
    require_replaceable(output, kind)
    lock = Path(f"{output}.lock")
    with ExitStack() as stack:
        try:
            with convert_write_errors(lock, kind):
                alone = stack.enter_context(try_hold_lock(lock))
        except kind as error:
            cause = error.__cause__
            if not isinstance(cause, OSError) or cause.errno not in _NO_LOCKS:
                raise
            warn(f"{lock}: the file system has no locks; start no other {maker} with this output")
            alone = True
        if not alone:
            raise StateError(
                f"{output}: is being made by another {maker}; wait for it, or name another output"
            )
        yield
