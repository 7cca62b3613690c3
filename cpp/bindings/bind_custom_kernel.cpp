#include <pybind11/stl.h>

#include "arrays.h"
#include "bind.h"
#include "exclusive.h"
#include "gil.h"

namespace mpscnn::bindings {

namespace {

/// Return the shading language's name of a dtype, or numpy's if the language lacks it; empty for structs.
std::string element_of(const py::dtype &type) {
    if (type.kind() == 'V') return "";
    struct Entry {
        char kind;
        int bytes;
        const char *name;
    };
    static constexpr Entry entries[] = {{'f', 4, "float"}, {'f', 2, "half"},  {'i', 4, "int"},
                                        {'u', 4, "uint"},  {'i', 2, "short"}, {'u', 2, "ushort"},
                                        {'i', 1, "char"},  {'u', 1, "uchar"}, {'b', 1, "bool"}};
    for (const Entry &entry : entries)
        if (type.kind() == entry.kind && type.itemsize() == entry.bytes) return entry.name;
    return py::str(type);
}

/// Arrays that a command buffer uses. A thread without the GIL may release them.
struct KeptArrays {
    std::vector<py::array> arrays;

    ~KeptArrays() {
        if (const ForeignGil locked; locked)
            arrays.clear();
        else
            for (py::array &array : arrays) array.release();
    }
};

CustomKernel::Argument argument_of(const std::string &name, py::array &array) {
    const auto bytes = static_cast<std::size_t>(array.nbytes());
    const std::string element = element_of(array.dtype());
    if (array.writeable())
        return {std::span(static_cast<std::byte *>(array.mutable_data()), bytes), name, element};
    return {std::span(static_cast<const std::byte *>(array.data()), bytes), name, element};
}

/// Encode a run of the kernel. Each image or array is a pair of a parameter's name and an object. An empty
/// name stands for the next parameter of that kind (image or array). The command buffer keeps the arrays
/// alive until it is completed.
void encode(const CustomKernel &kernel, CommandBuffer &commands,
            const std::vector<std::pair<std::string, Image *>> &images,
            std::vector<std::pair<std::string, py::array>> arrays,
            const std::optional<CustomKernel::Size> &grid,
            const std::optional<CustomKernel::Size> &threadgroup) {
    std::vector<CustomKernel::Argument> arguments;
    const auto kept = std::make_shared<KeptArrays>();
    for (const auto &[name, image] : images) arguments.emplace_back(*image, name);
    for (auto &[name, array] : arrays) {
        arguments.push_back(argument_of(name, array));
        kept->arrays.push_back(array);
    }
    kernel.encode(commands, arguments, grid, threadgroup);
    if (!arrays.empty()) commands.add_completed_handler([kept] {});
}

} // namespace

void bind_custom_kernel(py::module_ &module) {
    py::class_<CustomKernel>(module, "CustomKernel", "A kernel of the user's for Metal.")
        .def(py::init<const std::string &, const std::string &, const std::string &, const std::string &>(),
             py::arg("source"), py::arg("function"), py::arg("constants"), py::arg("device"),
             py::call_guard<GilReleased>()) // it compiles, which may take long
        .def("description", &CustomKernel::description, py::call_guard<Exclusive>())
        .def("encode", &encode, py::arg("commands"), py::arg("images"), py::arg("arrays"), py::arg("grid"),
             py::arg("threadgroup"), py::call_guard<Exclusive>());
}

} // namespace mpscnn::bindings
