#include "arrays.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace mpscnn::bindings {

namespace {

struct ElementType {
    mpscnn_dtype type;
    char kind;
    int bytes;
    const char *name;
};

constexpr std::array<ElementType, 4> element_types{{{MPSCNN_FLOAT32, 'f', 4, "float32"},
                                                    {MPSCNN_FLOAT16, 'f', 2, "float16"},
                                                    {MPSCNN_UINT8, 'u', 1, "uint8"},
                                                    {MPSCNN_INT32, 'i', 4, "int32"}}};

} // namespace

bool is_native(const py::dtype &type) { return py::cast<bool>(type.attr("isnative")); }

std::string type_name(const py::dtype &type) {
    const std::string name = py::str(type.attr("name"));
    return is_native(type) ? name : "byte-swapped " + name;
}

namespace {

const ElementType *element_type_of(const py::dtype &type) {
    if (!is_native(type)) return nullptr;
    for (const ElementType &entry : element_types)
        if (type.kind() == entry.kind && type.itemsize() == entry.bytes) return &entry;
    return nullptr;
}

py::array require_array(py::handle object, const std::string &what) {
    if (!py::isinstance<py::array>(object))
        throw ParameterError(what + ": expected a numpy array, got " +
                             std::string(py::str(py::type::of(object).attr("__name__"))));
    return py::reinterpret_borrow<py::array>(object);
}

mpscnn_tensor tensor_of(const py::array &array, const ElementType &type, const std::string &what) {
    if (array.ndim() > MPSCNN_MAX_RANK)
        throw ShapeError(what + ": " + std::to_string(array.ndim()) + " axes, at most " +
                         std::to_string(MPSCNN_MAX_RANK) + " are possible");
    // The C interface takes strides that are all zero as "without gaps".
    const bool one_element = std::all_of(array.strides(), array.strides() + array.ndim(),
                                         [](py::ssize_t stride) { return stride == 0; });
    if (one_element && array.size() > 1)
        throw ParameterError(what + ": all elements of the array are one in memory; pass a copy");
    mpscnn_tensor tensor{};
    // The C struct is for inputs and outputs. Callers that write have checked that the array is writeable.
    tensor.data = const_cast<void *>(array.data());
    tensor.dtype = type.type;
    tensor.rank = static_cast<std::int32_t>(array.ndim());
    for (py::ssize_t axis = 0; axis < array.ndim(); ++axis) {
        tensor.shape[axis] = array.shape(axis);
        tensor.strides[axis] = array.strides(axis);
    }
    return tensor;
}

} // namespace

mpscnn_tensor float_tensor(py::handle object, const std::string &what, Access access) {
    const py::array array = require_array(object, what);
    const ElementType *type = element_type_of(array.dtype());
    if (type == nullptr || type->kind != 'f')
        throw ShapeError(what + ": expected float32 or float16, got " + type_name(array.dtype()));
    if (access == Access::write && !array.writeable())
        throw ParameterError(what + ": the array is read-only");
    return tensor_of(array, *type, what);
}

std::optional<mpscnn_tensor> plain_tensor(py::handle object, Access access) {
    if (!py::isinstance<py::array_t<float, py::array::c_style>>(object)) return std::nullopt;
    const auto array = py::reinterpret_borrow<py::array>(object);
    const bool aligned = (array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) != 0;
    const bool usable = access == Access::read || array.writeable();
    if (!aligned || !usable || array.ndim() > MPSCNN_MAX_RANK) return std::nullopt;
    mpscnn_tensor tensor{}; // strides of zero: without gaps
    tensor.data = const_cast<void *>(array.data());
    tensor.dtype = MPSCNN_FLOAT32;
    tensor.rank = static_cast<std::int32_t>(array.ndim());
    std::copy_n(array.shape(), array.ndim(), tensor.shape);
    return tensor;
}

void float_tensors(const py::list &arrays, const std::string &what, Access access, Tensors &tensors) {
    for (const py::handle array : arrays) {
        // The usual case, without pybind11's array class.
        const std::optional<mpscnn_tensor> plain = plain_tensor(array, access);
        tensors.push_back(plain ? *plain : float_tensor(array, what, access));
    }
}

mpscnn_tensor weight_tensor(py::handle object, const std::string &what) {
    const py::array array = require_array(object, what);
    const ElementType *type = element_type_of(array.dtype());
    if (type == nullptr)
        throw ShapeError(what + ": expected float32, float16, uint8 or int32, got " +
                         type_name(array.dtype()));
    return tensor_of(array, *type, what);
}

namespace {

/// Return the type like element_type_of, and float64, which only signals and JSON numbers may have.
const ElementType *signal_type_of(const py::dtype &type) {
    static constexpr ElementType float64{MPSCNN_FLOAT64, 'f', 8, "float64"};
    const bool is_double = is_native(type) && type.kind() == 'f' && type.itemsize() == 8;
    return is_double ? &float64 : element_type_of(type);
}

} // namespace

mpscnn_dtype dense_type(const py::array &array, const std::string &what) {
    const ElementType *type = signal_type_of(array.dtype());
    if (type == nullptr || (array.flags() & py::array::c_style) == 0)
        throw ShapeError(what + ": expected a C-contiguous array of numbers, got " +
                         type_name(array.dtype()));
    return type->type;
}

mpscnn_tensor signal_tensor(const py::array &array, const std::string &what) {
    const py::dtype dtype = array.dtype();
    const ElementType *type = signal_type_of(dtype);
    if (type == nullptr || (array.flags() & py::array::c_style) == 0)
        throw ShapeError(what + ": expected a C-contiguous float32 or float64 array, got " +
                         type_name(dtype));
    mpscnn_tensor tensor = tensor_of(array, *type, what);
    // NumPy does not define the stride of an axis with one element, so zeros replace it.
    std::fill_n(tensor.strides, tensor.rank, 0);
    return tensor;
}

py::array copy_of(const mpscnn_tensor &tensor) {
    const auto *type = std::find_if(element_types.begin(), element_types.end(),
                                    [&](const ElementType &entry) { return entry.type == tensor.dtype; });
    py::array copy(py::dtype(type->name), std::vector<py::ssize_t>(tensor.shape, tensor.shape + tensor.rank));
    // NumPy would release the interpreter lock while it copies, and another thread might free the memory.
    std::memcpy(copy.mutable_data(), tensor.data, static_cast<std::size_t>(copy.nbytes()));
    return copy;
}

std::span<float> writable_floats(py::array &array, int rank, const std::string &what) {
    const mpscnn_tensor tensor = float_tensor(array, what, Access::write);
    const bool contiguous = (array.flags() & py::array::c_style) != 0;
    if (tensor.dtype != MPSCNN_FLOAT32 || tensor.rank != rank || !contiguous)
        throw ShapeError(what + ": expected a C-contiguous float32 array with " + std::to_string(rank) +
                         " axes, got " + (contiguous ? "" : "strided ") + type_name(array.dtype()) + " " +
                         text_of(array));
    return {static_cast<float *>(tensor.data), static_cast<std::size_t>(array.size())};
}

py::tuple tuple_of(const Shape &shape) { return py::tuple(py::cast(shape)); }

std::string text_of(const py::array &array) { return py::str(array.attr("shape")); }

} // namespace mpscnn::bindings
