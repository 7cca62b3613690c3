"""List all engines for benchmarks: those of the package, and those whose files only the sources can write."""

from __future__ import annotations

from pathlib import Path

from mpscnn.apps.benchmark import PEERS, Peer, Subject


def _torch(subject: Subject, path: Path) -> None:
    from peer_files.torch_writer import write_torch

    write_torch(subject.network, subject.input_shape, path)


ALL_PEERS = PEERS | {
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
"""The engines by name. torch's files are written for any network."""
