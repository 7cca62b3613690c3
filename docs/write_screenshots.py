"""Take the screenshots of docs/live_page.md in headless Chromium.

    python docs/write_screenshots.py SEGMENTER

SEGMENTER is a model for `mpscnn serve`, such as deeplab_v3 (which is downloaded).
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "python"))
from browser import chromium, prefer, resize
from serving import serving

PROJECT = Path(__file__).resolve().parent.parent
PHOTO = PROJECT / "python" / "mpscnn" / "samples" / "photos" / "cat.jpg"
CLASSIFIER = "cifar10_mobilenet_v2"


def wait(driver: Any, done: Callable[[], Any]) -> None:
    """Wait until a condition holds, for at most 30 seconds."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 30).until(lambda _: done())


def picture(driver: Any, address: str, model: str, size: tuple[int, int], scheme: str) -> Image.Image:
    """Return a picture of the page with a photo and a profile. Wide pictures show the whole page, not only its top."""
    from selenium.webdriver.support.ui import Select

    width, height = size
    resize(driver, width, height)
    prefer(driver, prefers_color_scheme=scheme)
    driver.get(address)
    element = driver.find_element
    wait(driver, lambda: element("id", "state").text == "connected")
    Select(element("id", "model")).select_by_value(model)
    element("id", "files").send_keys(str(PHOTO))
    wait(driver, lambda: element("id", "results").text)
    element("id", "measure").click()
    wait(driver, element("id", "chart").is_displayed)
    element("id", "files").send_keys(str(PHOTO))  # the first one is slow
    wait(driver, lambda: element("id", "results").text)
    driver.execute_script("document.activeElement.blur(); window.scrollTo(0, 0)")
    if width > 600:
        whole = driver.execute_script("return document.documentElement.scrollHeight")
        resize(driver, width, whole)
    driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    return Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")


def write(image: Image.Image, name: str) -> None:
    """Write a picture with a palette. It suffices for a page, and the file has a third of the size."""
    path = PROJECT / "docs" / f"live_page_{name}.png"
    image.quantize(256, kmeans=4, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path, path.stat().st_size)


def main() -> int:
    """Take the screenshots for the model in the command line."""
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    segmenter = sys.argv[1]
    with serving(CLASSIFIER, segmenter, "--device", "cpu") as service, chromium() as driver:
        named = Path(segmenter).stem
        write(picture(driver, service.address, CLASSIFIER, (960, 900), "light"), "light")
        write(picture(driver, service.address, named, (960, 900), "dark"), "dark")
        write(picture(driver, service.address, CLASSIFIER, (390, 800), "light"), "phone")
    return 0


if __name__ == "__main__":
    sys.exit(main())
