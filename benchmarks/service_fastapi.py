"""Serve a model with FastAPI and onnxruntime, written as one would by hand, for benchmarks/service_load.py.

python benchmarks/service_fastapi.py MODEL.onnx PORT WORKERS WIDTH HEIGHT
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from PIL import Image


def application() -> FastAPI:
    """Return the application of one worker, for the model that the environment names."""
    width, height = (int(extent) for extent in os.environ["SERVICE_SIZE"].split())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the requests run next to each other
    session = onnxruntime.InferenceSession(os.environ["SERVICE_MODEL"], options, ["CPUExecutionProvider"])
    name, shape = session.get_inputs()[0].name, session.get_inputs()[0].shape
    channels_first = shape[1] == 3
    app = FastAPI()

    def classes(body: bytes) -> list[dict[str, float]]:
        photo = Image.open(io.BytesIO(body)).convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
        pixels = np.asarray(photo, np.float32)[np.newaxis] / 127.5 - 1.0
        if channels_first:
            pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        output = session.run(None, {name: pixels})[0][0]
        best = np.argsort(-output)[:5]
        return [{"index": int(place), "probability": float(output[place])} for place in best]

    @app.post("/v1/classify")
    async def classify(request: Request) -> dict[str, object]:
        return {"predictions": await run_in_threadpool(classes, await request.body())}

    @app.get("/health")
    def health() -> dict[str, str]:
        return {}

    return app


if __name__ == "__main__":
    model, port, workers, *size = sys.argv[1:]
    os.environ.update(SERVICE_MODEL=model, SERVICE_SIZE=" ".join(size))
    uvicorn.run(
        "service_fastapi:application",
        factory=True,
        app_dir=str(Path(__file__).resolve().parent),
        host="127.0.0.1",
        port=int(port),
        workers=int(workers),
    )
