"""Open the page of `mpscnn serve` in a browser, for tests."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import photo_models
import pytest
from browser import CHROMIUM, DRIVER, chromium, prefer, resize
from serving import Service, require_packages, serving

import mpscnn

require_packages()
pytest.importorskip("selenium", reason="Selenium is not installed")
if CHROMIUM is None or DRIVER is None:
    pytest.skip("chromium and chromedriver are not installed", allow_module_level=True)


CAT = mpscnn.samples.photo("cat")
CLASSIFIER = "cifar10_mobilenet_v2"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Yield a service with the bundled classifier, and a small detector and segmenter."""
    directory = tmp_path_factory.mktemp("served")
    files = []
    for task in ("detection", "segmentation"):
        files.append(directory / f"{task}.safetensors")
        files[-1].write_bytes(photo_models.load(directory, task)._core.content())
    with serving(CLASSIFIER, *files, "--device", "cpu", "--threads", "1") as running:
        yield running


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    with chromium() as made:
        yield made


class Page:
    """Reads and operates the page as a person does."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def element(self, name: str) -> Any:
        return self.driver.find_element("id", name)

    def text(self, name: str) -> str:
        return str(self.element(name).text)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def until(self, condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
        """Wait until a condition is true, and return its value."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            shown = f"notices: {self.text('notices')!r}, results: {self.text('results')!r}"
            assert time.monotonic() < end, f"not in {seconds} seconds: {what}; {shown}"
            time.sleep(0.03)
        return found

    def pick(self, *files: Path) -> None:
        self.element("files").send_keys("\n".join(map(str, files)))

    def drop(self, *files: tuple[str, str, bytes]) -> None:
        """Drop files, given by name, media type and content, on the page."""
        self.run(
            """const data = new DataTransfer();
            for (const [name, type, content] of arguments[0]) {
              const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
              data.items.add(new File([bytes], name, { type }));
            }
            for (const name of ["dragenter", "dragover", "drop"]) {
              const event = new DragEvent(name, { dataTransfer: data, bubbles: true, cancelable: true });
              document.getElementById("stage").dispatchEvent(event);
            }""",
            [(name, kind, base64.b64encode(content).decode()) for name, kind, content in files],
        )

    def labels(self) -> list[str]:
        """Return the texts of the results in order."""
        return list(
            self.run("return [...document.querySelectorAll('.results .label')].map(e => e.textContent)")
        )

    def first_is(self, label: str) -> None:
        self.until(lambda: self.labels()[:1] == [label], f"the first result is {label}")

    def notice(self, text: str) -> None:
        self.until(lambda: text in self.text("notices"), f"a notice says {text!r}")

    def no_notice(self) -> None:
        self.until(lambda: not self.text("notices"), "no notice is left")

    def choose(self, field: str, value: str) -> None:
        from selenium.webdriver.support.ui import Select

        Select(self.element(field)).select_by_value(value)

    def frames(self) -> int:
        return int(self.element("rates").get_attribute("data-frames") or 0)

    def drawn(self) -> int:
        """Return the number of pixels that are drawn over the picture."""
        return int(
            self.run(
                """const overlay = document.getElementById("overlay");
                if (!overlay.width || !overlay.height) return 0;
                const { data } = overlay.getContext("2d").getImageData(0, 0, overlay.width, overlay.height);
                let count = 0;
                for (let i = 3; i < data.length; i += 4) count += data[i] > 0;
                return count;"""
            )
        )


@pytest.fixture
def page(driver: Any, service: Service) -> Page:
    return opened(driver, service)


def opened(driver: Any, service: Service) -> Page:
    prefer(driver)
    resize(driver, 1280, 900)
    driver.get(service.address + "/")
    page = Page(driver)
    page.until(lambda: page.text("state") == "connected", "the service is there")
    return page


def clip(directory: Path) -> bytes:
    """Return one second of the cat's photo as a WebM video."""
    av = pytest.importorskip("av", reason="PyAV is not installed")
    from PIL import Image

    path = directory / "cat.webm"
    with Image.open(CAT) as photo, av.open(path, "w") as container:
        stream = container.add_stream("libvpx", 10)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for _ in range(10):
            container.mux(stream.encode(av.VideoFrame.from_image(photo.convert("RGB").resize((320, 240)))))
        container.mux(stream.encode())
    return path.read_bytes()
