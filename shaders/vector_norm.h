#pragma once

#include <metal_stdlib>

#include "kinds.h"

using namespace metal;

/// The norm of some numbers. `root` is the square root of a sum, or the sum of magnitudes, that the norm is
/// computed from. `is_epsilon` is true if the norm is epsilon instead.
struct UnitNorm {
    float norm, root;
    bool is_epsilon;
};

/// Return the norm of numbers that were multiplied by `factor`. `sum` is their sum or mean of squares, or
/// their sum of magnitudes. `epsilon` is not multiplied yet.
inline UnitNorm unit_norm(float sum, float epsilon, float factor, VectorNorm kind, EpsilonRule rule) {
    const bool magnitudes = kind == VectorNorm::l1_norm;
    epsilon *= factor;
    if (rule == EpsilonRule::inside) sum += magnitudes ? epsilon : epsilon * factor;
    UnitNorm result;
    result.root = magnitudes ? sum : sqrt(sum);
    result.is_epsilon = rule == EpsilonRule::minimum && result.root < epsilon;
    result.norm = result.is_epsilon              ? epsilon
                  : rule == EpsilonRule::outside ? result.root + epsilon
                                                 : result.root;
    return result;
}
