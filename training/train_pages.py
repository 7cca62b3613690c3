"""Train a detector of handwritten digits on pages, and measure it on pages of MNIST's test images.

python training/train_pages.py mnist/ --output finder.safetensors --report pages/
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from digit_pages import PAGE_SIDE, DigitPages
from page_detector import PageOptions, train_pages

from mpscnn._private.files import convert_write_errors, replace_atomically, require_folder_for
from mpscnn.errors import Error, ParameterError
from mpscnn.evaluation.detector import DetectorEvaluation, evaluate_detector, require_pycocotools
from mpscnn.graph.network import Network
from mpscnn.model import load
from mpscnn.training.digits import read_digits
from mpscnn.training.history import Epoch

ANNOTATIONS = "annotations.json"
_HELD_OUT_PAGES, _HELD_OUT_SEED = 1_000, 1_000_003
_INFORMATION = {
    "license": "Apache-2.0",
    "source": "training/train_pages.py; trained on MNIST (LeCun, Cortes, Burges 1998)",
}


def train_page_detector(
    folder: Path, output: Path, options: PageOptions, *, report: Path | None, device: str, threads: int | str
) -> None:
    """Train the detector, measure it on pages of test images, and write the model."""
    if options.epochs < 1:
        raise ParameterError("--epochs: pages need 1 or more")
    require_pycocotools()
    training, test = read_digits(folder, "train"), read_digits(folder, "t10k")
    held_out = DigitPages(
        test.images,
        test.labels,
        pages=min(_HELD_OUT_PAGES, options.pages),
        seed=_HELD_OUT_SEED,
        views=False,
    )
    if report is not None:
        require_folder_for(report, [*map(_page_name, range(len(held_out))), ANNOTATIONS], ParameterError)

    def show_epoch(epoch: Epoch) -> None:
        print(
            f"epoch {epoch.index} of {options.epochs}: loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.2%}, "
            f"{epoch.seconds:.1f} s",
            flush=True,
        )

    network = train_pages(training, options=options, device=device, threads=threads, report=show_epoch)
    result = measure_and_save(network, output, held_out, report)
    print(
        f"{result.images:,} pages of test images: mAP {result.map:.3f}, {result.map50:.3f} at IoU 0.5",
        f"written: {output}",
        sep="\n",
    )


def measure_and_save(
    network: Network, output: Path, held_out: DigitPages, report: Path | None
) -> DetectorEvaluation:
    """Measure the model on the held-out pages, and write it with a description of its accuracy."""
    with tempfile.TemporaryDirectory() as temporary:
        pages = Path(temporary) / "pages" if report is None else report
        write_pages(pages, held_out)
        unmeasured = Path(temporary) / output.name
        network.save(unmeasured)
        # Measure on the CPU, which computes the same bits on every machine, so that the description and the file are
        # the same, too.
        model = load(unmeasured, device="cpu", precision="float32")
        result = evaluate_detector(model, pages, pages / ANNOTATIONS)
    description = (
        f"Finds and reads handwritten digits, dark or light, on a page; nothing else. mAP {result.map:.3f} (COCO), "
        f"{result.map50:.3f} at IoU 0.5, on {result.images:,} pages made of MNIST's test images"
    )
    network.save(output, information={**_INFORMATION, "description": description})
    return result


def _page_name(number: int) -> str:
    return f"{number:04}.png"


def write_pages(folder: Path, pages: DigitPages) -> None:
    """Write the pages as PNG files, with annotations.json in COCO's format for `mpscnn evaluate`."""
    from PIL import Image

    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    with convert_write_errors(folder, ParameterError):
        folder.mkdir(parents=True, exist_ok=True)
    for number in range(len(pages)):
        page, name = pages.page(number), _page_name(number)
        with replace_atomically(folder / name, ParameterError) as file:
            Image.fromarray(np.rint(page.image * 255).astype(np.uint8)).save(file, "PNG")
        images.append({"id": number, "file_name": name, "height": PAGE_SIDE, "width": PAGE_SIDE})
        for box, digit in zip(page.boxes.astype(float) * PAGE_SIDE, page.classes.tolist(), strict=True):
            left, top, right, bottom = (round(float(edge), 2) for edge in box)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": digit + 1,
                    "bbox": [left, top, right - left, bottom - top],
                    "area": (right - left) * (bottom - top),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": digit + 1, "name": str(digit)} for digit in range(10)]
    dataset = {"images": images, "annotations": annotations, "categories": categories}
    with replace_atomically(folder / ANNOTATIONS, ParameterError) as file:
        file.write(json.dumps(dataset).encode())


def main() -> None:
    defaults = PageOptions()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the four IDX files of MNIST, plain or gzipped")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the model file that is written")
    parser.add_argument("--report", type=Path, help="a folder for the test pages and annotations.json")
    parser.add_argument("--epochs", type=int, default=defaults.epochs)
    parser.add_argument("--page-count", type=int, default=defaults.pages, help="new pages of an epoch")
    parser.add_argument("--batch-size", type=int, default=defaults.batch_size)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="default: the number that the machine allows")
    given = parser.parse_args()
    options = PageOptions(given.epochs, given.page_count, given.batch_size, given.seed)
    try:
        train_page_detector(
            given.folder,
            given.output,
            options,
            report=given.report,
            device=given.device,
            threads=given.threads or "auto",
        )
    except Error as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
