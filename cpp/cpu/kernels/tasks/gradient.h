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

/// destination = gradient of a resize's input; source is that of its result.
struct ResizeGradientTask {
    ConstView source;
    View destination;
    ResizeTask resize; ///< without tensors

    const char *kernel_name() const { return "resize gradient"; }
};

/// destination = gradient of the input of a normalization by the statistics of each image's groups of
/// channels, without beta; source is that of its result, others are its input and, if any, gamma, one pixel.
struct GroupGradientTask {
    ConstView source, others[2];
    View destination;
    std::int64_t groups = 1;
    float epsilon = 0.0f;
    bool has_gamma = false;

    const char *kernel_name() const { return "group gradient"; }
};

/// The same of each pixel's channels.
struct LayerGradientTask {
    ConstView source, others[2];
    View destination;
    float epsilon = 0.0f;
    VectorNorm norm = VectorNorm::deviation;
    EpsilonRule epsilon_rule = EpsilonRule::inside;
    bool has_gamma = false;

    const char *kernel_name() const { return "layer gradient"; }
};

/// destination = gradient of the input of a CrossChannelTask; source is that of its result, others[0] its
/// input.
struct CrossChannelGradientTask {
    ConstView source, others[1];
    View destination;
    CrossChannelTask normalization; ///< without tensors and epilogue

    const char *kernel_name() const { return "cross channel gradient"; }
};

} // namespace mpscnn::cpu
