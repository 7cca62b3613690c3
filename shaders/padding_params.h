#pragma once

#include "image_params.h"
#include "kinds.h"

struct PaddingParams {
    ImageParams source, destination;
    /// Number of columns, rows and channels that are added before the source. Negative numbers are cropped.
    int left, top, front;
    PaddingMode mode;
};
