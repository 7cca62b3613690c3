#pragma once

#include "activation_params.h"
#include "arithmetic_kind.h"
#include "image_params.h"

/// The strides of one operand: pixel (x, y) of the result reads the operand's pixel (x * step_x, y * step_y).
struct ArithmeticOperand {
    ImageParams image;
    unsigned int step_x, step_y;
    unsigned int step_channels; ///< 1, or 0 if all channels of the result read the operand's first channel
    float scale;
};

struct ArithmeticParams {
    ArithmeticOperand first, second;
    ImageParams destination;
    ArithmeticKind kind;
    float bias, minimum, maximum;
    ActivationParams activation;
};
