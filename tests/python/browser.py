"""Start headless Chromium with a camera that films a test picture."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

# Ignore the settings of the person who runs the tests, and make no requests of Chromium's own.
_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # as root, Chromium does not start with its sandbox
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--window-size=1280,900",
)


@contextmanager
def chromium() -> Iterator[Any]:
    """Yield a Selenium driver. Its log "browser" has the console's messages, and "performance" all requests."""
    from selenium import webdriver

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM or ""
        for argument in (*_ARGUMENTS, f"--user-data-dir={Path(directory)}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
        try:
            driver.set_script_timeout(120)
            yield driver
        finally:
            driver.quit()


def prefer(driver: Any, **features: str) -> None:
    """Set the user's preferences, such as prefers_color_scheme="dark"; without arguments, reset them."""
    named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": named})


def resize(driver: Any, width: int, height: int, scale: float = 1.0) -> None:
    """Set the viewport's size in CSS pixels. Below a width of 600 it is that of a phone."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
