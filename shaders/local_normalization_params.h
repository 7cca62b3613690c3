#pragma once

#include "image_params.h"
#include "kinds.h"
#include "window_params.h"

/// The parameters of x / (delta + alpha * spread)^beta.
struct PowerParams {
    float alpha, beta, delta;
};

struct WindowNormalizationParams {
    ImageParams source, destination;
    WindowParams window;    ///< has stride 1 and dilation 1
    int offset_x, offset_y; ///< position of the centre of the first window
    EdgeRule edge;          ///< only zero or clamp
    PowerParams power;
    float p0, pm, ps; ///< for local contrast normalization only
};

struct CrossChannelParams {
    ImageParams source, destination;
    /// The window reaches from `before` channels before a channel to `after` channels after it.
    int before, after;
    PowerParams power; ///< `spread` is the sum of squares
};
