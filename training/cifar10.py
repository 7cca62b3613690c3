"""Train the bundled model: a small MobileNetV2 for the ten classes of CIFAR-10.

    python training/cifar10.py --data cifar10_jpeg.tar.gz --output DIR [--device cuda|cpu]

The archive holds {train,test}/<class>/<n>.jpg. A larger teacher is trained first; the student then imitates
it on the same random views (Hinton et al., "Distilling the Knowledge in a Neural Network", 2015). Both also learn
to answer with equal probabilities on images of none of the classes (outliers.py). Then both continue, teacher
first, with a share of composed scenes (scenes.py).

DIR receives weights.npz (batch norm folded), architecture.json, report.json and what was trained: teacher.pt,
scene_teacher.pt, and a checkpoint of each of the four trainings. A run that was interrupted continues from these.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from augment import mixup, random_appearance, random_geometry, to_input
from mobilenet import CLASSES, Architecture, FoldedNetwork, MobileNetV2, fold
from outliers import make_outliers
from PIL import Image
from scenes import Scenery
from teacher import ResNet18
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

BATCH = 512
OUTLIER_BANK = 40_000
OUTLIERS_PER_EPOCH = 8_000
MIXUP_SHARE = 0.3
SCENE_GROUNDS = 20_000
TEMPERATURE = 2.0
TEACHER_SIZE = 64
WARMUP_SHARE = 0.05
AVERAGE_DECAY = 0.998
AVERAGE_FROM = 0.4
REPORT_EVERY = 10

EPOCHS = {"teacher": 70, "student": 150, "scene-teacher": 25, "scene-student": 117}

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Recipe:
    """The settings of one training."""

    name: str
    epochs: int
    learning_rate: float
    weight_decay: float
    size: int
    scene_share: float = 0.0
    label_share: float = 1.0


@dataclass(frozen=True)
class Data:
    """The training data on the training device: uint8 images (n, 3, 32, 32) with class numbers."""

    images: Tensor
    labels: Tensor
    outliers: Tensor
    scenery: Scenery
    test_images: Tensor
    test_labels: Tensor


def read_photos(archive: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """Return the images and labels of the archive's folders "train" and "test", ordered by file name."""
    photos: dict[str, list[tuple[str, int, np.ndarray]]] = {"train": [], "test": []}
    with tarfile.open(archive) as tar:
        for member in tar:
            parts = member.name.removeprefix("./").split("/")
            if not member.isfile() or len(parts) != 3 or parts[0] not in photos:
                continue
            file = tar.extractfile(member)
            assert file is not None
            pixels = np.asarray(Image.open(io.BytesIO(file.read()), formats=["JPEG"]).convert("RGB"))
            photos[parts[0]].append((member.name, CLASSES.index(parts[1]), pixels))
    halves = {}
    for half, entries in photos.items():
        if not entries:
            raise SystemExit(f"{archive}: no photos named {half}/<class>/<n>.jpg")
        entries.sort(key=lambda entry: entry[0])
        images = torch.from_numpy(np.stack([pixels for _, _, pixels in entries])).permute(0, 3, 1, 2)
        halves[half] = images.contiguous(), torch.tensor([label for _, label, _ in entries])
    return halves


def load_data(archive: Path, device: torch.device) -> Data:
    """Return all data that the trainings need, on the device."""
    halves = read_photos(archive)
    images, labels = (tensor.to(device) for tensor in halves["train"])
    test_images, test_labels = (tensor.to(device) for tensor in halves["test"])
    outliers = make_outliers(images, OUTLIER_BANK)
    return Data(images, labels, outliers, Scenery(images, labels, SCENE_GROUNDS), test_images, test_labels)


def batches(data: Data, recipe: Recipe) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches of one epoch: random views and their target probabilities."""
    device, photos = data.images.device, len(data.images)
    drawn = torch.randint(len(data.outliers), (OUTLIERS_PER_EPOCH,), device=device)
    images = torch.cat((data.images, data.outliers[drawn]))
    classes = len(CLASSES)
    targets = torch.full((len(images), classes), 1 / classes, device=device)
    targets[:photos] = functional.one_hot(data.labels, classes).float()
    order = torch.randperm(len(images), device=device)
    composed = round(recipe.scene_share * BATCH)
    for index in order.split(BATCH)[: len(images) // BATCH]:
        views = random_geometry(images[index[composed:]].float() / 255, recipe.size)
        if composed:
            views = torch.cat((data.scenery.compose(index[:composed], recipe.size), views))
        yield mixup(random_appearance(views), targets[index], MIXUP_SHARE)


def learning_rate_factor(progress: float) -> float:
    """Return the factor of the learning rate for a progress in 0..1: a linear warm-up, then half a cosine down to 0."""
    if progress < WARMUP_SHARE:
        return progress / WARMUP_SHARE
    return 0.5 * (1 + math.cos(math.pi * (progress - WARMUP_SHARE) / (1 - WARMUP_SHARE)))


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """Return an SGD optimiser without weight decay for biases and batch normalizations."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=0.9, nesterov=True)


def half_autocast(device: torch.device) -> torch.autocast:
    """Return a context in which the network computes in bfloat16 on CUDA, and in float32 on the CPU."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def accuracy(classify: Callable[[Tensor], Tensor], data: Data, size: int) -> float:
    """Return the share of the test images for which the right class has the highest score."""
    right = 0
    with torch.no_grad():
        for images, labels in zip(data.test_images.split(1000), data.test_labels.split(1000), strict=True):
            right += int((classify(to_input(images, size)).argmax(1) == labels).sum())
    return right / len(data.test_labels)


class Training:
    """The state of one network's training, with an exponential average of its weights."""

    def __init__(self, model: nn.Module, recipe: Recipe, data: Data, output: Path, seed: int) -> None:
        self.device = data.images.device
        self.model = model.to(self.device, memory_format=torch.channels_last)
        self.average = AveragedModel(
            self.model, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE_DECAY), use_buffers=True
        )
        self.optimizer = make_optimizer(self.model, recipe)
        self.recipe, self.data, self.seed = recipe, data, seed
        self.checkpoint = output / f"{recipe.name}_checkpoint.pt"
        self.epoch = 0
        if self.checkpoint.exists():
            self.restore()

    def restore(self) -> None:
        """Restore the state from the checkpoint."""
        state = torch.load(self.checkpoint, map_location=self.device)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch = state["epoch"]

    def save(self) -> None:
        """Write the checkpoint."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
        }
        torch.save(state, self.checkpoint)

    def run(self, loss: Loss) -> nn.Module:
        """Train to the last epoch; returns the averaged network in evaluation mode."""
        forward = torch.compile(self.model) if self.device.type == "cuda" else self.model
        started = time.perf_counter()
        while self.epoch < self.recipe.epochs:
            # Seed each epoch, so that a continued run draws the same random views as an uninterrupted one.
            torch.manual_seed(self.seed * 1000 + self.epoch)
            mean = self.run_epoch(forward, loss)
            self.epoch += 1
            if self.epoch % REPORT_EVERY == 0 or self.epoch == self.recipe.epochs:
                self.report(mean, time.perf_counter() - started)
                self.save()
        network: nn.Module = self.average.module.eval()
        return network

    def run_epoch(self, forward: Callable[[Tensor], Tensor], loss: Loss) -> float:
        """Train one epoch, and return the mean loss."""
        self.model.train()
        losses = []
        steps = (len(self.data.images) + OUTLIERS_PER_EPOCH) // BATCH
        for step, (views, targets) in enumerate(batches(self.data, self.recipe)):
            progress = (self.epoch + step / steps) / self.recipe.epochs
            for group in self.optimizer.param_groups:
                group["lr"] = self.recipe.learning_rate * learning_rate_factor(progress)
            views = views.contiguous(memory_format=torch.channels_last)
            with half_autocast(self.device):
                logits = forward(views)
            value = loss(logits.float(), views, targets)
            self.optimizer.zero_grad(set_to_none=True)
            value.backward()
            self.optimizer.step()
            if progress < AVERAGE_FROM:
                # Make the next update copy the weights. Otherwise early weights would stay in the average for long.
                self.average.n_averaged.zero_()
            self.average.update_parameters(self.model)
            losses.append(value.detach())
        return float(torch.stack(losses).mean())

    def report(self, mean_loss: float, seconds: float) -> None:
        """Print one line about the loss and the accuracy of the averaged network."""
        self.average.eval()
        with half_autocast(self.device):
            share = accuracy(self.average, self.data, self.recipe.size)
        print(
            f"{self.recipe.name} epoch {self.epoch}/{self.recipe.epochs}: loss {mean_loss:.4f}, "
            f"test accuracy {share:.4f}, {seconds:.0f} s",
            flush=True,
        )


def label_loss(logits: Tensor, _views: Tensor, targets: Tensor) -> Tensor:
    """Return the cross entropy with the target probabilities."""
    return functional.cross_entropy(logits, targets)


def distillation_loss(teacher: nn.Module, device: torch.device, label_share: float) -> Loss:
    """Return a loss for a student: the cross entropy with the teacher's softened probabilities and with the labels.

    The labels have the weight `label_share`, the teacher's probabilities the rest.
    """
    forward = torch.compile(teacher) if device.type == "cuda" else teacher

    def loss(logits: Tensor, views: Tensor, targets: Tensor) -> Tensor:
        with torch.no_grad(), half_autocast(device):
            seen = functional.interpolate(views, size=(TEACHER_SIZE, TEACHER_SIZE), mode="bilinear")
            answers = torch.softmax(forward(seen).float() / TEMPERATURE, dim=1)
        # The square keeps the gradient's size independent of the temperature (Hinton et al., section 2.1).
        imitation = functional.cross_entropy(logits / TEMPERATURE, answers) * TEMPERATURE**2
        return (1 - label_share) * imitation + label_share * functional.cross_entropy(logits, targets)

    return loss


def trained_teacher(model: nn.Module, recipe: Recipe, data: Data, output: Path, seed: int) -> nn.Module:
    """Return the teacher with the weights in <recipe>.pt. If that file does not exist, train `model` and write it."""
    device, file = data.images.device, output / f"{recipe.name}.pt"
    if not file.exists():
        model.load_state_dict(Training(model, recipe, data, output, seed).run(label_loss).state_dict())
        # Half precision suffices, because only the teacher's softened probabilities are used.
        state = {name: t.half() if t.is_floating_point() else t for name, t in model.state_dict().items()}
        torch.save(state, file)
    model.load_state_dict(torch.load(file, map_location="cpu"))
    return model.to(device, memory_format=torch.channels_last).eval()


def trained_student(
    model: MobileNetV2, recipe: Recipe, teacher: nn.Module, data: Data, output: Path, seed: int
) -> MobileNetV2:
    """Train `model` to imitate the teacher, and return it."""
    loss = distillation_loss(teacher, data.images.device, recipe.label_share)
    trained = Training(model, recipe, data, output, seed).run(loss)
    assert isinstance(trained, MobileNetV2)
    return trained


def export(student: MobileNetV2, architecture: Architecture, data: Data, output: Path) -> None:
    """Write weights.npz, architecture.json and report.json."""
    weights = fold(student)
    np.savez(output / "weights.npz", **weights)  # type: ignore[arg-type]  # no weight is named allow_pickle
    (output / "architecture.json").write_text(json.dumps(architecture.to_json(), indent=2) + "\n")
    report: dict[str, float] = {"parameters": sum(array.size for array in weights.values())}
    for precision in ("float32", "float16"):
        network = FoldedNetwork(architecture, weights, data.images.device, half=precision == "float16")
        report[f"accuracy_{precision}"] = accuracy(network, data, architecture.input_size)
    (output / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report))


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="archive of {train,test}/<class>/<n>.jpg")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="folder for the results, created if missing"
    )
    for name, epochs in EPOCHS.items():
        parser.add_argument(f"--{name}-epochs", type=int, default=epochs)
    parser.add_argument(
        "--size", type=int, default=Architecture().input_size, help="of the final student's input"
    )
    parser.add_argument(
        "--scene-share", type=float, default=0.35, help="of the views of the last two trainings"
    )
    parser.add_argument(
        "--device", choices=("cuda", "cpu"), default="cuda" if torch.cuda.is_available() else "cpu"
    )
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def recipes(options: argparse.Namespace) -> tuple[Recipe, Recipe, Recipe, Recipe]:
    """Return the settings of four trainings: teacher and student on photos alone, then both with scenes.

    A scene is an image with objects of one class, cut out of photos, on a random background (scenes.py).
    """
    teacher = Recipe("teacher", options.teacher_epochs, 0.4, weight_decay=5e-4, size=TEACHER_SIZE)
    student = Recipe(
        "student", options.student_epochs, 0.4, weight_decay=2e-4, size=TEACHER_SIZE, label_share=0.1
    )
    share = options.scene_share
    scene_teacher = replace(
        teacher,
        name="scene_teacher",
        epochs=options.scene_teacher_epochs,
        learning_rate=0.1,
        scene_share=share,
    )
    scene_student = replace(
        student, name="scene_student", epochs=options.scene_student_epochs, learning_rate=0.2,
        size=options.size, scene_share=share, label_share=0.3,
    )  # fmt: skip
    return teacher, student, scene_teacher, scene_student


def main() -> None:
    options = parse_arguments()
    options.output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(options.seed)
    data = load_data(options.data, torch.device(options.device))
    architecture = Architecture(input_size=options.size)
    teacher: nn.Module = ResNet18(len(CLASSES), architecture.stem_stride)
    student = MobileNetV2(architecture)
    steps = iter(recipes(options))
    for teacher_recipe, student_recipe in zip(steps, steps, strict=True):
        teacher = trained_teacher(teacher, teacher_recipe, data, options.output, options.seed)
        student = trained_student(student, student_recipe, teacher, data, options.output, options.seed)
    export(student, architecture, data, options.output)


if __name__ == "__main__":
    main()
