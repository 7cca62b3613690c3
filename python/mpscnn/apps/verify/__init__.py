"""Test whether a device computes as promised: `mpscnn verify`.

    report = mpscnn.apps.verify.verify("metal")
    print(report.table())

Every operation, raw kernel and layer of the bundled networks is run on the device, in separate processes, and
compared with the CPU engine. `mpscnn.apps.verify.error_bounds` defines the allowed differences.
"""

from __future__ import annotations

from mpscnn.apps.verify.report import Verification, verify

__all__ = ["Verification", "verify"]
