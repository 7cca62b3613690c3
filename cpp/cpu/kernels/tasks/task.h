#pragma once

// The common parts of all kernel tasks.
//
// A task is a plain struct that describes what a kernel computes on which memory. `prepare` decides once how
// the task is computed: the number of independent items, the scratch memory of each worker, and everything
// that all items have in common. `run` computes the items [begin, end). Items may run in any order on any
// thread. Each output element is computed by exactly one item in a fixed order of operations, so the bits do
// not depend on the number of threads.

#include <cstddef>
#include <cstdint>

#include "cpu/kernels/tasks/prepared.h"
#include "shaders/neuron_kind.h"

namespace mpscnn::cpu {

/// The element type of a tensor in memory.
enum class Element {
    float32,
    bfloat16, ///< the upper halves of floats; only some kernels support them
    uint8     ///< for int8 networks, see tasks/integer.h
};

/// Return the size in bytes.
constexpr std::int64_t size_of(Element element) {
    return element == Element::float32 ? 4 : element == Element::bfloat16 ? 2 : 1;
}

/// Read-only NHWC tensor. Channels are contiguous; strides are in elements. If elements are not floats,
/// `data` is only the address of the first one.
struct ConstView {
    const float *data = nullptr;
    std::int64_t batch = 1, height = 1, width = 1, channels = 1;
    std::ptrdiff_t image_stride = 0, row_stride = 0, pixel_stride = 0;
    Element element = Element::float32;
};

/// Writable NHWC tensor.
struct View {
    float *data = nullptr;
    std::int64_t batch = 1, height = 1, width = 1, channels = 1;
    std::ptrdiff_t image_stride = 0, row_stride = 0, pixel_stride = 0;
    /// The number of elements from a pixel's first channel on that a kernel may overwrite; at least
    /// `channels`. It is larger if the engine has added padding between pixels. Then a last partial vector
    /// can be stored whole.
    std::int64_t writable_channels = 1;
    Element element = Element::float32;

    operator ConstView() const {
        return {data, batch, height, width, channels, image_stride, row_stride, pixel_stride, element};
    }
};

/// An activation in the form that kernels apply.
struct Activation {
    enum class Kind {
        none,
        clamp,   ///< min(max(x, low), high), NaN is kept; relu is [0, inf), relu6 [0, 6]
        leaky,   ///< min(x >= 0 ? x : slope * x, high): relu and relun with a slope below zero
        prelu,   ///< x >= 0 ? x : slopes[channel] * x
        linear,  ///< slope * x + low
        function ///< `apply` computes it with a function call
    };
    Kind kind = Kind::none;
    float low = 0.0f, high = 0.0f, slope = 0.0f;
    const float *slopes =
        nullptr; ///< one per channel, in an AlignedBuffer; whole vectors may be read from any channel on
    /// The function that `apply` computes. For `exponential`, c + c_low is the logarithm of the base; for
    /// `logarithm` it is the reciprocal of that. Otherwise a, b and c are the neuron's parameters.
    NeuronKind function = NeuronKind::none;
    float a = 0.0f, b = 0.0f, c = 0.0f, c_low = 0.0f;
    /// Applies the function in place to a whole number of vectors: NeuronFunctions::apply_neuron of the
    /// instruction set.
    void (*apply)(const Activation &, float *values, std::int64_t count) = nullptr;
};

/// The operations on a result before it is stored: activation, rounding to half (or to bfloat16 in kernels
/// for that), and optionally the addition of a residual with its own activation and rounding. The bias is
/// already in the accumulator.
struct Epilogue {
    Activation activation{};
    bool rounds = false;
    const ConstView *residual = nullptr; ///< same shape as the destination
    Activation residual_activation{};
    bool residual_rounds = false;
};

/// One axis of a window in canonical form: output o reads source positions o * stride - before + t *
/// dilation.
struct WindowAxis {
    std::int64_t kernel = 1, stride = 1, dilation = 1, before = 0;
};

/// The functions of a kernel.
template <class TaskType> struct Kernel {
    /// Reads extents and strides of the task's tensors but not their addresses, which are not null.
    Prepared (*prepare)(const TaskType &, const Planning &) = nullptr;
    void (*run)(const TaskType &, const Prepared &, std::int64_t begin, std::int64_t end, Worker &) = nullptr;
};

} // namespace mpscnn::cpu
