#pragma once

// Shared by shaders and host: numbers have the same size and order on both sides.

struct ActivationParams {
    float a, b, c;
};
