#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <mpscnn/mpscnn.hpp>

#include "text.h"

namespace mpscnn::bindings {

namespace py = pybind11;

enum class Access { read, write };

/// The memory of a float32 or float16 numpy array as it lies, without a copy. Throws mpscnn's errors,
/// beginning with `what`, for anything else.
mpscnn_tensor float_tensor(py::handle array, const std::string &what, Access access);

/// Tensors for a call. The object itself has room for a usual number of tensors, since a run must not
/// allocate memory.
class Tensors {
public:
    void push_back(const mpscnn_tensor &tensor) {
        if (count_ < few) {
            few_[count_] = tensor;
        } else {
            if (count_ == few) many_.assign(few_, few_ + few);
            many_.push_back(tensor);
        }
        ++count_;
    }
    operator std::span<const mpscnn_tensor>() const { return {count_ > few ? many_.data() : few_, count_}; }

private:
    static constexpr std::size_t few = 8;

    mpscnn_tensor few_[few]; // filled as needed
    std::vector<mpscnn_tensor> many_;
    std::size_t count_ = 0;
};

/// Appends that of each array.
void float_tensors(const py::list &arrays, const std::string &what, Access access, Tensors &tensors);

/// Likewise for weights, which may be uint8 as well.
mpscnn_tensor weight_tensor(py::handle array, const std::string &what);

/// The memory of a float32 numpy array that lies aligned, without gaps and, if asked, writable: nothing for
/// any other object, and no time lost on why.
std::optional<mpscnn_tensor> plain_tensor(py::handle object, Access access);

/// The memory of a float32 or float64 array without gaps.
mpscnn_tensor signal_tensor(const py::array &array, const std::string &what);

/// A new array with a copy of the tensor's elements, which lie without gaps.
py::array copy_of(const mpscnn_tensor &tensor);

/// The memory of a C-contiguous float32 array with `rank` axes.
std::span<float> writable_floats(py::array &array, int rank, const std::string &what);

py::tuple tuple_of(const Shape &shape);

bool is_native(const py::dtype &type);

/// "float32", "byte-swapped uint16"
std::string type_name(const py::dtype &type);

/// "(2, 3)"
std::string text_of(const py::array &array);

} // namespace mpscnn::bindings
