#pragma once

#include "image_params.h"

struct ReshapeParams {
    ImageParams source, destination;
};
