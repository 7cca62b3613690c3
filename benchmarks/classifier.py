"""Compare the accuracy of a classifier of your photos: `mpscnn train`, and a last layer trained by PyTorch.

    python benchmarks/classifier.py cifar10_jpeg.tar.gz [--model NAME_OR_FILE] [--photos 2000] [--threads N]
        [--size N] [--teacher NAME_OR_FILE]

Both train on the same features. The archive holds {train,test}/<class>/<n>.jpg. N photos of "train" are used for
training, a fifth of them for validation. N photos of "test" measure the accuracy once, at the end.
"""

from __future__ import annotations

import argparse
import tarfile
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import mpscnn
from mpscnn.graph.network import Network
from mpscnn.opening_models import described_network, model_path, open_model
from mpscnn.training.backbone import Backbone, with_input_size
from mpscnn.training.classifier import ClassifierOptions, ClassifierTraining
from mpscnn.training.distillation import Teacher
from mpscnn.training.feature_store import StoredFeatures, store_features
from mpscnn.training.image_folder import ImageFolder
from mpscnn.training.run_folder import RunChoices

# The L2 penalties of PyTorch's logistic regression. The one with the best validation accuracy is used.
PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2)


def unpack(archive: Path, count: int, folder: Path) -> None:
    """Write the first photos of each class, `count` together, into folder/{train,test}/<class>."""
    with tarfile.open(archive) as tar:
        members = defaultdict(list)
        for member in tar:
            parts = member.name.removeprefix("./").split("/")
            if member.isfile() and len(parts) == 3:
                members[parts[0], parts[1]].append(member)
        classes = len({label for _, label in members})
        for (half, label), found in members.items():
            (folder / half / label).mkdir(parents=True)
            for member in sorted(found, key=lambda member: member.name)[: count // classes]:
                content = tar.extractfile(member)
                assert content is not None
                (folder / half / label / Path(member.name).name).write_bytes(content.read())


def right_of(network: Network, data: StoredFeatures, threads: int) -> float:
    """Return the accuracy: the share of the photos whose class is the most probable."""
    session = network.compile(device="cpu", precision="float32").session(threads=threads)
    found = np.concatenate([np.asarray(session.run(inputs)).argmax(1) for inputs, _ in data.batches(64)])
    return float((found == data.classes).mean())


def torch_head(
    training: NDArray[np.float32],
    labels: NDArray[np.int64],
    held: tuple[NDArray[np.float32], NDArray[np.int64]],
    test: tuple[NDArray[np.float32], NDArray[np.int64]],
) -> tuple[float, float]:
    """Return validation and test accuracy of a logistic regression by L-BFGS. Validation chooses the penalty."""
    import torch

    x, y = torch.from_numpy(training), torch.from_numpy(labels)
    best = (-1.0, 0.0)
    for penalty in PENALTIES:
        layer = torch.nn.Linear(x.shape[1], int(y.max()) + 1)
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
        optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=200, line_search_fn="strong_wolfe")

        def closure(
            layer: torch.nn.Linear = layer, optimizer: torch.optim.LBFGS = optimizer, penalty: float = penalty
        ) -> torch.Tensor:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(layer(x), y) + penalty * layer.weight.square().sum() / 2
            loss.backward()
            return loss

        optimizer.step(closure)
        with torch.no_grad():
            shares = [
                float((layer(torch.from_numpy(images)).argmax(1).numpy() == classes).mean())
                for images, classes in (held, test)
            ]
        best = max(best, (shares[0], shares[1]))
        print(f"torch, penalty {penalty:g}: validation {shares[0]:.2%}, test {shares[1]:.2%}", flush=True)
    return best


def flat(path: Path, classes: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return stored features of all views as (views * photos, channels), and their classes."""
    arrays = np.load(path)
    return arrays.reshape(arrays.shape[0] * arrays.shape[1], -1).astype(np.float32), np.tile(
        classes, len(arrays)
    )


def taught_by(name: str | None, labels: list[str]) -> Teacher | None:
    return None if name is None else Teacher(described_network(open_model(model_path(name)))[0], name, labels)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("archive", type=Path)
    parser.add_argument("--model", default="mobilenet_v2")
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, help="the input's height and width; default: that of the model")
    parser.add_argument("--teacher", help="a classifier of the same classes, whose answers also train")
    parser.add_argument("--temperature", type=float, default=ClassifierOptions.temperature)
    parser.add_argument("--teacher-share", type=float, default=ClassifierOptions.teacher_share)
    options = parser.parse_args()
    network, _ = described_network(open_model(model_path(options.model)))
    if options.size:
        network = with_input_size(network, (options.size, options.size))
    chosen = ClassifierOptions(
        seed=options.seed, temperature=options.temperature, teacher_share=options.teacher_share
    )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        unpack(options.archive, options.photos, folder)
        size = tuple(int(extent or 0) for extent in network.input.shape[1:3])
        assert network.preprocess is not None

        def photos(half: str) -> ImageFolder:
            return ImageFolder(
                folder / half,
                (size[0], size[1]),
                preprocess=network.preprocess or "tensorflow",
                augment=True,
                seed=options.seed,
            )

        training, held = photos("train").split(0.2)
        test = photos("test")
        backbone = Backbone(network, chosen.trained_layers)
        paths = {backbone.cut: folder / "test_cut.npy", backbone.features: folder / "test_features.npy"}
        for _ in store_features(
            test, backbone.extractor(), paths, views=1, device="cpu", threads=options.threads
        ):
            pass
        tested = StoredFeatures(paths[backbone.cut], test.targets, seed=0)
        started, processor = time.perf_counter(), time.process_time()
        run = folder / "run"
        trained = ClassifierTraining(
            training,
            held,
            network,
            run,
            options=chosen,
            choices=RunChoices(device="cpu", threads=options.threads),
            teacher=taught_by(options.teacher, training.labels),
        )
        shares: dict[str, tuple[float, float]] = {}
        for progress in trained.run():
            if progress.record is not None:
                print(progress.record, flush=True)
                right = right_of(trained.tail(), tested, options.threads)
                best = max(record.validation_accuracy for record in trained.history)
                shares[progress.phase] = (best, right)
        seconds, used = time.perf_counter() - started, time.process_time() - processor
        features, labels = flat(run / "training_features.npy", training.targets)
        torch_shares = torch_head(
            features,
            labels,
            flat(run / "validation_features.npy", held.targets),
            flat(paths[backbone.features], test.targets),
        )
        print(
            f"{network.name}, {len(training)} + {len(held)} photos: {seconds:.0f} s, {used:.0f} s of processors"
        )
        for name, (validation, right) in {"torch, logistic head": torch_shares, **shares}.items():
            print(f"| {name} | {validation:.2%} | {right:.2%} |")
        print(f"mpscnn {mpscnn.__version__}")


if __name__ == "__main__":
    main()
