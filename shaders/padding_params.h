#pragma once

#include "image_params.h"

/// What a border holds.
enum PaddingBorder {
    padding_constant = 0,
    padding_clamp = 1,
    padding_mirror = 2,
    padding_mirror_with_edge = 3
};

struct PaddingParams {
    ImageParams source, destination;
    int left, top, front; ///< negative: cropped
    int border;           ///< PaddingBorder
};
