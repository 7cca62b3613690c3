"""Use the page of `mpscnn serve` in a browser like a person."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import service_page
from browser import prefer
from service_page import CAT, CLASSIFIER, Page, clip, opened
from serving import Service

driver, page, service = service_page.driver, service_page.page, service_page.service  # fixtures


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


def test_a_sample_photo_is_offered(page: Page) -> None:
    page.element("sample").click()
    page.first_is("cat")
    assert page.element("photo").get_attribute("alt") == "cat.jpg: cat"
    assert not page.element("empty").is_displayed()


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
    page.notice("broken.jpg is not read: it is damaged or cut off")
    assert page.labels() == []
    tiles[2].click()
    page.first_is("cat")
    page.no_notice()


def unshown(page: Page, name: str) -> None:
    """Wait for the message, which may come after the service's answer."""
    page.until(lambda: page.text("unshown") == f"This browser cannot show {name}.", "a message says it")


def test_a_photo_that_only_the_service_reads(page: Page, tmp_path: Path) -> None:
    from PIL import Image

    path = tmp_path / "cat.tif"
    with Image.open(CAT) as photo:
        photo.save(path)
    page.pick(path)
    page.first_is("cat")
    page.notice("The service reads cat.tif, which this browser cannot show.")
    unshown(page, "cat.tif")
    assert not page.element("photo").is_displayed()
    assert not page.element("save").is_displayed()
    page.pick(CAT)
    page.until(page.element("save").is_displayed, "the next photo is shown")
    assert not page.element("unshown").is_displayed()


def test_a_message_takes_the_place_of_a_broken_picture(page: Page) -> None:
    page.drop(("broken.jpg", "image/jpeg", b"no picture"))
    page.notice("broken.jpg is not read")
    unshown(page, "broken.jpg")
    assert not page.element("photo").is_displayed()
    assert not page.element("save").is_displayed()


def saved(page: Page, folder: Path, name: str) -> Any:
    """Return the picture that the page's button saves."""
    from PIL import Image

    page.driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)}
    )
    page.until(page.element("save").is_displayed, "there is a picture to save")
    page.element("save").click()
    end_of_png = b"IEND\xae\x42\x60\x82"
    page.until(
        lambda: (folder / name).exists() and (folder / name).read_bytes().endswith(end_of_png),
        f"{name} is saved",
    )
    with Image.open(folder / name) as picture:
        return picture.convert("RGB")


def test_the_picture_is_saved_with_its_classes(page: Page, tmp_path: Path) -> None:
    from PIL import Image

    page.pick(CAT)
    page.first_is("cat")
    found = saved(page, tmp_path, "cat_result.png")
    with Image.open(CAT) as photo:
        expected = np.asarray(photo.convert("RGB"), np.float64)
    height, width, _ = expected.shape
    line = max(18, round(max(width, height) / 24))
    assert found.size == (width, height + 5 * line)
    pixels = np.asarray(found, np.float64)
    assert np.abs(pixels[:height] - expected).mean() < 3  # the browser has another JPEG decoder
    share = float(page.driver.find_element("css selector", "#results .share").text.removesuffix(" %")) / 100
    blue = np.all(pixels[height + 2] == (160, 200, 255), axis=-1).mean()
    assert abs(blue - share) < 0.02
    assert (pixels[height + line // 2] < 60).any()  # the letters of the label


def test_the_camera_is_counted_and_given_back(page: Page) -> None:
    page.element("camera").click()
    page.until(lambda: page.frames() >= 10, "ten frames are computed")
    page.until(lambda: page.text("rate")[0].isdecimal(), "the rate of frames is shown")
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
    # Twenty frames come in a second, and at most five are computed.
    page.until(lambda: int(page.text("dropped")) >= 4, "four frames are dropped")
    assert page.run("return window.most") == 1


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


def test_a_dropped_video_plays_and_is_classified(page: Page, tmp_path: Path) -> None:
    page.drop(("cat.webm", "video/webm", clip(tmp_path)))
    page.first_is("cat")
    page.until(lambda: page.frames() >= 3, "frames are computed")
    assert page.element("video").get_attribute("controls")


def test_without_motion_a_video_waits(driver: Any, service: Service, tmp_path: Path) -> None:
    page = opened(driver, service)
    prefer(driver, prefers_reduced_motion="reduce")
    page.drop(("cat.webm", "video/webm", clip(tmp_path)))
    page.first_is("cat")  # the class of the first frame
    assert page.run("return document.getElementById('video').paused")


def test_a_camera_opened_again_is_counted_once(page: Page) -> None:
    page.run(
        """window.open_calls = new Set();
        const video = HTMLVideoElement.prototype;
        const { requestVideoFrameCallback, cancelVideoFrameCallback } = video;
        video.requestVideoFrameCallback = function (call) {
          const number = requestVideoFrameCallback.call(this, (...given) => {
            window.open_calls.delete(number);
            call(...given);
          });
          window.open_calls.add(number);
          return number;
        };
        video.cancelVideoFrameCallback = function (number) {
          window.open_calls.delete(number);
          cancelVideoFrameCallback.call(this, number);
        };"""
    )
    for _ in range(3):
        page.element("camera").click()
        page.until(lambda: page.frames() >= 2, "two frames are computed")
        page.element("camera").click()
        assert page.frames() == 0
        assert page.run("return window.open_calls.size") == 0
    page.element("camera").click()
    page.until(lambda: page.frames() >= 2, "two frames are computed")
    assert page.run("return window.open_calls.size") <= 1


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


def test_sound_alone_is_no_video(page: Page) -> None:
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16_000))
    page.drop(("sound.mp4", "video/mp4", sound.getvalue()))
    page.notice("sound.mp4 is not read: it has no picture")
    assert not page.element("video").is_displayed()
    assert page.element("empty").is_displayed()


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


def test_the_min_score_of_boxes_is_chosen(page: Page, service: Service) -> None:
    page.pick(CAT)
    page.choose("model", "detection")
    page.until(lambda: page.drawn() > 1000, "boxes are drawn")
    scores = [entry["score"] for entry in service.request("/v1/detect", CAT.read_bytes()).json["detections"]]
    assert len(scores) == len(page.labels())
    assert min(scores) < 0.95
    own = service.request("/v1/models/detection").json["score_threshold"]
    assert page.text("score-shown").startswith(f"{100 * own:g} %, the model")
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
    page.choose("threads", "1")
    shows(page, "float32")  # as other tests need it


@pytest.fixture
def in_half(service: Service) -> Iterator[Callable[[], None]]:
    """Yield a function by which another client changes the classifier's precision to float16.

    Restore float32 at the end.
    """
    yield lambda: compiled(service, "float16")
    compiled(service, "float32")


def compiled(service: Service, precision: str) -> None:
    body = json.dumps({"precision": precision, "threads": 1}).encode()
    assert service.request(f"/v1/models/{CLASSIFIER}/options", body).status == 200


def shows(page: Page, precision: str) -> None:
    page.until(lambda: f", {precision}, 1 thread" in page.text("about"), f"it says {precision}")
    assert page.element("precision").get_attribute("value") == precision


def test_an_answer_tells_of_other_settings(page: Page, in_half: Callable[[], None]) -> None:
    page.pick(CAT)
    page.first_is("cat")
    shows(page, "float32")
    in_half()
    page.element("camera").click()
    page.until(lambda: page.frames() >= 1, "a frame is computed")
    shows(page, "float16")
    page.until(lambda: page.frames() >= 3, "frames are computed, and told apart from those before")


def test_another_tab_shows_what_the_first_one_has_changed(page: Page, service: Service) -> None:
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    try:
        page.driver.get(service.address + "/")
        page.until(lambda: page.text("state") == "connected", "the service is there")
        shows(page, "float32")
        other = page.driver.current_window_handle
        page.driver.switch_to.window(first)
        page.choose("precision", "float16")
        shows(page, "float16")
        page.driver.switch_to.window(other)
        # Headless tabs do not get this event from the browser.
        page.run("document.dispatchEvent(new Event('visibilitychange'))")
        shows(page, "float16")
        page.choose("precision", "float32")
        shows(page, "float32")
        page.driver.close()
    finally:
        page.driver.switch_to.window(first)
    page.run("document.dispatchEvent(new Event('visibilitychange'))")
    shows(page, "float32")


def test_another_model_is_shown_as_it_is_compiled(page: Page, service: Service) -> None:
    body = json.dumps({"precision": "float16", "threads": 1}).encode()
    assert service.request("/v1/models/detection/options", body).status == 200
    page.choose("model", "detection")
    shows(page, "float16")


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
    assert not chart.is_displayed()  # the chart belongs to another model
