#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/json.h"
#include "engine/backend/backend.h"

namespace mpscnn::engine {

/// The source text of a user's kernel, in the language of the backend.
struct CustomKernelSource {
    std::string source;
    std::string function;
    /// Values of the function's constants, by name: a number, a boolean, an array of two to four of them for
    /// a vector, or {"type": "half", "value": 2}.
    Json constants = Json::object();
};

/// A parameter of a custom kernel's function, as reported by its compiler.
struct CustomParameter {
    enum class Kind { image, buffer };

    Kind kind = Kind::image;
    std::string name;
    int index = 0; ///< index of its attribute, [[texture(index)]] or [[buffer(index)]]
    bool read = true, written = false;
    bool is_array = false; ///< true for an image that is a texture2d_array
    std::string element;   ///< a buffer's type: "float", "half", "int", ...; empty for structs
    std::size_t bytes = 0; ///< the size of the type that a buffer's parameter refers to

    /// Return a description such as "texture 0 'source'".
    std::string text() const;
};

/// Width, height, depth.
using GridSize = std::array<std::int64_t, 3>;

/// A user's kernel after compilation. It is immutable, and several threads may use it.
class CustomKernel {
public:
    virtual ~CustomKernel() = default;
    virtual const std::string &function() const = 0;
    /// Return the parameters: images, then buffers, each in the order of their indices.
    virtual const std::vector<CustomParameter> &parameters() const = 0;
    /// Return the name and the identity of the backend that compiled the kernel.
    virtual std::string backend() const = 0;
    virtual std::string identity() const = 0;
    /// Return the largest number of threads in a threadgroup, and along each of its axes.
    virtual std::int64_t max_threads() const = 0;
    virtual GridSize max_threads_along() const = 0;
    virtual std::int64_t threads_at_once() const = 0; ///< threads of a SIMD group, threadExecutionWidth
};

/// The argument of a custom kernel's parameter for one run.
struct CustomBinding {
    const CustomParameter *parameter = nullptr;
    TensorView image; ///< (images, height, width, channels)
    std::span<std::byte> bytes;
};

/// One run of a custom kernel.
struct CustomRun {
    std::shared_ptr<const CustomKernel> kernel;
    std::vector<CustomBinding> bindings;
    GridSize grid{1, 1, 1};              ///< number of threads along each axis
    std::optional<GridSize> threadgroup; ///< without a value: the backend chooses
};

} // namespace mpscnn::engine
