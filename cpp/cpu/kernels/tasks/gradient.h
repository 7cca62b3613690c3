#pragma once

#include "cpu/kernels/tasks/window.h"

namespace mpscnn::cpu {

/// destination = source * derivative of the activation where its input, or its result, was others[0]; of
/// Kind::prelu others[1] has the slopes, one pixel.
struct NeuronGradientTask {
    ConstView source, others[2];
    View destination;
    Activation activation{}; ///< without pointers
    bool from_result = false;

    const char *kernel_name() const { return "neuron gradient"; }
};

/// destination = gradient of the input of softmax, or of its logarithm; source is that of its result, which
/// is others[0].
struct SoftmaxGradientTask {
    ConstView source, others[1];
    View destination;
    bool logarithm = false;

    const char *kernel_name() const { return "softmax gradient"; }
};

/// destination = gradient of a pooling's input; source is that of its result, others are its input and its
/// result.
struct PoolingGradientTask {
    ConstView source, others[2];
    View destination;
    PoolingTask pooling; ///< without tensors and epilogue

    const char *kernel_name() const { return "pooling gradient"; }
};

} // namespace mpscnn::cpu
