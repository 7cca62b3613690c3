"""Run a function of mpscnn in a process that can only compute: no writes, no network, no users' files."""

from mpscnn._private.confined.process import ConfinedProcess, Limits, is_confinement_waived, run_confined

__all__ = ["ConfinedProcess", "Limits", "is_confinement_waived", "run_confined"]
