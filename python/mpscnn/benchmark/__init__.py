"""How fast networks run here, alone or beside other engines under the same conditions."""

from mpscnn.benchmark.measure import Measurement, measure
from mpscnn.benchmark.peers import PEERS, require_peer
from mpscnn.benchmark.runner import RunnerMeasurement, measure_runner
from mpscnn.benchmark.subject import Subject, open_subject

__all__ = [
    "PEERS",
    "Measurement",
    "RunnerMeasurement",
    "Subject",
    "measure",
    "measure_runner",
    "open_subject",
    "require_peer",
]
