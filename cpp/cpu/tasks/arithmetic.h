#pragma once

#include "cpu/tasks/task.h"
#include "shaders/arithmetic_kind.h"

namespace mpscnn::cpu {

/// How far the source moves with each element of the destination: 0 stays (broadcast), 1 goes to the next.
struct SourceSteps {
    std::int64_t y = 1, x = 1, channels = 1; ///< channels: 0 or 1
};

/// destination = epilogue(min(max(source_scale * source op second_scale * second + bias, low), high)).
struct ArithmeticTask {
    ConstView source, second;
    View destination;
    Epilogue epilogue{};
    ArithmeticKind kind = ArithmeticKind::add;
    SourceSteps source_steps{}, second_steps{};
    bool scaled = false; ///< whether the numbers below say anything
    float source_scale = 1.0f, second_scale = 1.0f, bias = 0.0f;
    float low = 0.0f, high = 0.0f;

    const char *kernel_name() const { return "arithmetic"; }
};

} // namespace mpscnn::cpu
