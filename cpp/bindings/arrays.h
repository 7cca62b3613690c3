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

/// Return the memory of a float32 or float16 numpy array, without a copy. For anything else throws one of
/// mpscnn's errors, whose message begins with `what`.
mpscnn_tensor float_tensor(py::handle array, const std::string &what, Access access);

/// Tensors for a call. The object has room for the usual number of tensors, since a run must not allocate
/// memory.
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

    mpscnn_tensor few_[few]; // not initialised
    std::vector<mpscnn_tensor> many_;
    std::size_t count_ = 0;
};

/// Append the tensor of each array.
void float_tensors(const py::list &arrays, const std::string &what, Access access, Tensors &tensors);

/// Return the memory of a numpy array as a weight's tensor, without a copy. It is like float_tensor, but the
/// elements may also be uint8 or int32.
mpscnn_tensor weight_tensor(py::handle array, const std::string &what);

/// Return the memory of an aligned float32 numpy array without gaps; it is writeable if `access` requires it.
/// Return nothing for any other object, without finding out the reason.
std::optional<mpscnn_tensor> plain_tensor(py::handle object, Access access);

/// Return the memory of a float32 or float64 array without gaps.
mpscnn_tensor signal_tensor(const py::array &array, const std::string &what);

/// Return the type of the elements of a C-contiguous array, which may have any number of axes.
mpscnn_dtype dense_type(const py::array &array, const std::string &what);

/// Return a new array with a copy of the tensor's elements, which have no gaps.
py::array copy_of(const mpscnn_tensor &tensor);

/// Return the memory of a C-contiguous float32 array with `rank` axes.
std::span<float> writable_floats(py::array &array, int rank, const std::string &what);

py::tuple tuple_of(const Shape &shape);

bool is_native(const py::dtype &type);

/// Return a name like "float32" or "byte-swapped uint16".
std::string type_name(const py::dtype &type);

/// Return the shape as text: "(2, 3)".
std::string text_of(const py::array &array);

} // namespace mpscnn::bindings
