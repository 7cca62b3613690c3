#pragma once

// The parts that all kernel tasks have in common.
//
// A task is a plain struct that describes what a kernel computes on which memory. A kernel has two functions.
// `prepare` decides once how the task is computed: the number of independent work items, the scratch memory
// of each worker, and everything that all items share. `run` computes the items [begin, end). Items may run
// in any order on any thread. Each output element is computed by exactly one item in a fixed order of
// operations, so the bits do not depend on the number of threads.

#include <cstddef>
#include <cstdint>

#include "cpu/kernels/tasks/prepared.h"
#include "shaders/neuron_kind.h"

namespace mpscnn::cpu {

/// The element type of a tensor in memory.
enum class Element {
    float32,
    bfloat16, ///< the upper halves of floats; only some kernels support them
    uint8     ///< for int8 networks (tasks/integer.h)
};

/// Return the size of an element in bytes.
constexpr std::int64_t size_of(Element element) {
    return element == Element::float32 ? 4 : element == Element::bfloat16 ? 2 : 1;
}

/// A tensor in NHWC order that is only read. Channels are contiguous; strides are in elements. If elements
/// are not floats, `data` is still the address of the first one.
struct ConstView {
    const float *data = nullptr;
    std::int64_t batch = 1, height = 1, width = 1, channels = 1;
    std::ptrdiff_t image_stride = 0, row_stride = 0, pixel_stride = 0;
    Element element = Element::float32;
    /// The number of elements from a pixel's first channel on that a kernel may read, if it is more than
    /// `channels`, because there is padding between pixels. Elements of the padding have no meaning.
    std::int64_t readable_channels = 0;
};

/// A tensor in NHWC order that is written.
struct View {
    float *data = nullptr;
    std::int64_t batch = 1, height = 1, width = 1, channels = 1;
    std::ptrdiff_t image_stride = 0, row_stride = 0, pixel_stride = 0;
    /// The number of elements from a pixel's first channel on that a kernel may overwrite. If there is
    /// padding between pixels, it is larger than `channels`, so that the last vector can be stored as a
    /// whole.
    std::int64_t writable_channels = 1;
    Element element = Element::float32;

    operator ConstView() const {
        return {data,         batch,      height,       width,   channels,
                image_stride, row_stride, pixel_stride, element, writable_channels};
    }
};

/// An activation function in the form that kernels apply.
struct Activation {
    enum class Kind {
        none,
        clamp,   ///< min(max(x, low), high), NaN is kept; relu is [0, inf), relu6 [0, 6]
        leaky,   ///< min(x >= 0 ? x : slope * x, high): relu and relun with a slope for x < 0
        prelu,   ///< x >= 0 ? x : slopes[channel] * x
        linear,  ///< slope * x + low
        function ///< a function that `apply` computes
    };
    Kind kind = Kind::none;
    float low = 0.0f, high = 0.0f, slope = 0.0f;
    /// One slope for each channel, in an AlignedBuffer. Kernels may read a whole vector from any channel on.
    const float *slopes = nullptr;
    /// The function that `apply` computes. For `exponential`, c + c_low is ln(base). For `logarithm`, c +
    /// c_low is 1 / ln(base). For other functions, a, b and c are the neuron's parameters.
    NeuronKind function = NeuronKind::none;
    float a = 0.0f, b = 0.0f, c = 0.0f, c_low = 0.0f;
    /// Applies the function in place to `count` floats of each of some rows, which are `stride` apart. A row
    /// has whole vectors. It is NeuronFunctions::apply_neuron of the instruction set.
    void (*apply)(const Activation &, float *first, std::ptrdiff_t stride, std::int64_t rows,
                  std::int64_t count) = nullptr;
};

/// The epilogue of a kernel: the operations on a result before it is stored. These are the activation,
/// rounding to half (or to bfloat16 in kernels for that), and optionally the addition of a residual with
/// another activation and rounding. The bias has been added before.
struct Epilogue {
    Activation activation{};
    bool rounds = false;
    const ConstView *residual = nullptr; ///< same shape as the destination
    Activation residual_activation{};
    bool residual_rounds = false;
};

/// One axis of a window. Output o reads the source positions o * stride - before + t * dilation, for the taps
/// t.
struct WindowAxis {
    std::int64_t kernel = 1, stride = 1, dilation = 1, before = 0;
};

/// The two functions of a kernel.
template <class TaskType> struct Kernel {
    /// Prepare a task. This function may read extents and strides of the task's tensors. The addresses of the
    /// tensors are not null, but have no meaning.
    Prepared (*prepare)(const TaskType &, const Planning &) = nullptr;
    void (*run)(const TaskType &, const Prepared &, std::int64_t begin, std::int64_t end, Worker &) = nullptr;
};

} // namespace mpscnn::cpu
