"""Write small Keras files for tests with h5py, as Keras 2 and Keras 3 write them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

h5py = pytest.importorskip("h5py", reason="h5py is not installed")

Weights = Mapping[str, NDArray[Any]]


def layer(kind: str, name: str, *inputs: Any, **settings: Any) -> dict[str, Any]:
    """Return a layer of Keras 2 with one call. An input is a name or (name, call, result)."""
    sources = [[one, 0, 0, {}] if isinstance(one, str) else [*one, {}] for one in inputs]
    return {
        "class_name": kind,
        "name": name,
        "config": {"name": name, **settings},
        "inbound_nodes": [sources] if sources else [],
    }


def image(*shape: int | None, name: str = "image") -> dict[str, Any]:
    return layer("InputLayer", name, batch_input_shape=[None, *shape])


def functional(layers: Sequence[dict[str, Any]], *outputs: Any, inputs: Sequence[str] = ("image",)) -> Any:
    """Return a model of Keras 2. Without `outputs`, the last layer's result is the model's only output."""
    ends = [[one, 0, 0] if isinstance(one, str) else list(one) for one in outputs or (layers[-1]["name"],)]
    config = {
        "name": "model",
        "layers": list(layers),
        "input_layers": [[name, 0, 0] for name in inputs],
        "output_layers": ends,
    }
    return {"class_name": "Functional", "config": config}


def write_h5(
    path: Path, model: Any, weights: Mapping[str, Weights], *, version: str = "2.4.0", text: str | None = None
) -> None:
    """Write a model as Keras 2 does.

    `weights` has the weights of each layer of the outermost model, in the order of the file's list of layer names.
    `text` replaces the JSON of the model.
    """
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(model) if text is None else text
        file.attrs["keras_version"] = version
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = np.array([name.encode() for name in weights])
        for name, arrays in weights.items():
            own = group.create_group(name)
            own.attrs["weight_names"] = np.array([f"{key}:0".encode() for key in arrays] or [], "S64")
            for key, values in arrays.items():
                own.create_dataset(f"{key}:0", data=values)


def write_keras(
    path: Path,
    model: Any,
    weights: Mapping[str, Sequence[NDArray[Any]]],
    *,
    stem: str = "layers",
    version: str = "3.8.0",
    compression: int = zipfile.ZIP_STORED,
) -> None:
    """Write a model as Keras 3 does, which compresses nothing.

    The keys of `weights` are paths of groups in `model.weights.h5`. The group `stem` is added even if it stays empty.
    """
    stored = io.BytesIO()
    with h5py.File(stored, "w") as file:
        file.create_group(stem)
        for place, arrays in weights.items():
            for number, values in enumerate(arrays):
                file.create_dataset(f"{place}/vars/{number}", data=values)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", json.dumps(model))
        archive.writestr("model.weights.h5", stored.getvalue())
