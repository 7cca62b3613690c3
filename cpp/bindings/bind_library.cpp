#include <pybind11/stl.h>

#include "arrays.h"
#include "bind.h"
#include "gil.h"

namespace mpscnn::bindings {

namespace {

py::array halves(const py::array_t<float, py::array::c_style> &floats) {
    py::array result(py::dtype("float16"),
                     std::vector<py::ssize_t>(floats.shape(), floats.shape() + floats.ndim()));
    const auto size = static_cast<std::size_t>(floats.size());
    auto *halves = static_cast<std::uint16_t *>(result.mutable_data());
    const GilReleased unlocked;
    halves_from_floats({floats.data(), size}, {halves, size});
    return result;
}

py::array floats(const py::array &halves) {
    const mpscnn_tensor tensor = float_tensor(halves, "halves", Access::read);
    if (tensor.dtype != MPSCNN_FLOAT16 || (halves.flags() & py::array::c_style) == 0)
        throw ShapeError("halves: expected a C-contiguous float16 array");
    py::array_t<float> result(std::vector<py::ssize_t>(halves.shape(), halves.shape() + halves.ndim()));
    const auto size = static_cast<std::size_t>(halves.size());
    float *floats = result.mutable_data();
    const GilReleased unlocked;
    floats_from_halves({static_cast<const std::uint16_t *>(tensor.data), size}, {floats, size});
    return result;
}

/// Return an array in whole pages (mpscnn_pages_allocate). The array, and any device that uses the pages,
/// keep them alive.
py::array pages(const std::vector<py::ssize_t> &shape, const py::dtype &type) {
    std::size_t bytes = static_cast<std::size_t>(type.itemsize());
    for (py::ssize_t extent : shape) bytes *= static_cast<std::size_t>(extent);
    void *memory = allocate_pages(bytes);
    const py::capsule owner(memory, [](void *owned) { mpscnn_pages_release(owned); });
    return py::array(type, shape, memory, owner);
}

} // namespace

void bind_library(py::module_ &module) {
    module.def("version", &version, "Version of the library.");
    module.def("build_config", &build_config, "How the library was built, as JSON.");
    module.def("operations", &operations, "All operations with their parameters, as JSON.");
    module.def("cases", &cases, "Cases of operations, as JSON.");
    module.def("unsupported_features", &unsupported_features, "What an engine cannot do, as JSON.");
    module.def("devices", &devices_json, py::call_guard<GilReleased>(),
               "Devices that programs can be compiled for, as JSON.");
    module.def("processors", &processors_json, "The processors of this process, as JSON.");
    module.def("check_device", &check_device, py::arg("device"), py::call_guard<GilReleased>(),
               "Compares a device's results with the CPU engine's; returns the verdict.");
    module.def("pages", &pages, py::arg("shape"), py::arg("type"), "An array of zeros in whole pages.");
    module.def("halves_from_floats", &halves, py::arg("floats"), "float16 from float32, to nearest even.");
    module.def("floats_from_halves", &floats, py::arg("halves"), "float32 from float16, exact.");
}

} // namespace mpscnn::bindings
