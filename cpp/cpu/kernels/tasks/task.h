#pragma once

// What all kernel tasks are made of.
//
// A kernel is described by a plain task struct (what to compute, on which memory). `prepare` decides once how
// the task is computed: into how many independent items it divides, how much scratch memory each worker
// needs, and all that items would otherwise find out again. `run` computes the items [begin, end). Items may
// run in any order on any thread: every output element is computed by exactly one item with a fixed order of
// operations, so the bits do not depend on the split.

#include <cstddef>
#include <cstdint>

#include "cpu/kernels/tasks/prepared.h"
#include "shaders/neuron_kind.h"

namespace mpscnn::cpu {

/// What a tensor consists of in memory.
enum class Element {
    float32,
    bfloat16, ///< the upper halves of floats; kernels that take them say so
    uint8     ///< of int8 networks, tasks/integer.h
};

/// In bytes.
constexpr std::int64_t size_of(Element element) {
    return element == Element::float32 ? 4 : element == Element::bfloat16 ? 2 : 1;
}

/// Read-only NHWC tensor. Channels are contiguous; strides are in elements. Where these are not floats,
/// `data` says where they begin only.
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
    /// Elements of a pixel that may be overwritten with anything, at least `channels`: more when the pitch
    /// has padding of our own, so that a last partial vector can be stored whole.
    std::int64_t writable_channels = 1;
    Element element = Element::float32;

    operator ConstView() const {
        return {data, batch, height, width, channels, image_stride, row_stride, pixel_stride, element};
    }
};

/// Activation as kernels see it.
struct Activation {
    enum class Kind {
        none,
        clamp,   ///< min(max(x, low), high), NaN kept; relu is [0, inf), relu6 [0, 6]
        leaky,   ///< min(x >= 0 ? x : slope * x, high): relu and relun with a slope below zero
        prelu,   ///< x >= 0 ? x : slopes[channel] * x
        linear,  ///< slope * x + low
        function ///< `apply` computes it out of line
    };
    Kind kind = Kind::none;
    float low = 0.0f, high = 0.0f, slope = 0.0f;
    const float *slopes =
        nullptr; ///< one per channel, in an AlignedBuffer: whole vectors are read from any channel on
    /// What `apply` computes. Of exponential c + c_low is the logarithm of the base, of logarithm the
    /// reciprocal of that; else a, b and c are the neuron's.
    NeuronKind function = NeuronKind::none;
    float a = 0.0f, b = 0.0f, c = 0.0f, c_low = 0.0f;
    /// In place, on a whole number of vectors: the instruction set's NeuronFunctions::apply_neuron.
    void (*apply)(const Activation &, float *values, std::int64_t count) = nullptr;
};

/// What happens to a result before it is stored: bias (already in the accumulator), activation, rounding to
/// half (by kernels for bfloat16 to that), and optionally the addition of a residual with its own activation
/// and rounding.
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
    /// Looks at extents and strides, and not at where tensors lie; their addresses are not null.
    Prepared (*prepare)(const TaskType &, const Planning &) = nullptr;
    void (*run)(const TaskType &, const Prepared &, std::int64_t begin, std::int64_t end, Worker &) = nullptr;
};

} // namespace mpscnn::cpu
