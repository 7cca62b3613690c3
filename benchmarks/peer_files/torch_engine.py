"""Run a TorchScript file of torch_writer.py. Only worker.py imports this file, in a process for torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from engines import Arrays, Setup, pixels, planes
from numpy.typing import NDArray


class Torch:
    """torch: frozen TorchScript with images in channels-last layout.

    oneDNN's graph compiler fuses its layers if that does not change the results.

    This is torch's fastest way for MobileNetV2 on one thread: 3.4 ms, against 4.3 to 4.7 ms for torch.compile with
    frozen weights, and 8.0 ms for eager mode and for TorchScript without the graph compiler.
    """

    def __init__(self, setup: Setup, x: NDArray[np.float32]) -> None:
        import torch

        torch.set_num_threads(setup["threads"])
        dtype = torch.bfloat16 if setup["options"]["precision"] == "bfloat16" else torch.float32
        notes: dict[str, Any] = {"fusion": ""}  # torch_writer.py writes this note
        model = (
            torch.jit.load(setup["path"], _extra_files=notes)
            .eval()
            .to(dtype)
            .to(memory_format=torch.channels_last)
        )
        torch.jit.enable_onednn_fusion(notes["fusion"] == b"right")
        self._torch = torch
        self._model = torch.jit.freeze(model)
        images = torch.from_numpy(planes(x)).to(dtype)
        self._input = images.contiguous(memory_format=torch.channels_last)
        self._results: tuple[Any, ...] = ()
        for _ in range(2):  # the graph compiler compiles in the first two runs
            self.run()
        self.note = f"CPU, {dtype}".replace("torch.", "")

    def run(self) -> None:
        """Run the network once."""
        with self._torch.inference_mode():
            self._results = self._model(self._input)

    def outputs(self) -> Arrays:
        """Return the outputs of the last run, images as (n, height, width, channels)."""
        return [pixels(result.float().numpy()) for result in self._results]


ENGINES = {"torch": Torch}
