#pragma once

// The host fills this struct and shaders read it, so fields have the same size and order on both sides.

struct ActivationParams {
    float a, b, c;
};
