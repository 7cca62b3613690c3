#pragma once

#include "image_params.h"

struct TopKParams {
    ImageParams source, destination;
    int of_minimum;
};
