"""PyInstaller runs this file when a program imports mpscnn: it lists the modules and the data files to add."""

# ruff: noqa: N999 - PyInstaller prescribes the name of the file.

from __future__ import annotations

from PyInstaller.utils.hooks import collect_data_files, collect_submodules

hiddenimports = collect_submodules("mpscnn", filter=lambda name: not name.endswith("__main__"))
datas = collect_data_files("mpscnn", excludes=["include", "lib/cmake", "lib/pkgconfig"])
