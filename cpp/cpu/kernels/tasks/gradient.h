#pragma once

#include "cpu/kernels/tasks/task.h"
#include "shaders/kinds.h"

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

} // namespace mpscnn::cpu
