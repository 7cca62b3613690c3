#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

namespace mpscnn::bindings {

namespace py = pybind11;

/// Return the pixels of an Arrow array of `height` x `width` elements as a uint8 array (height, width), or
/// (height, width, 4) if an element is a list of four bytes. The memory is not copied; it lives as long as
/// the array that is returned. Return None for elements of another type or another number of them.
///
/// The arguments are the capsules that __arrow_c_array__ of Pillow's images gives, as in Arrow's "PyCapsule
/// Interface".
py::object arrow_pixels(const py::capsule &schema, const py::capsule &array, py::ssize_t height,
                        py::ssize_t width);

/// Return the capsules of __arrow_c_array__ for the memory of a contiguous uint8 array, as one list of bytes.
/// It is not copied, and the capsules, or whoever takes over their content, keep the array alive.
py::tuple arrow_bytes(const py::array &bytes);

} // namespace mpscnn::bindings
