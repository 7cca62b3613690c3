"""Test `mpscnn.ImageFolder`: what it reads, that threads change nothing, and the errors of bad folders."""

from __future__ import annotations

import itertools
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from training.photo_classes import make_photos

import mpscnn
from mpscnn import Augmentation, ImageError, ImageFolder, ParameterError
from mpscnn._private.files import real_path
from mpscnn.graph.class_numbers import ClassNumbers
from mpscnn.training import photo_views


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("photos"), {"red": 5, "green": 7, "blue": 6})


def everything(
    data: ImageFolder, epoch: int | None, size: int = 4
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    inputs, labels = zip(*data.batches(size, epoch=epoch), strict=True)
    return np.concatenate(inputs), np.concatenate(labels)


def test_photos_come_as_the_network_would_get_them(photos: Path) -> None:
    data = ImageFolder(photos, size=(16, 24), augment=True)
    assert data.labels == ["blue", "green", "red"]
    assert len(data) == 18
    inputs, labels = everything(data, None)
    assert labels.tolist() == [0] * 6 + [1] * 7 + [2] * 5
    for path, image in zip(data.paths, inputs, strict=True):
        np.testing.assert_array_equal(image, mpscnn.preprocess(path, (16, 24))[0])


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_change_nothing(photos: Path, threads: int) -> None:
    one = ImageFolder(photos, size=16, augment=True, seed=3, threads=1)
    several = ImageFolder(photos, size=16, augment=True, seed=3, threads=threads)
    for epoch in (0, 1):
        for a, b in zip(everything(one, epoch), everything(several, epoch), strict=True):
            np.testing.assert_array_equal(a, b)


def test_an_epoch_depends_on_its_number_and_the_seed(photos: Path) -> None:
    data = ImageFolder(photos, size=16, augment=True, seed=3)
    first, again = everything(data, 0)[0], everything(data, 0)[0]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, everything(data, 1)[0])
    assert not np.array_equal(first, everything(ImageFolder(photos, size=16, augment=True, seed=4), 0)[0])
    rest = list(data.batches(4, epoch=0, first=2))
    np.testing.assert_array_equal(np.concatenate([x for x, _ in rest]), first[8:])


@pytest.mark.parametrize("kind", ["plain", "mixed", "transformed"])
def test_all_views_of_photos_are_each_view_and_decode_photos_once(
    photos: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def darken(photo: Any) -> Any:
        photo.paste((0, 0, 0), (0, 0, 3, 3))  # a transform may change the photo that it gets
        return photo

    augment = Augmentation(mixup=0.4, cutmix=0.4) if kind == "mixed" else True
    options = {"transform": darken} if kind == "transformed" else {}
    data = ImageFolder(photos, size=16, augment=augment, seed=3, threads=2, **options)
    expected = [[*zip(*data.view(number, 4), strict=True)] for number in range(3)]
    opened: list[Any] = []
    open_photo = photo_views.open_photo
    monkeypatch.setattr(photo_views, "open_photo", lambda given: opened.append(given) or open_photo(given))
    found = [*zip(*data.views(3, 4), strict=True)]
    for part, dtype in enumerate((np.float32, None)):
        views = np.concatenate(found[part])
        assert len(views) == 18
        for number, of_view in enumerate(expected):
            one = np.concatenate(of_view[part])
            if kind == "mixed" and part == 1 and number == 0:
                one = np.eye(3)[one]  # the unchanged photos have class numbers
            np.testing.assert_array_equal(views[:, number], one.astype(dtype or one.dtype))
    if kind == "plain":
        assert sorted(opened) == sorted(data.paths)


def test_views_stay_in_the_range_of_photos(photos: Path) -> None:
    wild = Augmentation(crop=0.1, aspect=2, brightness=1, contrast=1, saturation=1)
    data = ImageFolder(photos, size=16, augment=wild, preprocess="tensorflow")
    inputs, _ = everything(data, 0)
    assert inputs.min() >= -1 - 1e-6
    assert inputs.max() <= 1 + 1e-6
    still = Augmentation(flip=1, crop=1, aspect=1, brightness=0, contrast=0, saturation=0)
    mirrored = ImageFolder(photos, size=16, augment=still)
    order = np.random.default_rng([0, 0]).permutation(18)
    np.testing.assert_array_equal(
        everything(mirrored, 0)[0], everything(mirrored, None)[0][order][:, :, ::-1]
    )


def test_the_split_takes_of_each_class(photos: Path) -> None:
    data = ImageFolder(photos, size=16, augment=True, seed=1)
    training, validation = data.split(0.3)
    assert np.bincount(validation.targets).tolist() == [2, 2, 2]
    assert sorted(training.paths + validation.paths) == sorted(data.paths)
    assert (
        np.sort(everything(validation, 0)[0].sum((1, 2, 3))).tolist()
        == np.sort(everything(validation, None)[0].sum((1, 2, 3))).tolist()
    )
    other = ImageFolder(photos, size=16, seed=2).split(0.3)[1]
    assert other.paths != validation.paths


def test_a_reader_that_stops_early_leaves_no_thread(photos: Path) -> None:
    batches = ImageFolder(photos, size=16, threads=2).batches(2, epoch=0)
    assert len(list(itertools.islice(batches, 2))) == 2
    batches.close()  # type: ignore[attr-defined]
    import threading

    assert not [t for t in threading.enumerate() if t.name.startswith("mpscnn-photos")]


def test_a_photo_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    make_photos(tmp_path, {"red": 2, "green": 2})
    (tmp_path / "red" / "bad.jpg").write_bytes(b"no photo")
    with pytest.raises(ImageError, match=r"red/bad\.jpg"):
        list(ImageFolder(tmp_path, size=16))


def test_what_a_folder_must_have(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="nowhere"):
        ImageFolder(tmp_path / "nowhere")
    with pytest.raises(ImageError, match="nothing to train with"):
        ImageFolder(tmp_path)
    make_photos(tmp_path, {"red": 2})
    with pytest.raises(ImageError, match="has one class, 'red'"):
        ImageFolder(tmp_path)
    (tmp_path / "green").mkdir()
    (tmp_path / "green" / "notes.txt").write_text("none yet")
    with pytest.raises(ImageError, match="no photo in 'green'"):
        ImageFolder(tmp_path)
    (tmp_path / "red" / "000.png").rename(tmp_path / "stray.png")
    with pytest.raises(ImageError, match=r"'stray\.png' lies next to"):
        ImageFolder(tmp_path)


def test_photos_without_classes(tmp_path: Path) -> None:
    make_photos(tmp_path, {"red": 2})
    with pytest.raises(ImageError, match=r"photos only \('000\.png', '001\.png'\)"):
        ImageFolder(tmp_path / "red")


@pytest.mark.parametrize("first", ["caf\u00e9", "CAF\u00c9"])
def test_names_that_differ_by_their_unicode_form(tmp_path: Path, first: str) -> None:
    """The names look alike, so the error shows their code points."""
    make_photos(tmp_path, {"red": 1, "green": 1})
    (tmp_path / "red").rename(tmp_path / first)
    if (tmp_path / "cafe\u0301").exists():
        pytest.skip("this file system does not tell Unicode forms apart")
    (tmp_path / "green").rename(tmp_path / "cafe\u0301")
    with pytest.raises(ImageError, match="differ by case or Unicode form only") as raised:
        ImageFolder(tmp_path)
    assert r"'cafe\u0301'" in str(raised.value)
    assert ascii(first) in str(raised.value)


def test_an_empty_name_is_not_the_current_folder(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    with pytest.raises(ImageError, match="'': an empty name is not a folder"):
        ImageFolder("")
    assert len(ImageFolder(".")) == 18


@pytest.mark.parametrize(
    ("links", "one", "other"),
    [
        ({"again": "red"}, "again", "red"),
        ({"apart": "red/deep"}, "red", "apart"),
        ({"there": "../outside", "twice": "there"}, "there", "twice"),
    ],
)
def test_links_by_which_photos_would_be_of_two_classes(
    tmp_path: Path, links: dict[str, str], one: str, other: str
) -> None:
    top = make_photos(tmp_path / "top", {"red": 2, "green": 2})
    make_photos(top / "red", {"green": 1})
    (top / "red" / "green").rename(top / "red" / "deep")
    make_photos(tmp_path, {"blue": 2}).joinpath("blue").rename(tmp_path / "outside")
    for link, target in links.items():
        (top / link).symlink_to(target)
    with pytest.raises(ImageError, match=f"are of the classes '{one}' and '{other}', by a link"):
        ImageFolder(top)


def test_a_class_may_be_a_link_to_a_folder_elsewhere(tmp_path: Path) -> None:
    top = make_photos(tmp_path / "top", {"red": 2, "green": 2})
    make_photos(tmp_path, {"blue": 2})
    (top / "sea").symlink_to("../blue")
    assert ImageFolder(top).labels == ["green", "red", "sea"]


@pytest.mark.parametrize(
    ("link", "target", "message"),
    [
        ("again", ".", "leads back to"),
        ("red/deep/again", "..", "leads back to"),
        ("gone", "nothing", "leads nowhere"),
        ("red/round", "round", "leads nowhere"),
    ],
)
def test_links_that_lead_nowhere_or_go_round(tmp_path: Path, link: str, target: str, message: str) -> None:
    make_photos(tmp_path, {"red": 2, "green": 2})
    (tmp_path / "red" / "deep").mkdir()
    (tmp_path / link).symlink_to(target)
    with pytest.raises(ImageError, match=message) as raised:
        ImageFolder(tmp_path)
    assert str(tmp_path / link) in str(raised.value)


def test_a_long_chain_of_links_leads_nowhere(tmp_path: Path) -> None:
    """Python cannot follow such a chain either."""
    make_photos(tmp_path, {"red": 2, "green": 2})
    for number in range(2_000):
        (tmp_path / "red" / f"z{number:04}.png").symlink_to(f"z{number + 1:04}.png")
    (tmp_path / "red" / "z2000.png").touch()
    with pytest.raises(ImageError, match=r"z0000\.png: is a link that leads nowhere \(z0001\.png\)"):
        ImageFolder(tmp_path)
    with pytest.raises(OSError, match="Too many levels"):
        real_path(tmp_path / "red" / "z0000.png")


def test_many_classes_are_numbered_in_one_pass(photos: Path) -> None:
    """Each name is compared with few others, so a folder of many classes costs little."""
    compared = 0

    class Name(str):
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str(self) == str(other)

    data = copy(ImageFolder(photos, size=8))
    data.labels = [Name(number) for number in range(2_000)]
    data.targets = ClassNumbers.of(np.repeat(np.arange(2_000), 2), data.labels)
    data.paths = data.paths[:1] * 4_000
    numbered = data.numbered_like([Name(number) for number in reversed(range(2_000))])
    assert numbered.targets[:4].tolist() == [1_999, 1_999, 1_998, 1_998]
    assert compared < 8_000
    parts = data.split(0.5)
    assert [np.unique(part.targets).tolist() for part in parts] == [list(range(2_000))] * 2


def test_a_class_with_one_photo_cannot_be_split(tmp_path: Path) -> None:
    make_photos(tmp_path, {"red": 1, "green": 3})
    with pytest.raises(ImageError, match="one photo only in 'red'"):
        ImageFolder(tmp_path).split(0.2)


def test_options_out_of_range(photos: Path) -> None:
    with pytest.raises(ParameterError, match="seed"):
        ImageFolder(photos, seed=-1)
    with pytest.raises(ParameterError, match="threads"):
        ImageFolder(photos, threads=0)
    with pytest.raises(ParameterError, match="augment must be"):
        ImageFolder(photos, augment=1)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="flip must be 0 to 1"):
        Augmentation(flip=2)
    for share in (1.0, 0, "a", None, True, float("nan")):
        with pytest.raises(ParameterError, match="share for validation must be a number above 0 and below 1"):
            ImageFolder(photos).split(share)  # type: ignore[arg-type]
    for channels in (True, 2, 3.0, "3", None):
        with pytest.raises(ParameterError, match="channels must be 3, or 1 for gray"):
            ImageFolder(photos, channels=channels)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [10**9, (16, 16_385), 16_385])
def test_a_size_is_within_what_photos_become(photos: Path, size: int | tuple[int, int]) -> None:
    with pytest.raises(ParameterError, match="size must be at most 16,384"):
        mpscnn.preprocess(np.zeros((2, 2, 3), np.uint8), (1, 16_385))
    with pytest.raises(ParameterError, match="size must be at most 16,384"):
        ImageFolder(photos, size)
    ImageFolder(photos, 16_384)


@pytest.mark.parametrize(
    ("name", "call", "given"),
    [
        *(("size", ImageFolder.batches, {"size": size}) for size in (0, 2.5, "4", None, True)),
        *(("epoch", ImageFolder.batches, {"size": 4, "epoch": epoch}) for epoch in (-1, 0.5, "0")),
        *(("first", ImageFolder.batches, {"size": 4, "first": first}) for first in (-1, 1.0, None)),
        *(("number", ImageFolder.view, {"number": number, "size": 4}) for number in (-1, 0.5)),
        *(("size", ImageFolder.view, {"number": 0, "size": size}) for size in (0, 2.5)),
        *(("count", ImageFolder.views, {"count": count, "size": 4}) for count in (0, 0.5)),
        *(("size", ImageFolder.views, {"count": 1, "size": size}) for size in (0, 2.5)),
    ],
)
def test_batches_and_views_out_of_range(photos: Path, name: str, call: Any, given: dict[str, Any]) -> None:
    """Wrong arguments are refused at once, not when the first batch is made."""
    with pytest.raises(ParameterError, match=f"{name} must be"):
        call(ImageFolder(photos, 16), **given)
