"""Serve a model with LitServe and onnxruntime, as in LitServe's documentation, for service.py and service_load.py.

python benchmarks/service_litserve.py MODEL.onnx PORT WORKERS [WIDTH HEIGHT]
"""

from __future__ import annotations

import base64
import io
import sys

import litserve
import numpy as np
import onnxruntime
from PIL import Image


class Api(litserve.LitAPI):
    """A service that returns the five most probable classes of a photo."""

    def __init__(self, onnx: str, width: int = 224, height: int = 224) -> None:
        super().__init__()
        self.onnx = onnx
        self.size = width, height

    def setup(self, device: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # there is a worker for each processor
        self.session = onnxruntime.InferenceSession(self.onnx, options, ["CPUExecutionProvider"])
        self.name = self.session.get_inputs()[0].name
        self.channels_first = self.session.get_inputs()[0].shape[1] == 3

    def decode_request(self, request: dict[str, str]) -> bytes:
        # LitServe takes JSON and forms. Its documentation sends photos as base64 in JSON.
        return base64.b64decode(request["image_bytes"])

    def predict(self, body: bytes) -> np.ndarray:
        photo = Image.open(io.BytesIO(body)).convert("RGB").resize(self.size, Image.Resampling.BILINEAR)
        pixels = np.asarray(photo, np.float32)[np.newaxis] / 127.5 - 1.0
        if self.channels_first:
            pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        return self.session.run(None, {self.name: pixels})[0][0]

    def encode_response(self, output: np.ndarray) -> dict[str, object]:
        best = np.argsort(-output)[:5]
        return {"predictions": [{"index": int(i), "probability": float(output[i])} for i in best]}


if __name__ == "__main__":
    model, port, workers, *size = sys.argv[1:]
    server = litserve.LitServer(
        Api(model, *map(int, size)), accelerator="cpu", workers_per_device=int(workers), timeout=60
    )
    server.run(host="127.0.0.1", port=int(port), generate_client_file=False, log_level="warning")
