"""Test that every function that takes photos takes paths, patterns, folders, an ImageFolder, lists and URLs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import file_server
import numpy as np
import pytest
from command_line import COLOURS, save_colour_model, save_photo
from file_server import Server
from patience import little_work
from PIL import Image

import mpscnn
from mpscnn.errors import DownloadError, ParameterError
from mpscnn.registry import download, url_file
from mpscnn.registry.download import Client
from mpscnn.vision.photo_list import photo_paths

FORMS: dict[str, Callable[[Path], Any]] = {
    "text of a folder": str,
    "path of a folder": lambda folder: folder,
    "pattern": lambda folder: str(folder / "*" / "*.png"),
    "list of paths": lambda folder: [folder / "blue/a.png", folder / "green/a.png", folder / "red/a.png"],
    "list of folders": lambda folder: [folder / "blue", str(folder / "green" / "*.png"), folder / "red"],
    "tuple of arrays": lambda _: tuple(
        np.full((8, 8, 3), COLOURS[name], np.uint8) for name in ("blue", "green", "red")
    ),
    "ImageFolder": lambda folder: mpscnn.ImageFolder(folder, size=8),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> mpscnn.Model[Any]:
    return mpscnn.load(save_colour_model(tmp_path_factory.mktemp("model") / "colours.safetensors"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("photos")
    for name in ("red", "green", "blue"):
        (top / name).mkdir()
        save_photo(top / name / "a.png", name)
    return top


def labels(results: Any) -> list[str]:
    return [result.top(1)[0].label for result in results]


@pytest.mark.parametrize("form", FORMS)
def test_predict_and_runners_take_every_form(model: mpscnn.Model[Any], folder: Path, form: str) -> None:
    assert labels(model.predict(FORMS[form](folder))) == ["blue", "green", "red"]
    stream = model.predict(FORMS[form](folder), stream=True)
    assert next(stream).top(1)[0].label == "blue"
    assert labels(stream) == ["green", "red"]
    with mpscnn.Runner(model) as runner:
        assert labels(runner.map(FORMS[form](folder))) == ["blue", "green", "red"]


@pytest.mark.parametrize("form", [form for form in FORMS if "arrays" not in form])
def test_evaluate_takes_every_form_that_says_the_classes(
    model: mpscnn.Model[Any], folder: Path, form: str
) -> None:
    found = mpscnn.evaluate(model, FORMS[form](folder))
    assert (found.images, found.top1) == (3, 1.0)


def test_evaluate_takes_the_test_photos_of_a_split_data_set(
    model: mpscnn.Model[Any], folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "train").symlink_to(folder)
    with pytest.raises(mpscnn.ImageError, match="has photos for training only"):
        mpscnn.evaluate(model, tmp_path)
    (tmp_path / "test").symlink_to(folder)
    assert mpscnn.evaluate(model, tmp_path).images == 3


@pytest.mark.parametrize("form", [form for form in FORMS if "arrays" not in form])
def test_quantize_and_comparisons_take_every_form(model: mpscnn.Model[Any], folder: Path, form: str) -> None:
    photos = FORMS[form](folder)
    assert mpscnn.compare_precisions(model, photos, runs=1, precisions=["float32"]).images == 3
    assert mpscnn.check_precision(model.network, photos).images == 3
    assert mpscnn.compare(model, model, input=photos).verdict()
    assert mpscnn.quantize(trained_on_photos(), photos)[1].images == 3


PIXELS: dict[str, Callable[[Any], Any]] = {
    "list of photos": list,
    "one array": lambda pixels: pixels,
    "list of batches": lambda pixels: [pixels[:1], pixels[1:]],
}


@pytest.mark.parametrize("form", PIXELS)
def test_arrays_of_integers_are_photos(folder: Path, form: str) -> None:
    """Pixels are no input of a network that has preprocessing, so they would calibrate wrong ranges."""
    network, colours = trained_on_photos(), ("blue", "green", "red")
    pixels = np.stack([np.asarray(Image.open(folder / name / "a.png").convert("RGB")) for name in colours])
    expected, found = (
        mpscnn.quantize(network, images)[0].to_dict() for images in (folder, PIXELS[form](pixels))
    )
    assert found == expected
    for use in (mpscnn.quantize, mpscnn.check_precision):
        assert use(network, PIXELS[form](pixels)) is not None
        for dtype in (np.int64, np.float32):
            wrong = [pixels.astype(dtype)] if dtype is np.float32 else PIXELS[form](pixels.astype(dtype))
            with pytest.raises(mpscnn.ImageError, match=r"give numpy\.asarray\(array, numpy\.uint8\)"):
                use(network, wrong)


ONE: dict[str, Callable[[Path], Any]] = {
    "path": str,
    "bytes": lambda path: path.read_bytes(),
    "Pillow image": Image.open,
    "array": lambda path: np.asarray(Image.open(path).convert("RGB")),
}


@pytest.mark.parametrize("form", ONE)
def test_one_photo_is_a_list_of_one(model: mpscnn.Model[Any], folder: Path, form: str) -> None:
    """An array (height, width, channels) is one photo, as in `predict`, and its rows are no photos."""
    photo = ONE[form](folder / "red/a.png")
    with mpscnn.Runner(model) as runner:
        assert labels([model.predict(photo), *runner.map(photo)]) == ["red", "red"]
    assert mpscnn.compare_precisions(model, photo, runs=1, precisions=["float32"]).images == 1
    assert mpscnn.check_precision(model.network, photo).images == 1
    network = trained_on_photos()
    found, report = mpscnn.quantize(network, photo)
    assert report.images == 1
    assert found.to_dict() == mpscnn.quantize(network, [photo])[0].to_dict()
    if form != "path":  # a path has the class of its folder
        with pytest.raises(ParameterError, match=r"expected a folder, .*pairs of a photo and its class, got"):
            mpscnn.evaluate(model, photo)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (None, "expected a folder, .*got NoneType"),
        (3.5, "expected a folder, .*got float"),
        ([np.zeros((8, 8, 3), np.uint8)], "pairs of a photo and its class, got ndarray; zip"),
        ([("a.png", 0, 1)], "pairs of a photo and its class, got tuple of 3; zip"),
        ("absent.png", r"absent\.png: cannot be read"),
        (["absent.png"], r"absent\.png: cannot be read"),
        ("a.mp4", r"mpscnn\.video\('a\.mp4', model\)"),
        (3, r"mpscnn\.video\('camera:3', model\)"),
        ("https://example.org/pink/a.png", "no class 'pink'"),
    ],
)
def test_evaluate_says_what_it_takes(model: mpscnn.Model[Any], wrong: Any, message: str) -> None:
    with pytest.raises((ParameterError, mpscnn.ImageError), match=message):
        mpscnn.evaluate(model, wrong)


def trained_on_photos() -> mpscnn.Network:
    network = mpscnn.Network((8, 8, 3))
    network.output(network.conv2d(network.input, 4, 3))
    network.initialize_weights(seed=1)
    network.preprocess = "unit"
    return network


@pytest.mark.parametrize(
    ("wrong", "lead"),
    [
        *((camera, r"mpscnn\.video\('camera:0', model\)") for camera in (0, "0", "camera:0")),
        ("a.mp4", r"mpscnn\.video\('a\.mp4', model\)"),
    ],
)
def test_videos_and_cameras_lead_to_video(model: mpscnn.Model[Any], wrong: Any, lead: str) -> None:
    with mpscnn.Runner(model) as runner:
        for use in (
            *(model.predict, model.classify, lambda photo: list(runner.map([photo]))),
            *(lambda photo: mpscnn.evaluate(model, photo), lambda photo: mpscnn.quantize(model, photo)),
            *(lambda photo: mpscnn.compare(model, model, photo),),
            *(lambda photo: mpscnn.compare_precisions(model, photo),),
        ):
            with pytest.raises(mpscnn.ImageError, match=lead):
                use(wrong)


def test_a_folder_without_photos_is_an_error(model: mpscnn.Model[Any], tmp_path: Path) -> None:
    for use in (model.predict, lambda photos: mpscnn.quantize(model, photos)):
        with pytest.raises(mpscnn.ImageError, match="the folder has no photos in it"):
            use(tmp_path)


@pytest.mark.usefixtures("empty_cache")
def test_a_url_is_downloaded_once(
    model: mpscnn.Model[Any], folder: Path, server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_server, "BODY", (folder / "green/a.png").read_bytes())
    monkeypatch.setattr(download, "Client", lambda: client)
    monkeypatch.setattr(url_file, "Client", lambda: client)
    url = f"{server.root}photos/a%20b.png?size=8"
    assert labels([model.predict(url), *model.predict([url, folder / "red"])]) == ["green", "green", "red"]
    assert server.ranges == [None]
    assert url_file.cached_file(url).name == "a_b.png"


@pytest.mark.usefixtures("empty_cache")
@pytest.mark.parametrize(
    ("limits", "message"),
    [({"MAX_BYTES": 5}, "the file has .* bytes, 5 are allowed"), ({"MAX_SECONDS": 0.0}, "within 0 seconds")],
)
def test_downloads_are_bounded(
    limits: dict[str, float], message: str, server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, limit in limits.items():
        monkeypatch.setattr(url_file, name, limit)
    with pytest.raises(DownloadError, match=message):
        url_file.cached_file(f"{server.root}a.png", client=client)
    assert [path.suffix for path in (url_file.cache_directory() / "urls").glob("*/*")] == [".lock"]


@pytest.mark.usefixtures("empty_cache")
def test_a_body_without_end_is_cut_off_and_a_lost_connection_is_tried_again(
    server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.script += [file_server.close_in_the_middle]
    path = url_file.cached_file(f"{server.root}a.png", client=client)
    assert path.read_bytes() == file_server.BODY
    monkeypatch.setattr(url_file, "MAX_BYTES", 10 * len(file_server.BODY))
    server.script += [file_server.serve_without_end]
    with pytest.raises(DownloadError, match=r"the file has more than \d+ bytes"):
        url_file.cached_file(f"{server.root}b.png", client=replace(client, attempts=1))


def test_further_stars_of_a_pattern_cost_nothing(tmp_path: Path) -> None:
    place = tmp_path.joinpath(*"abcdefghijklmnopqrst")
    place.mkdir(parents=True)
    (place / "photo.png").touch()
    with little_work():
        found = photo_paths([f"{tmp_path}/{'**/' * 300}*.png"])
    assert found == ([str(place / "photo.png")], [])
    _, failures = photo_paths([f"{tmp_path}/{'*/' * 3_000}*.png"])
    assert "cannot be read as a file or pattern" in str(failures[0])
