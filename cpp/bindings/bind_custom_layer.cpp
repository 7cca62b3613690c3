#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "bind.h"
#include "exclusive.h"
#include "gil.h"
#include "kept_graph.h"

namespace mpscnn::bindings {

namespace {

/// Fills the result before a function writes it. No computation gives this NaN, so it shows that nothing was
/// written.
constexpr std::uint32_t unwritten = 0x7FD5A7C3;

std::span<float> values_of(const mpscnn_tensor &tensor) {
    std::size_t count = 1;
    for (int axis = 0; axis < tensor.rank; ++axis) count *= static_cast<std::size_t>(tensor.shape[axis]);
    return {static_cast<float *>(tensor.data), count};
}

/// Owns a Python function that computes a layer: function(*inputs, out), or function(*inputs) if
/// `takes_output` is false.
class LayerFunction {
public:
    LayerFunction(py::function function, bool takes_output)
        : function_(std::move(function)), takes_output_(takes_output) {}
    LayerFunction(const LayerFunction &) = delete;
    LayerFunction &operator=(const LayerFunction &) = delete;
    ~LayerFunction() {
        if (const ForeignGil locked; locked)
            function_ = py::function();
        else
            function_.release();
    }

    void run(std::span<const mpscnn_tensor> inputs, const mpscnn_tensor &output) const {
        const ForeignGil locked;
        if (!locked) throw StateError("the interpreter is ending");
        try {
            call(inputs, output);
        } catch (py::error_already_set &error) {
            // Only a thread with the GIL may release Python objects, so the new error has a copy of the text.
            const std::string message = py::str(error.type().attr("__name__")).cast<std::string>() + ": " +
                                        py::str(error.value()).cast<std::string>();
            throw ParameterError(message);
        }
    }

private:
    /// Return an array that uses the memory, which is valid only while the function runs.
    static py::array_t<float> array_of(const mpscnn_tensor &tensor, const py::object &owner) {
        const std::vector<py::ssize_t> shape(tensor.shape, tensor.shape + tensor.rank);
        return py::array_t<float>(shape, static_cast<float *>(tensor.data), owner);
    }

    void call(std::span<const mpscnn_tensor> inputs, const mpscnn_tensor &output) const {
        // An array, or a view of it, that outlives the call keeps a reference to this capsule.
        const py::capsule owner(this, [](void *) {});
        const Py_ssize_t references = Py_REFCNT(owner.ptr());
        {
            py::tuple arguments(inputs.size() + (takes_output_ ? 1 : 0));
            for (std::size_t i = 0; i < inputs.size(); ++i) {
                py::array_t<float> array = array_of(inputs[i], owner);
                array.attr("setflags")(py::arg("write") = false);
                arguments[i] = std::move(array);
            }
            const std::span<float> values = values_of(output);
            if (takes_output_) {
                std::ranges::fill(values, std::bit_cast<float>(unwritten));
                arguments[inputs.size()] = array_of(output, owner);
            }
            const py::object result = call_python(function_, arguments);
            if (!result.is_none())
                copy(result, output);
            else if (!takes_output_)
                throw ParameterError("its function returned None instead of the result");
            else if (!values.empty() && std::ranges::all_of(values, [](float value) {
                         return std::bit_cast<std::uint32_t>(value) == unwritten;
                     }))
                throw ParameterError("its function neither returned a result nor wrote to its last argument: "
                                     "out[...] = result writes");
        }
        if (Py_REFCNT(owner.ptr()) > references)
            throw ParameterError("its function kept an array whose memory is the layer's only while it runs: "
                                 "keep a copy");
    }

    /// Copy a returned array to the output, with which it may share memory.
    static void copy(const py::object &result, const mpscnn_tensor &output) {
        const py::array given = py::array::ensure(result);
        if (!given || std::string_view("fiub").find(given.dtype().kind()) == std::string_view::npos)
            throw ParameterError("its function must return an array of numbers, but returned " +
                                 py::str(py::type::of(result).attr("__name__")).cast<std::string>());
        const std::vector<py::ssize_t> shape(output.shape, output.shape + output.rank);
        if (!std::equal(shape.begin(), shape.end(), given.shape(), given.shape() + given.ndim()))
            throw ParameterError("its function returned an array of the shape " +
                                 py::str(given.attr("shape")).cast<std::string>() + ", expected " +
                                 py::str(py::tuple(py::cast(shape))).cast<std::string>());
        const auto numbers = py::array_t<float, py::array::c_style | py::array::forcecast>::ensure(given);
        if (!numbers) throw py::error_already_set();
        if (numbers.nbytes() > 0 && numbers.data() != output.data)
            std::memmove(output.data, numbers.data(), static_cast<std::size_t>(numbers.nbytes()));
    }

    py::function function_;
    bool takes_output_;
};

/// Add a layer that a Python function computes. `shape` has the result's extents after the batch; -1 means
/// the extent of the first input. If `shape` is empty, the result has the first input's shape.
Value add_custom(KeptGraph &graph, const std::string &name, const std::vector<Value> &inputs,
                 py::function function, const std::vector<std::int64_t> &shape, bool takes_output) {
    const auto owned = std::make_shared<LayerFunction>(std::move(function), takes_output);
    CustomLayer layer{[owned](std::span<const mpscnn_tensor> sources, const mpscnn_tensor &output) {
        owned->run(sources, output);
    }};
    if (!shape.empty())
        layer.shape = [shape](std::span<const mpscnn_tensor> sources, mpscnn_tensor &output) {
            if (shape.size() + 1 > MPSCNN_MAX_RANK) throw ShapeError("shape has too many extents");
            output.rank = static_cast<int>(shape.size()) + 1;
            output.shape[0] = sources[0].shape[0];
            for (std::size_t axis = 0; axis < shape.size(); ++axis) {
                const bool given = shape[axis] >= 0;
                if (!given && axis + 1 >= static_cast<std::size_t>(sources[0].rank))
                    throw ShapeError("shape leaves an extent to the first input, which has no such axis");
                output.shape[axis + 1] = given ? shape[axis] : sources[0].shape[axis + 1];
            }
        };
    return graph.changed().add_custom(name, inputs, std::move(layer));
}

} // namespace

void bind_custom_layer(py::module_ &module) {
    module.def("add_custom", &add_custom, py::arg("graph"), py::arg("name"), py::arg("inputs"),
               py::arg("function"), py::arg("shape"), py::arg("takes_output"), py::call_guard<Exclusive>(),
               "Adds a layer that a Python function computes.");
}

} // namespace mpscnn::bindings
