#pragma once

// Shared by shaders and host, so fields have the same size and order on both sides.

struct ActivationParams {
    float a, b, c;
};
