"""Decide whether a file that a model names belongs to the model, so that a model cannot read other files."""

from __future__ import annotations

import os
from pathlib import Path

from mpscnn._private.files import real_path


def is_in_own_folder(path: Path, folder: Path, main: Path) -> bool:
    """Return True if a file is in the folder of its model, also after symbolic links are followed.

    Download caches keep the files of all models in one folder, and a model's folder has links to them. So a file that
    is in the same folder as the target of `main` belongs to the model, too.

    Args:
        path: the file.
        folder: the folder of the model.
        main: the file of the model that names the others.
    """
    try:
        real = real_path(path)
    except OSError:  # no file can be opened by such a chain of links
        return False
    folders = {real_path(folder), os.path.dirname(real_path(main))}  # noqa: PTH120
    return any(os.path.commonpath([one, real]) == one for one in folders)
