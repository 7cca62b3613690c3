"""Send photos to `mpscnn serve` with Python's standard library alone.

mpscnn serve --port 8000 &
python examples/service/client.py http://127.0.0.1:8000 python/mpscnn/samples/photos/cat.jpg --picture answer.jpg

If the service needs a token, it is read from MPSCNN_SERVE_TOKEN.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

_PATHS = {"classification": "classify", "detection": "detect", "segmentation": "segment"}
_TRIES = 5


def request(address: str, photo: bytes | None = None, accept: str = "application/json") -> bytes:
    """Send a request and return the body of the answer. If the queue is full, try again."""
    headers = {"Accept": accept, "Content-Type": "application/octet-stream"}
    if token := os.environ.get("MPSCNN_SERVE_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    for _ in range(_TRIES):
        try:
            with urllib.request.urlopen(urllib.request.Request(address, photo, headers)) as response:
                content: bytes = response.read()
                return content
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise SystemExit(f"{address}: {json.load(error)['message']}") from error
            time.sleep(float(error.headers.get("Retry-After", 1)))
    raise SystemExit(f"{address}: is too busy")


def lines(answer: dict[str, Any]) -> list[str]:
    """Return the results as lines of text for people."""
    found = answer.get("predictions") or answer.get("detections") or answer.get("areas") or []
    parts = []
    form = "10.5g" if answer.get("scores_are") == "as is" else "7.1%"
    for entry in found:
        share = entry.get("probability", entry.get("score", entry.get("fraction")))
        parts.append(f"{share:{form}}  {entry['label']}" + (f"  {entry['box']}" if "box" in entry else ""))
    return parts or ["nothing found"]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("service")
    parser.add_argument("photo", type=Path)
    parser.add_argument("--model", help="default: the first one that is served")
    parser.add_argument("--picture", type=Path, help="write the annotated photo there")
    arguments = parser.parse_args()
    models = json.loads(request(f"{arguments.service}/v1/models"))["models"]
    chosen = next((model for model in models if arguments.model in (None, model["name"])), None)
    if chosen is None:
        sys.exit(
            f"there is no model {arguments.model}; served are {', '.join(model['name'] for model in models)}"
        )
    name = urllib.parse.quote(chosen["name"], safe="")
    address = f"{arguments.service}/v1/{_PATHS[chosen['task']]}?model={name}"
    photo = arguments.photo.read_bytes()
    answer = json.loads(request(address, photo))
    print(f"{arguments.photo}  ({answer['milliseconds']:.1f} ms, {answer['device']}, {answer['precision']})")
    print("\n".join(lines(answer)))
    if arguments.picture is not None:
        arguments.picture.write_bytes(request(address, photo, "image/jpeg"))


if __name__ == "__main__":
    main()
