"""Strip the binaries of macOS wheels and sign them ad hoc, as arm64 requires. This is the last step before the checks.

    python .ci/sign_wheel.py WHEEL...

Binaries are stripped first, because stripping changes a binary and makes its signature invalid. Both tools come from
Apple. The wheel is written again with the new hashes in its RECORD. If a tool fails, the script ends with its message.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

MACHO = b"\xcf\xfa\xed\xfe"


def sign(binary: Path) -> None:
    """Strip local symbols, sign ad hoc, and verify the signature as the system does."""
    for command in (
        ["strip", "-x", str(binary)],
        ["codesign", "--force", "--sign", "-", str(binary)],
        ["codesign", "--verify", "--strict", str(binary)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")


def signed(data: bytes) -> bytes:
    """Return a binary after stripping and signing it."""
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder) / "binary"
        binary.write_bytes(data)
        binary.chmod(0o755)
        sign(binary)
        return binary.read_bytes()


def with_hashes(record: bytes, files: dict[str, bytes]) -> bytes:
    """Return the RECORD of a wheel with new hashes and sizes of its files."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for name, digest, size in csv.reader(io.StringIO(record.decode())):
        row = [name, digest, size]
        if digest and name in files:
            value = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).rstrip(b"=").decode()
            row = [name, f"sha256={value}", str(len(files[name]))]
        writer.writerow(row)
    return text.getvalue().encode()


def sign_wheel(wheel: Path) -> int:
    """Sign all binaries of a wheel, and return their number."""
    with zipfile.ZipFile(wheel) as archive:
        entries = archive.infolist()
        files = {entry.filename: archive.read(entry) for entry in entries}
    binaries = [name for name, data in files.items() if data.startswith(MACHO)]
    for name in binaries:
        files[name] = signed(files[name])
    for name in files:
        if name.endswith(".dist-info/RECORD"):
            files[name] = with_hashes(files[name], files)
    temporary = wheel.with_suffix(".signed")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in entries:
            archive.writestr(entry, files[entry.filename], compress_type=zipfile.ZIP_DEFLATED)
    temporary.replace(wheel)
    return len(binaries)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(f"{argument}: {sign_wheel(Path(argument))} binaries stripped and signed")
