"""List all engines for benchmarks: those of the package, and those whose files only the sources can write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mpscnn.apps.benchmark import PEERS, Peer, Subject


def _litert(subject: Subject, path: Path) -> None:
    from peer_files.tflite_writer import write_tflite

    write_tflite(subject.network, subject.input_shape, path)


def _torch(subject: Subject, path: Path) -> None:
    from peer_files.torch_writer import write_torch

    write_torch(subject.network, subject.input_shape, path)


ALL_PEERS = PEERS | {
    "litert": replace(PEERS["litert"], write=_litert, integers=False),
    "torch": Peer(
        "torch",
        ("torch",),
        "torch",
        "torch",
        "network.pt",
        _torch,
        bfloat16=True,
        adapters=Path(__file__).with_name("torch_engine.py"),
    ),
}
"""The engines by name. LiteRT's and torch's files are written for any network."""
