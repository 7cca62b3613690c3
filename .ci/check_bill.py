"""Check a bill of materials against CycloneDX's schema: python .ci/check_bill.py FILE. Ends with the first error."""

from __future__ import annotations

import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(Path(sys.argv[1]).read_text("utf-8"))
sys.exit(f"{sys.argv[1]}: {error}" if error else 0)
