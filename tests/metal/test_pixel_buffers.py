"""Tests of pixel buffers and IOSurfaces as photos, with those of the emulation in place of PyObjC's."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from metal.emulation import Emulation
from numpy.typing import NDArray

import mpscnn
from mpscnn.vision import photo as photos
from mpscnn.vision import pixel_buffer

SIZE = 5, 7  # odd, so that chroma has a row and a column more than half
ADDRESS = ctypes.c_void_p
_random = np.random.default_rng(4)


class ObjectOfPyObjC:
    """Has the one attribute of PyObjC's objects that is used."""

    def __init__(self, address: int | None) -> None:
        self._address = address

    def __c_void_p__(self) -> ctypes.c_void_p:
        return ctypes.c_void_p(self._address)


class CoreVideo:
    """Makes pixel buffers of the emulation."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL("libmetal_emulation.so")
        self._made: list[ctypes.c_void_p] = []
        self.base = 0

    def function(self, name: str, result: Any, *arguments: Any) -> Any:
        function = getattr(self.library, name)
        function.restype = result
        return function(*arguments)

    def make(self, code: str, planes: list[NDArray[np.uint8]], size: tuple[int, int] = SIZE) -> ADDRESS:
        height, width = map(ctypes.c_size_t, size)
        made = ADDRESS()
        number = ctypes.c_uint32(int.from_bytes(code.encode(), "big"))
        status = self.function(
            "CVPixelBufferCreate", ctypes.c_int32, None, width, height, number, None, ctypes.byref(made)
        )
        assert status == 0
        self._made.append(made)
        self.function("CVPixelBufferLockBaseAddress", ctypes.c_int32, made, ctypes.c_uint64(0))
        for i, plane in enumerate(planes):
            number_of_plane = ctypes.c_size_t(i)
            base = self.function("CVPixelBufferGetBaseAddressOfPlane", ADDRESS, made, number_of_plane)
            step = self.function("CVPixelBufferGetBytesPerRowOfPlane", ctypes.c_size_t, made, number_of_plane)
            self.base = self.base if i else base
            for row, values in enumerate(plane):
                ctypes.memmove(base + row * step, values.tobytes(), values.nbytes)
        self.function("CVPixelBufferUnlockBaseAddress", ctypes.c_int32, made, ctypes.c_uint64(0))
        return made

    def attach(self, buffer: ADDRESS, matrix: str) -> None:
        key, value = (
            ADDRESS.in_dll(self.library, f"kCVImageBufferYCbCrMatrix{end}") for end in ("Key", matrix)
        )
        self.function("CVBufferSetAttachment", None, buffer, key, value, ctypes.c_uint32(1))

    def release(self) -> None:
        for buffer in self._made:
            self.function("CVPixelBufferRelease", None, buffer)


@pytest.fixture
def core_video(emulation: Emulation, monkeypatch: pytest.MonkeyPatch) -> Iterator[CoreVideo]:
    made = CoreVideo()
    monkeypatch.setattr(pixel_buffer, "_libraries", lambda: (made.library,))
    yield made
    made.release()
    gc.collect()
    assert emulation.live_objects() == "", "every buffer is unlocked and released"


def bgra() -> NDArray[np.uint8]:
    pixels = _random.integers(0, 256, (*SIZE, 4), np.uint8)
    pixels[..., 3] = 255
    return pixels


def yuv() -> list[NDArray[np.uint8]]:
    return [_random.integers(16, 236, SIZE, np.uint8), _random.integers(16, 240, (3, 4, 2), np.uint8)]


def inputs(photo: Any) -> NDArray[Any]:
    result: NDArray[Any] = mpscnn.preprocess(photo, (4, 4), "torch")
    return result


def test_a_pixel_buffer_is_read_in_place(core_video: CoreVideo) -> None:
    pixels = bgra()
    buffer = core_video.make("BGRA", [pixels])
    photo = mpscnn.open_photo(ObjectOfPyObjC(buffer.value))
    assert photo.format == "bgra8"
    assert not photo.pixels.flags.owndata
    assert not photo.pixels.flags.writeable
    np.testing.assert_array_equal(photo.pixels, pixels)
    assert photo.pixels.ctypes.data == core_video.base
    assert photo.pixels.strides[0] > 4 * SIZE[1], "rows have gaps"
    right = inputs(mpscnn.open_photo(pixels, channel_order="bgra"))
    np.testing.assert_array_equal(inputs(ObjectOfPyObjC(buffer.value)), right)
    np.testing.assert_array_equal(inputs(photo), right)


@pytest.mark.parametrize(("code", "range_"), [("420v", "video"), ("420f", "full")])
@pytest.mark.parametrize("matrix", ["", "_ITU_R_601_4", "_ITU_R_709_2"])
def test_planes_have_the_range_and_the_matrix_of_the_buffer(
    core_video: CoreVideo, code: str, range_: Any, matrix: str
) -> None:
    planes = yuv()
    buffer = core_video.make(code, planes)
    if matrix:
        core_video.attach(buffer, matrix)
    named: Any = "bt709" if "709" in matrix else "bt601"
    right = mpscnn.YuvImage(planes[0], planes[1], matrix=named, range=range_)
    photo = mpscnn.open_photo(ObjectOfPyObjC(buffer.value), orientation=6)
    assert photo.yuv is not None
    assert (photo.yuv.matrix, photo.yuv.range, photo.orientation) == (named, range_, 6)
    assert not photo.yuv.u.flags.owndata
    np.testing.assert_array_equal(inputs(ObjectOfPyObjC(buffer.value)), inputs(right))


def test_high_frames_without_a_matrix_use_bt709(core_video: CoreVideo) -> None:
    buffer = core_video.make("420v", [], (720, 2))
    photo = mpscnn.open_photo(ObjectOfPyObjC(buffer.value))
    assert photo.yuv is not None
    assert photo.yuv.matrix == "bt709"


def test_a_surface_is_read_in_place(core_video: CoreVideo) -> None:
    pixels = bgra()
    buffer = core_video.make("BGRA", [pixels])
    surface = core_video.function("metal_emulation_surface", ADDRESS, buffer)
    photo = mpscnn.open_photo(ObjectOfPyObjC(surface))
    np.testing.assert_array_equal(photo.pixels, pixels)
    assert photo.pixels.ctypes.data == core_video.base


def test_what_cannot_be_read_says_why(core_video: CoreVideo, emulation: Emulation) -> None:
    argb = core_video.make("\0\0\0\x20", [])
    with pytest.raises(mpscnn.ImageError, match="formats that are read: BGRA, 420v, 420f"):
        mpscnn.open_photo(ObjectOfPyObjC(argb.value))
    other = core_video.make("420v", yuv())
    core_video.attach(other, "_SMPTE_240M_1995")
    with pytest.raises(mpscnn.ImageError, match="neither ITU_R_601_4 nor ITU_R_709_2"):
        mpscnn.open_photo(ObjectOfPyObjC(other.value))
    with pytest.raises(mpscnn.ParameterError, match="channel_order is for arrays"):
        mpscnn.open_photo(ObjectOfPyObjC(argb.value), channel_order="bgra")
    emulation.set("fail_buffers", 1)
    with pytest.raises(mpscnn.ImageError, match=r"cannot be locked \(Core Video's error -6660\)"):
        mpscnn.open_photo(ObjectOfPyObjC(other.value))


def test_other_objects_of_pyobjc_are_no_photos(core_video: CoreVideo) -> None:
    assert core_video
    for address in (None, id(core_video)):
        with pytest.raises(mpscnn.ImageError, match="ObjectOfPyObjC is not a photo"):
            photos.open_photo(ObjectOfPyObjC(address))
