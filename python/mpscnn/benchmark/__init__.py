"""How fast networks run here, alone or beside other engines under the same conditions."""

from mpscnn.benchmark.measure import EngineProcess, EngineSetup, Measurement, measure
from mpscnn.benchmark.peers import PEERS, network_file, require_peer
from mpscnn.benchmark.runner import RunnerMeasurement, measure_runner
from mpscnn.benchmark.subject import Subject, leaves_size_free, open_subject

__all__ = [
    "PEERS",
    "EngineProcess",
    "EngineSetup",
    "Measurement",
    "RunnerMeasurement",
    "Subject",
    "leaves_size_free",
    "measure",
    "measure_runner",
    "network_file",
    "open_subject",
    "require_peer",
]
