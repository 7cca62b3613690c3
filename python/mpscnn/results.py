"""What predictions look like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Prediction:
    """One class and how probable it is, 0 to 1."""

    label: str
    probability: float
    index: int


@dataclass(frozen=True)
class Classification:
    """The classes of one photo, most probable first, and how they were computed."""

    predictions: tuple[Prediction, ...]
    device: str
    precision: str
    reason: str
    milliseconds: float

    def top(self, count: int = 5) -> list[Prediction]:
        """The `count` most probable classes."""
        return list(self.predictions[:count])

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self.predictions)

    def __len__(self) -> int:
        return len(self.predictions)

    def __repr__(self) -> str:
        best = ", ".join(f"{entry.label} {entry.probability:.1%}" for entry in self.top(3))
        return f"<Classification: {best}; {self.milliseconds:.2f} ms on {self.device} ({self.precision})>"
