"""Test the page of `mpscnn serve` in a browser: keys, names, sizes, colours, failures, and forbidden requests."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from pathlib import Path
from typing import Any

import pytest
import service_page
from browser import prefer, resize
from service_page import CAT, Page, opened
from serving import Service, serving

driver, page, service = service_page.driver, service_page.page, service_page.service  # fixtures


def test_everything_is_reached_by_keys_and_shows_focus(page: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    def tab() -> str:
        page.driver.switch_to.active_element.send_keys(Keys.TAB)
        name, width, style = page.run(
            """const { outlineWidth, outlineStyle } = getComputedStyle(document.activeElement);
            const { id, tagName } = document.activeElement;
            return [id || tagName, parseFloat(outlineWidth), outlineStyle];"""
        )
        assert width >= 2, name
        assert style == "solid", name
        return str(name)

    fields = ["A", "sample", "camera", "choose", "model", "device", "precision", "threads", "measure"]
    assert [tab() for _ in fields] == fields
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.until(page.element("chart").is_displayed, "Enter measures")
    assert [tab(), tab()] == ["chart", "SUMMARY"]
    page.driver.switch_to.active_element.send_keys(Keys.SPACE)
    assert page.element("steps").is_displayed()
    page.element("camera").send_keys(Keys.SPACE)
    page.until(lambda: page.frames() >= 1, "Space starts the camera")


def test_every_control_has_a_name(page: Page) -> None:
    controls = page.driver.find_elements("css selector", "button, select, a, [role=slider]")
    shown = [control for control in controls if control.is_displayed()]
    assert len(shown) >= 8
    assert all(control.accessible_name for control in shown)


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_needs_no_scrolling_sideways(page: Page, width: int) -> None:
    resize(page.driver, width, 800, 2)
    cat = CAT.read_bytes()
    page.drop(*[(f"{number}.jpg", "image/jpeg", cat) for number in range(6)])
    page.first_is("cat")
    page.element("measure").click()
    page.until(page.element("chart").is_displayed, "there is a chart")
    page.element("profile-body").find_element("tag name", "summary").click()
    assert page.run("return document.documentElement.scrollWidth") <= width


CONTRAST = """
const luminance = (colour) => {
  const [red, green, blue] = colour.match(/[\\d.]+/g).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};
const behind = (element) => {
  for (; element; element = element.parentElement) {
    const colour = getComputedStyle(element).backgroundColor;
    if (!/, 0\\)$/.test(colour)) return luminance(colour);
  }
};
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const low = [];
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  if (!texts.currentNode.textContent.trim() || !element.checkVisibility() || element.closest("svg")) continue;
  const pair = [luminance(getComputedStyle(element).color), behind(element)];
  const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  if (ratio < 4.5) low.push([element.className || element.id || element.tagName, ratio]);
}
return [behind(document.body), low];
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_are_legible(page: Page, scheme: str) -> None:
    prefer(page.driver, prefers_color_scheme=scheme)
    page.pick(CAT)
    page.first_is("cat")
    page.element("measure").click()
    page.until(page.element("chart").is_displayed, "there is a chart")
    background, low = page.run(CONTRAST)
    assert background > 0.8 if scheme == "light" else background < 0.1
    assert low == []


def test_a_service_that_goes_and_comes_back(page: Page) -> None:
    page.element("camera").click()
    page.until(lambda: page.frames() >= 1, "a frame is computed")
    page.driver.execute_cdp_cmd("Network.enable", {})
    conditions = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.driver.execute_cdp_cmd("Network.emulateNetworkConditions", {**conditions, "offline": True})
    page.notice("does not answer")
    assert page.text("state") == "not connected"
    page.driver.execute_cdp_cmd("Network.emulateNetworkConditions", {**conditions, "offline": False})
    page.no_notice()
    assert page.text("state") == "connected"
    before = page.frames()
    page.until(lambda: page.frames() != before, "frames are computed again")


def test_a_busy_service_is_asked_again(page: Page) -> None:
    page.run(
        """const real = window.fetch;
        window.busy = true;
        window.fetch = async (path, ...rest) => {
          if (!String(path).startsWith("v1/classify") || !window.busy) return real(path, ...rest);
          const body = JSON.stringify({ error: "QueueFull", message: "64 requests wait already" });
          return new Response(body, { status: 503, headers: { "Retry-After": "1" } });
        };"""
    )
    page.pick(CAT)
    page.notice("busy")
    page.run("window.busy = false")
    page.first_is("cat")
    page.no_notice()


def test_a_service_with_other_models_is_asked_for_them(page: Page) -> None:
    page.run(
        """const real = window.fetch;
        let first = true;
        window.fetch = async (path, ...rest) => {
          if (!String(path).startsWith("v1/classify") || !first) return real(path, ...rest);
          first = false;
          const body = JSON.stringify({ error: "UnknownModel", message: "there is no model" });
          return new Response(body, { status: 404 });
        };
        document.getElementById("model").replaceChildren();"""
    )
    page.pick(CAT)
    page.first_is("cat")
    assert len(page.element("model").find_elements("tag name", "option")) == 3
    page.no_notice()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("NotAllowedError", "does not give this page the camera"),
        ("NotFoundError", "There is no camera"),
        ("NotReadableError", "another program may be using it"),
    ],
)
def test_a_camera_that_does_not_start_is_said(page: Page, error: str, message: str) -> None:
    # In headless Chromium a camera is always present and allowed.
    page.run(
        "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', arguments[0]); }".replace(
            "arguments[0]", json.dumps(error)
        )
    )
    page.element("camera").click()
    page.notice(message)
    assert page.element("empty").is_displayed()
    assert page.element("camera").get_attribute("aria-pressed") == "false"
    page.pick(CAT)
    page.first_is("cat")
    page.no_notice()


def test_a_token_is_asked_for(driver: Any) -> None:
    with serving("--device", "cpu", "--token", "a secret") as service:
        driver.get(service.address + "/")
        page = Page(driver)
        page.until(page.element("token").is_displayed, "it asks")
        page.element("token").send_keys("wrong\n")
        page.until(page.element("token").is_displayed, "it asks again")
        page.until(lambda: page.element("token").get_attribute("value") == "", "the field is empty")
        page.element("token").send_keys("a secret\n")
        page.until(lambda: page.text("state") == "connected", "the token is right")
        page.pick(CAT)
        page.first_is("cat")


def test_scripts_of_others_do_not_run(page: Page) -> None:
    blocked = page.driver.execute_async_script(
        """const done = arguments[0];
        const found = new Set();
        document.addEventListener("securitypolicyviolation", (event) => {
          found.add(event.effectiveDirective);
          if (found.size === 4) setTimeout(() => done([window.ran, [...found]]), 100);
        });
        const script = document.createElement("script");
        script.textContent = "window.ran = true";
        document.body.append(script);
        const picture = new Image();
        picture.src = "http://127.0.0.2:1/picture.png";
        document.body.setAttribute("onclick", "window.ran = true");
        document.body.click();
        fetch("http://127.0.0.2:1/").catch(() => {});"""
    )
    ran, directives = blocked
    assert ran is None
    assert {"script-src-elem", "script-src-attr", "img-src", "connect-src"} <= set(directives)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


def test_pages_of_other_sites_get_nothing(driver: Any, service: Service, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html><title>another site</title>")
    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path))
    thread = threading.Thread(target=site.serve_forever)
    thread.start()
    try:
        driver.get(f"http://127.0.0.1:{site.server_port}/")
        answers = driver.execute_async_script(
            """const [address, done] = arguments;
            const post = (mode) => fetch(address + "/v1/classify", { method: "POST", body: "x", mode })
              .then((answer) => answer.type, () => "failed");
            Promise.all([post("cors"), post("no-cors")]).then(done);""",
            service.address,
        )
        assert answers[0] == "failed"
        assert answers[1] in ("failed", "opaque")  # a no-cors answer hides its content from the page
        line = service.wait_for("request", path="/v1/classify", status=403)
        assert line["method"] == "POST"
    finally:
        site.shutdown()
        thread.join()
        site.server_close()


def test_nothing_is_asked_of_other_hosts(driver: Any, service: Service) -> None:
    driver.get_log("performance")  # remove the requests of other tests
    page = opened(driver, service)
    page.pick(CAT)
    page.first_is("cat")
    page.element("measure").click()
    page.until(page.element("chart").is_displayed, "there is a chart")
    page.element("camera").click()
    page.until(lambda: page.frames() >= 2, "frames are computed")
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert any(address.startswith(f"{service.address}/v1/classify") for address in asked)
    assert [address for address in asked if not address.startswith((f"{service.address}/", "blob:"))] == []
    errors = [entry for entry in driver.get_log("browser") if service.address in entry["message"]]
    assert [
        entry["message"] for entry in errors if entry["level"] == "SEVERE" and "/page" in entry["message"]
    ] == []
