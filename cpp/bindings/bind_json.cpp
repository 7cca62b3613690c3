#include <cstdint>
#include <string_view>
#include <vector>

#include "arrays.h"
#include "bind.h"
#include "gil.h"

namespace mpscnn::bindings {

namespace {

std::string_view plain_bytes(const py::buffer_info &buffer) {
    if (buffer.ndim != 1 || buffer.itemsize != 1 || (buffer.size > 1 && buffer.strides[0] != 1))
        throw ParameterError("text: expected bytes without gaps");
    return {static_cast<const char *>(buffer.ptr), static_cast<std::size_t>(buffer.size)};
}

py::tuple next_part(const py::buffer &text, const py::tuple &previous) {
    const py::buffer_info buffer = text.request();
    mpscnn_json_part part{previous[0].cast<std::size_t>(), previous[1].cast<std::size_t>(),
                          previous[2].cast<std::size_t>(), previous[3].cast<std::size_t>(),
                          previous[4].cast<int>()};
    bool found = false;
    {
        const std::string_view bytes = plain_bytes(buffer);
        const GilReleased unlocked;
        found = next_json_part(bytes, part);
    }
    return py::make_tuple(found,
                          py::make_tuple(part.name_begin, part.name_end, part.begin, part.end, part.closing));
}

void read_numbers(const py::buffer &text, py::array &numbers) {
    const py::buffer_info buffer = text.request();
    const mpscnn_dtype dtype = dense_type(numbers, "numbers");
    const std::vector<std::int64_t> shape(numbers.shape(), numbers.shape() + numbers.ndim());
    const std::string_view bytes = plain_bytes(buffer);
    void *memory = numbers.mutable_data();
    const GilReleased unlocked;
    read_json_numbers(bytes, shape, dtype, memory);
}

} // namespace

void bind_json(py::module_ &module) {
    module.def("next_json_part", &next_part, py::arg("text"), py::arg("previous"),
               "Whether there is a next part of an object or array, and the part: its name's and its value's "
               "begin and end, and the closing character.");
    module.def("read_json_numbers", &read_numbers, py::arg("text"), py::arg("numbers"),
               "Reads a JSON array of numbers into an array.");
}

} // namespace mpscnn::bindings
