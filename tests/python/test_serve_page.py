"""The page of `mpscnn serve` in a browser: what a person does with it, and what it must never do."""

from __future__ import annotations

import base64
import functools
import http.server
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import photo_models
import pytest
from browser import CHROMIUM, DRIVER, chromium, prefer, resize
from serving import Service, serving

pytest.importorskip("fastapi", reason="FastAPI is not installed")
pytest.importorskip("uvicorn", reason="uvicorn is not installed")
pytest.importorskip("prometheus_client", reason="prometheus_client is not installed")
pytest.importorskip("selenium", reason="Selenium is not installed")
if CHROMIUM is None or DRIVER is None:
    pytest.skip("chromium and chromedriver are not installed", allow_module_level=True)

CAT = Path(__file__).resolve().parents[2] / "examples" / "images" / "cat.jpg"
CLASSIFIER = "cifar10_mobilenet_v2"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The bundled classifier, and a small detector and segmenter."""
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
    """The page as a person sees it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def element(self, name: str) -> Any:
        return self.driver.find_element("id", name)

    def text(self, name: str) -> str:
        return str(self.element(name).text)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def until(self, condition: Callable[[], Any], what: str, seconds: float = 15) -> Any:
        """What a condition gives as soon as it is true."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            shown = f"notices: {self.text('notices')!r}, results: {self.text('results')!r}"
            assert time.monotonic() < end, f"not in {seconds} seconds: {what}; {shown}"
            time.sleep(0.03)
        return found

    def pick(self, *files: Path) -> None:
        self.element("files").send_keys("\n".join(map(str, files)))

    def drop(self, *files: tuple[str, str, bytes]) -> None:
        """Files by name, media type and content."""
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
        """Of the results, the first one first."""
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
        """Pixels of the picture over which something is drawn."""
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


def test_a_chosen_photo_is_classified(page: Page) -> None:
    page.pick(CAT)
    page.first_is("cat")
    assert len(page.labels()) == 5
    assert page.element("photo").get_attribute("alt") == "cat.jpg: cat"
    assert float(page.text("latency").removesuffix(" ms")) > 0
    assert not page.element("strip").is_displayed()
    page.until(
        lambda: page.element("spoken").get_attribute("textContent") == "cat", "a screen reader says it"
    )


def test_dropped_photos_become_a_strip(page: Page) -> None:
    cat = CAT.read_bytes()
    page.drop(
        ("a.jpg", "image/jpeg", cat), ("broken.jpg", "image/jpeg", cat[:3000]), ("c.jpg", "image/jpeg", cat)
    )
    page.first_is("cat")
    tiles = page.driver.find_elements("css selector", "#strip button")
    names = ["a.jpg: cat", "broken.jpg: not read", "c.jpg: cat"]
    page.until(lambda: [tile.accessible_name for tile in tiles] == names, "all are done")
    tiles[1].click()
    page.notice("broken.jpg is not read")
    assert page.labels() == []
    tiles[2].click()
    page.first_is("cat")
    page.no_notice()


def test_a_photo_that_only_the_service_reads(page: Page, tmp_path: Path) -> None:
    from PIL import Image

    path = tmp_path / "cat.tif"
    with Image.open(CAT) as photo:
        photo.save(path)
    page.pick(path)
    page.first_is("cat")
    page.notice("cannot show cat.tif")


def test_the_camera_is_counted_and_given_back(page: Page) -> None:
    page.element("camera").click()
    page.until(lambda: page.frames() >= 10, "ten frames are computed")
    assert float(page.text("rate")) > 0
    assert int(page.text("dropped")) >= 0
    assert len(page.labels()) == 5
    page.run("window.track = document.getElementById('video').srcObject.getVideoTracks()[0]")
    assert page.element("camera").get_attribute("aria-pressed") == "true"
    page.element("camera").click()
    assert page.run("return window.track.readyState") == "ended"
    assert page.element("camera").get_attribute("aria-pressed") == "false"
    assert page.element("empty").is_displayed()


def test_one_frame_is_under_way_at_a_time(page: Page) -> None:
    page.run(
        """window.most = window.now = 0;
        const real = window.fetch;
        window.fetch = async (path, ...rest) => {
          if (!String(path).startsWith("v1/classify")) return real(path, ...rest);
          window.most = Math.max(window.most, ++window.now);
          await new Promise((done) => setTimeout(done, 200));
          try { return await real(path, ...rest); } finally { window.now -= 1; }
        };"""
    )
    page.element("camera").click()
    page.until(lambda: page.frames() >= 4, "four frames are computed")
    assert page.run("return window.most") == 1
    # Twenty frames a second, of which at most five are computed.
    assert int(page.text("dropped")) >= 4


@pytest.mark.parametrize(("raw", "kind"), [(True, "PPM"), (False, "JPEG")])
def test_frames_are_sent_as_pixels_or_small(page: Page, raw: bool, kind: str) -> None:
    from PIL import Image

    content = page.driver.execute_async_script(
        """const [raw, done] = arguments;
        import("./live.js").then(async ({ frameFile }) => {
          const canvas = document.createElement("canvas");
          canvas.width = 50;
          canvas.height = 30;
          const context = canvas.getContext("2d");
          context.fillStyle = "rgb(200, 100, 50)";
          context.fillRect(0, 0, 50, 30);
          context.fillStyle = "rgb(20, 200, 60)";
          context.fillRect(0, 0, 25, 30);
          const file = await frameFile(canvas, context, raw);
          done([...new Uint8Array(await file.arrayBuffer())]);
        });""",
        raw,
    )
    with Image.open(io.BytesIO(bytes(content))) as frame:
        assert frame.format == kind
        assert frame.size == (50, 30)
        for place, colour in (((5, 15), (20, 200, 60)), ((45, 15), (200, 100, 50))):
            assert frame.getpixel(place) == (colour if raw else pytest.approx(colour, abs=6))


def clip(directory: Path) -> bytes:
    """A second of the cat as WebM."""
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


def test_a_dropped_video_plays_and_is_classified(page: Page, tmp_path: Path) -> None:
    page.drop(("cat.webm", "video/webm", clip(tmp_path)))
    page.first_is("cat")
    page.until(lambda: page.frames() >= 3, "frames are computed")
    assert page.element("video").get_attribute("controls")


def test_without_motion_a_video_waits(driver: Any, service: Service, tmp_path: Path) -> None:
    page = opened(driver, service)
    prefer(driver, prefers_reduced_motion="reduce")
    page.drop(("cat.webm", "video/webm", clip(tmp_path)))
    page.first_is("cat")  # its first frame
    assert page.run("return document.getElementById('video').paused")


def test_a_video_that_stands_is_computed_by_another_model(page: Page, tmp_path: Path) -> None:
    prefer(page.driver, prefers_reduced_motion="reduce")
    page.drop(("cat.webm", "video/webm", clip(tmp_path)))
    page.first_is("cat")
    page.choose("model", "segmentation")
    page.until(lambda: page.drawn() > 1000, "a mask is drawn")
    assert page.run("return document.getElementById('video').paused")


def test_a_new_source_shows_nothing_of_the_old_one(page: Page) -> None:
    page.choose("model", "segmentation")
    page.element("camera").click()
    page.until(lambda: page.drawn() > 1000, "a mask is drawn")
    page.element("camera").click()
    assert page.labels() == []
    page.choose("model", CLASSIFIER)
    page.pick(CAT)
    page.first_is("cat")
    assert page.drawn() == 0
    assert page.run("return document.getElementById('video').srcObject") is None


def test_a_video_that_is_none_is_said(page: Page) -> None:
    page.drop(("clip.mp4", "video/mp4", b"no video"))
    page.notice("clip.mp4 is not read")
    assert page.element("empty").is_displayed()


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_boxes_and_masks_lie_over_the_picture(page: Page, task: str) -> None:
    page.pick(CAT)
    page.first_is("cat")
    assert page.drawn() == 0
    page.choose("model", task)
    page.until(lambda: page.drawn() > 1000, "something is drawn")
    assert set(page.labels()) <= {"red", "green", "blue"}
    overlay, picture = page.element("overlay").rect, page.element("photo").rect
    assert overlay == pytest.approx(picture, abs=1)


def test_boxes_lie_where_the_service_finds_them(page: Page, service: Service) -> None:
    page.choose("model", "detection")
    page.pick(CAT)
    page.until(lambda: page.drawn() > 1000, "boxes are drawn")
    answer = service.request("/v1/detect", CAT.read_bytes()).json
    left, top, right, bottom = answer["detections"][0]["box"]
    middle = (
        (left + right) / 2 / answer["width"],
        bottom / answer["height"],
        (top + bottom) / 2 / answer["height"],
    )
    line, inside = page.run(
        """const overlay = document.getElementById("overlay");
        const context = overlay.getContext("2d");
        const alpha = (x, y) => context.getImageData(Math.min(x * overlay.width, overlay.width - 2),
            Math.min(y * overlay.height, overlay.height - 2), 1, 1).data[3];
        return [alpha(arguments[0], arguments[1]), alpha(arguments[0], arguments[2])];""",
        *middle,
    )
    assert line > 0
    assert inside == 0


def test_the_least_score_of_boxes_is_chosen(page: Page, service: Service) -> None:
    page.pick(CAT)
    page.choose("model", "detection")
    page.until(lambda: page.drawn() > 1000, "boxes are drawn")
    scores = [entry["score"] for entry in service.request("/v1/detect", CAT.read_bytes()).json["detections"]]
    assert len(scores) == len(page.labels())
    assert min(scores) < 0.95
    assert page.text("score-shown").startswith("the model")
    page.run(
        """const score = document.getElementById("score");
        score.value = 95;
        for (const name of ["input", "change"]) score.dispatchEvent(new Event(name));"""
    )
    page.until(lambda: len(page.labels()) < len(scores), "fewer boxes are left")
    assert page.text("score-shown") == "95 %"


def test_a_refused_option_is_said(page: Page, service: Service) -> None:
    page.run("document.getElementById('precision').append(new Option('double', 'double'))")
    page.choose("precision", "double")
    page.notice("Not changed")
    assert page.element("precision").get_attribute("value") == "float32"
    page.choose("precision", "auto")
    page.no_notice()
    assert service.request(f"/v1/models/{CLASSIFIER}").json["precision"] == "float32"


def test_precision_and_threads_are_changed(page: Page, service: Service) -> None:
    page.pick(CAT)
    page.first_is("cat")
    page.choose("precision", "float16")
    page.until(lambda: "float16" in page.text("about"), "it says float16")
    page.first_is("cat")
    page.choose("threads", "auto")
    page.until(lambda: "Compiling" not in page.text("about"), "it is compiled")
    described = service.request(f"/v1/models/{CLASSIFIER}").json
    assert described["precision"] == "float16"
    assert page.element("threads").get_attribute("value") == str(described["threads"])
    page.choose("precision", "float32")
    page.until(lambda: "float32" in page.text("about"), "it says float32")
    assert service.request(f"/v1/models/{CLASSIFIER}").json["precision"] == "float32"


def test_the_profile_is_a_chart_and_a_table(page: Page, service: Service) -> None:
    from selenium.webdriver.common.keys import Keys

    steps = service.request(f"/v1/models/{CLASSIFIER}/profile?runs=1").json["steps"]
    page.element("measure").click()
    chart = page.element("chart")
    page.until(chart.is_displayed, "there is a chart")
    assert len(chart.find_elements("css selector", "rect")) == len(steps)
    chart.send_keys(Keys.HOME)
    assert chart.get_attribute("aria-valuenow") == "1"
    chart.send_keys(Keys.ARROW_RIGHT)
    assert chart.get_attribute("aria-valuenow") == "2"
    assert " + ".join(steps[1]["layers"][:2]) in chart.get_attribute("aria-valuetext")
    rows = page.driver.find_elements("css selector", "#steps tbody tr")
    assert len(rows) == len(steps)
    shares = [float(row.find_elements("css selector", "td")[2].get_attribute("textContent")) for row in rows]
    assert sum(shares) == pytest.approx(100, abs=0.05 * len(steps))
    page.choose("model", "detection")
    assert not chart.is_displayed()  # it was another model's


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

    fields = ["A", "camera", "choose", "model", "device", "precision", "threads", "measure"]
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
        let left = 2;
        window.fetch = async (path, ...rest) => {
          if (!String(path).startsWith("v1/classify") || left-- <= 0) return real(path, ...rest);
          const body = JSON.stringify({ error: "QueueFull", message: "64 requests wait already" });
          return new Response(body, { status: 503, headers: { "Retry-After": "1" } });
        };"""
    )
    page.pick(CAT)
    page.notice("busy")
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
    # Headless, Chromium's camera is always there and always allowed.
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
        const found = [];
        document.addEventListener("securitypolicyviolation", (event) => found.push(event.effectiveDirective));
        const script = document.createElement("script");
        script.textContent = "window.ran = true";
        document.body.append(script);
        const picture = new Image();
        picture.src = "http://127.0.0.2:1/picture.png";
        document.body.setAttribute("onclick", "window.ran = true");
        document.body.click();
        fetch("http://127.0.0.2:1/").catch(() => {}).then(() => setTimeout(() => done([window.ran, found]), 100));"""
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
        assert answers[1] in ("failed", "opaque")  # a no-cors answer has no content for the page
        line = service.wait_for("request", path="/v1/classify", status=403)
        assert line["method"] == "POST"
    finally:
        site.shutdown()
        thread.join()
        site.server_close()


def test_nothing_is_asked_of_other_hosts(driver: Any, service: Service) -> None:
    driver.get_log("performance")  # of other tests, which tried
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
