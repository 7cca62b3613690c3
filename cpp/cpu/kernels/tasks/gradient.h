#pragma once

#include "cpu/kernels/tasks/window.h"

namespace mpscnn::cpu {

/// destination = source * derivative of the activation. others[0] is the input of the activation, or its
/// result. For Kind::prelu others[1] holds the slopes, one pixel.
struct NeuronGradientTask {
    ConstView source, others[2];
    View destination;
    Activation activation{}; ///< its pointers are null
    bool from_result = false;

    const char *kernel_name() const { return "neuron gradient"; }
};

/// destination = gradient of the input of softmax or log-softmax. The source is the gradient of the
/// softmax's result, and others[0] is this result.
struct SoftmaxGradientTask {
    ConstView source, others[1];
    View destination;
    bool logarithm = false;

    const char *kernel_name() const { return "softmax gradient"; }
};

/// destination = gradient of a pooling's input. The source is the gradient of the pooling's result; `others`
/// are the pooling's input and result.
struct PoolingGradientTask {
    ConstView source, others[2];
    View destination;
    PoolingTask pooling; ///< without tensors and epilogue

    const char *kernel_name() const { return "pooling gradient"; }
};

/// destination = gradient of a resize's input. The source is the gradient of the resize's result.
struct ResizeGradientTask {
    ConstView source;
    View destination;
    ResizeTask resize; ///< without tensors

    const char *kernel_name() const { return "resize gradient"; }
};

/// destination = gradient of the input of a group normalization, which uses the statistics of groups of
/// channels of each image. The source is the gradient of the normalization's result. `others` are the
/// normalization's input and optionally gamma, which is one pixel.
struct GroupGradientTask {
    ConstView source, others[2];
    View destination;
    std::int64_t groups = 1;
    float epsilon = 0.0f;
    bool has_gamma = false;

    const char *kernel_name() const { return "group gradient"; }
};

/// destination = gradient of the input of a normalization that uses the statistics of each pixel's
/// channels. `source` and `others` are the same as in GroupGradientTask.
struct LayerGradientTask {
    ConstView source, others[2];
    View destination;
    float epsilon = 0.0f;
    VectorNorm norm = VectorNorm::deviation;
    EpsilonRule epsilon_rule = EpsilonRule::inside;
    bool has_gamma = false;

    const char *kernel_name() const { return "layer gradient"; }
};

/// destination = gradient of the input of a CrossChannelTask. The source is the gradient of that task's
/// result, and others[0] is its input.
struct CrossChannelGradientTask {
    ConstView source, others[1];
    View destination;
    CrossChannelTask normalization; ///< without tensors and epilogue

    const char *kernel_name() const { return "cross channel gradient"; }
};

} // namespace mpscnn::cpu
