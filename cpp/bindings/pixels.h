#pragma once

#include <pybind11/numpy.h>

#include <string>
#include <vector>

#include <mpscnn/mpscnn.hpp>

#include "text.h"

namespace mpscnn::bindings {

namespace py = pybind11;

/// A photo in the memory of numpy arrays, which it keeps.
class Pixels {
public:
    /// (height, width) or (height, width, samples), as `format` ("rgb8", "gray16", ...) describes them. Rows
    /// may have gaps between them.
    Pixels(py::array pixels, const std::string &format, int orientation);

    /// uint8: luma (height, width), and for halves of these extents, rounded up, either `blue` (rows,
    /// columns, 2) of pairs and `red` None, or both of (rows, columns).
    static Pixels yuv(py::array luma, py::array blue, const py::object &red, const std::string &matrix,
                      const std::string &range, const std::string &siting, int orientation);

    const ImageView &view() const { return view_; }

private:
    Pixels(std::vector<py::array> arrays, const ImageView &view) : arrays_(std::move(arrays)), view_(view) {}

    std::vector<py::array> arrays_;
    ImageView view_;
};

} // namespace mpscnn::bindings
