/// Functions of the program as layers, for C++20. Part of mpscnn.hpp, which includes this file.
#pragma once

#include <cstddef>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <utility>

#include "custom_layer.h"
#include "error.hpp"

namespace mpscnn {
inline namespace api {

/// A layer that functions of the program compute; see mpscnn_custom_layer. If they throw, the call that adds,
/// compiles or runs the layer throws a ParameterError with the layer's name. Several threads may call them
/// concurrently.
struct CustomLayer {
    /// Write the output's data.
    std::function<void(std::span<const mpscnn_tensor> inputs, const mpscnn_tensor &output)> run;
    /// Set the output's rank and shape; extents may be -1. If not set, the shape is that of the first input.
    std::function<void(std::span<const mpscnn_tensor> inputs, mpscnn_tensor &output)> shape{};
};

namespace detail {

/// Run `action`. Return 1 if it throws, with the exception's text as the message.
template <class Action> int failed(char *message, std::size_t capacity, Action action) noexcept {
    try {
        action();
        return 0;
    } catch (const std::exception &error) {
        std::snprintf(message, capacity, "%s", error.what());
    } catch (...) {
        std::snprintf(message, capacity, "it threw something that is not a std::exception");
    }
    return 1;
}

inline std::span<const mpscnn_tensor> tensors(const mpscnn_tensor *data, int tensor_count) {
    return {data, static_cast<std::size_t>(tensor_count)};
}

/// Call add(&layer) with the C struct of a copy, which then belongs to the graph.
template <class Add> void with_custom_layer(CustomLayer layer, Add add) {
    if (!layer.run) throw ParameterError("a custom layer needs the function 'run'");
    const bool has_shape = static_cast<bool>(layer.shape);
    auto owned = std::make_unique<CustomLayer>(std::move(layer));
    mpscnn_custom_layer raw{};
    raw.size = sizeof raw;
    raw.context = owned.get();
    raw.release = [](void *context) { delete static_cast<CustomLayer *>(context); };
    raw.run = [](const mpscnn_tensor *inputs, int input_count, const mpscnn_tensor *output, char *message,
                 std::size_t capacity, void *context) {
        return failed(message, capacity, [&] {
            static_cast<CustomLayer *>(context)->run(tensors(inputs, input_count), *output);
        });
    };
    if (has_shape)
        raw.shape = [](const mpscnn_tensor *inputs, int input_count, mpscnn_tensor *output, char *message,
                       std::size_t capacity, void *context) {
            return failed(message, capacity, [&] {
                static_cast<CustomLayer *>(context)->shape(tensors(inputs, input_count), *output);
            });
        };
    add(&raw);
    static_cast<void>(owned.release());
}

} // namespace detail
} // namespace api
} // namespace mpscnn
