#pragma once

#include <pybind11/numpy.h>

#include <string>
#include <vector>

#include <mpscnn/mpscnn.hpp>

#include "text.h"

namespace mpscnn::bindings {

namespace py = pybind11;

/// A photo in the memory of numpy arrays, which it keeps alive.
class Pixels {
public:
    /// Make a photo from an array (height, width) or (height, width, samples), according to `format` ("rgb8",
    /// "gray16", ...). Rows may have gaps between them.
    Pixels(py::array pixels, const std::string &format, int orientation);

    /// Make a photo from uint8 luma (height, width), and chroma of half the extents, rounded up. If `red`
    /// is None, `blue` holds both chroma samples of each pixel: (rows, columns, 2). Otherwise each of the two
    /// arrays holds one: (rows, columns).
    static Pixels yuv(py::array luma, py::array blue, const py::object &red, const std::string &matrix,
                      const std::string &range, const std::string &siting, int orientation);

    const ImageView &view() const { return view_; }

private:
    Pixels(std::vector<py::array> arrays, const ImageView &view) : arrays_(std::move(arrays)), view_(view) {}

    std::vector<py::array> arrays_;
    ImageView view_;
};

} // namespace mpscnn::bindings
