"""Measure the speed of networks on this machine, alone or next to other engines under the same conditions."""

from mpscnn.apps.benchmark.measure import EngineProcess, EngineSetup, Measurement, measure
from mpscnn.apps.benchmark.metal_kernels import KernelTimes, measure_metal_kernels
from mpscnn.apps.benchmark.peers import MPSCNN, PEERS, Peer
from mpscnn.apps.benchmark.runner import RunnerMeasurement, measure_runner
from mpscnn.apps.benchmark.subject import Subject, open_subject

__all__ = [
    "MPSCNN",
    "PEERS",
    "EngineProcess",
    "EngineSetup",
    "KernelTimes",
    "Measurement",
    "Peer",
    "RunnerMeasurement",
    "Subject",
    "measure",
    "measure_metal_kernels",
    "measure_runner",
    "open_subject",
]
