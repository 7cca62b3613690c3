"""Read the pixels of Core Video's pixel buffers and of IOSurfaces in place: frames of cameras and screens on a Mac.

PyObjC's objects of these types give the address of the C object. The functions of Core Video are called by ctypes, so
none of PyObjC's packages is imported here.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import ImageError

_FRAMEWORKS = ("CoreFoundation", "CoreVideo", "IOSurface")
_READ_ONLY = 1  # kCVPixelBufferLock_ReadOnly
_Matrix = Literal["bt601", "bt709"]
#: The constants of Core Video for matrices that the core has, by the name of each.
_MATRICES: dict[str, _Matrix] = {
    "kCVImageBufferYCbCrMatrix_ITU_R_601_4": "bt601",
    "kCVImageBufferYCbCrMatrix_ITU_R_709_2": "bt709",
}


def _fourcc(text: str) -> int:
    return int.from_bytes(text.encode("ascii"), "big")


#: The formats that are read: their name, and the bytes of a pixel in each plane.
_FORMATS = {
    _fourcc("BGRA"): ("BGRA", (4,)),
    _fourcc("420v"): ("420v", (1, 2)),
    _fourcc("420f"): ("420f", (1, 2)),
}
_NAMES = ", ".join(name for name, _ in _FORMATS.values())
_POINTER, _SIZE, _STATUS = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int32
#: The result and the arguments of each function.
_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "CFGetTypeID": (ctypes.c_ulong, (_POINTER,)),
    "CFEqual": (ctypes.c_ubyte, (_POINTER, _POINTER)),
    "CVBufferGetAttachment": (_POINTER, (_POINTER, _POINTER, _POINTER)),
    "CVPixelBufferCreateWithIOSurface": (_STATUS, (_POINTER, _POINTER, _POINTER, _POINTER)),
    "CVPixelBufferGetBaseAddress": (_POINTER, (_POINTER,)),
    "CVPixelBufferGetBaseAddressOfPlane": (_POINTER, (_POINTER, _SIZE)),
    "CVPixelBufferGetBytesPerRow": (_SIZE, (_POINTER,)),
    "CVPixelBufferGetBytesPerRowOfPlane": (_SIZE, (_POINTER, _SIZE)),
    "CVPixelBufferGetHeight": (_SIZE, (_POINTER,)),
    "CVPixelBufferGetPixelFormatType": (ctypes.c_uint32, (_POINTER,)),
    "CVPixelBufferGetTypeID": (ctypes.c_ulong, ()),
    "CVPixelBufferGetWidth": (_SIZE, (_POINTER,)),
    "CVPixelBufferLockBaseAddress": (_STATUS, (_POINTER, ctypes.c_uint64)),
    "CVPixelBufferRelease": (None, (_POINTER,)),
    "CVPixelBufferRetain": (_POINTER, (_POINTER,)),
    "CVPixelBufferUnlockBaseAddress": (_STATUS, (_POINTER, ctypes.c_uint64)),
    "IOSurfaceGetTypeID": (ctypes.c_ulong, ()),
}

Plane = NDArray[np.uint8]


@dataclass(frozen=True)
class Planes:
    """The planes of a pixel buffer, which their arrays keep locked and alive."""

    arrays: tuple[Plane, ...]
    """BGRA (height, width, 4), or luma (height, width) and chroma (rows, columns, 2). Rows may be apart."""
    format: str
    """"BGRA", "420v" or "420f"."""
    matrix: _Matrix | None
    """The matrix that is attached to the buffer; None if there is none."""

    @property
    def range(self) -> Literal["video", "full"]:
        """The range of luma and chroma."""
        return "full" if self.format == "420f" else "video"


@cache
def _libraries() -> tuple[ctypes.CDLL, ...]:
    if platform.system() != "Darwin":
        return ()
    folder = "/System/Library/Frameworks"
    return tuple(ctypes.CDLL(f"{folder}/{name}.framework/{name}") for name in _FRAMEWORKS)


def _symbol(find: Callable[[ctypes.CDLL], Any], name: str) -> Any:
    for library in _libraries():
        try:
            return find(library)
        except (AttributeError, ValueError):
            continue
    raise ImageError(f"pixel buffer: this system's Core Video has no {name}")


def _call(name: str, *arguments: Any) -> Any:
    function = _symbol(lambda library: getattr(library, name), name)
    function.restype, function.argtypes = _FUNCTIONS[name]
    return function(*arguments)


def _address(photo: Any) -> int | None:
    """Return the address of PyObjC's object, or None for another object."""
    pointer = getattr(type(photo), "__c_void_p__", None)
    if pointer is None or not _libraries():
        return None
    address: int | None = pointer(photo).value
    return address


def is_pixel_buffer(photo: Any) -> bool:
    """Return True for an object of PyObjC that is a CVPixelBuffer or an IOSurface."""
    address = _address(photo)
    if not address:
        return False
    kinds = (_call("CVPixelBufferGetTypeID"), _call("IOSurfaceGetTypeID"))
    return _call("CFGetTypeID", address) in kinds


class _Locked:
    """A locked pixel buffer. It is unlocked and released with this object."""

    def __init__(self, photo: Any) -> None:
        self._photo = photo  # PyObjC's object may own the memory
        self.buffer: int | None = None
        self._locked = False
        address = _address(photo)
        if _call("CFGetTypeID", address) == _call("IOSurfaceGetTypeID"):
            made = ctypes.c_void_p()
            if _call("CVPixelBufferCreateWithIOSurface", None, address, None, ctypes.byref(made)) != 0:
                raise ImageError("IOSurface: Core Video makes no pixel buffer of it")
            self.buffer = made.value
        else:
            self.buffer = _call("CVPixelBufferRetain", address)
        if (status := _call("CVPixelBufferLockBaseAddress", self.buffer, _READ_ONLY)) != 0:
            raise ImageError(f"pixel buffer: its memory cannot be locked (Core Video's error {status})")
        self._locked = True

    def __del__(self) -> None:
        if self._locked:
            _call("CVPixelBufferUnlockBaseAddress", self.buffer, _READ_ONLY)
        if self.buffer is not None:
            _call("CVPixelBufferRelease", self.buffer)

    def plane(self, address: int, height: int, width: int, pixel_bytes: int, row_bytes: int) -> Plane:
        """Return a read-only array over a plane. The array keeps this object alive."""
        memory = (ctypes.c_uint8 * (row_bytes * (height - 1) + width * pixel_bytes)).from_address(address)
        memory.locked = self  # type: ignore[attr-defined]
        shape, strides = (height, width, pixel_bytes), (row_bytes, pixel_bytes, 1)
        array: Plane = np.ndarray(shape, np.uint8, memoryview(memory), strides=strides)
        array.flags.writeable = False
        return array if pixel_bytes > 1 else array[:, :, 0]


def _attached_matrix(buffer: int | None) -> _Matrix | None:
    def constant(name: str) -> int | None:
        value: ctypes.c_void_p = _symbol(lambda library: ctypes.c_void_p.in_dll(library, name), name)
        return value.value

    attached = _call("CVBufferGetAttachment", buffer, constant("kCVImageBufferYCbCrMatrixKey"), None)
    if attached is None:
        return None
    for name, matrix in _MATRICES.items():
        if _call("CFEqual", attached, constant(name)):
            return matrix
    raise ImageError("pixel buffer: the matrix that is attached to it is neither ITU_R_601_4 nor ITU_R_709_2")


def read_planes(photo: Any) -> Planes:
    """Return the planes of a CVPixelBuffer or an IOSurface without a copy.

    Raises:
        ImageError: another format, an attached matrix that is neither that of BT.601 nor of BT.709, or memory that
            cannot be locked.
    """
    locked = _Locked(photo)
    buffer = locked.buffer
    code = _call("CVPixelBufferGetPixelFormatType", buffer)
    if code not in _FORMATS:
        text = code.to_bytes(4, "big").decode("latin-1")
        raise ImageError(f"pixel buffer: its format is {text!r}; formats that are read: {_NAMES}")
    name, (first, *others) = _FORMATS[code]
    height, width = _call("CVPixelBufferGetHeight", buffer), _call("CVPixelBufferGetWidth", buffer)
    if not others:
        base, row_bytes = (
            _call(f"CVPixelBufferGet{part}", buffer) for part in ("BaseAddress", "BytesPerRow")
        )
        return Planes((locked.plane(base, height, width, first, row_bytes),), name, None)
    sizes = ((height, width, first), ((height + 1) // 2, (width + 1) // 2, others[0]))
    arrays = tuple(
        locked.plane(
            _call("CVPixelBufferGetBaseAddressOfPlane", buffer, plane),
            *size,
            _call("CVPixelBufferGetBytesPerRowOfPlane", buffer, plane),
        )
        for plane, size in enumerate(sizes)
    )
    return Planes(arrays, name, _attached_matrix(buffer))
