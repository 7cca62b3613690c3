#pragma once

#include "image_params.h"

struct ConstantParams {
    ImageParams destination;
};
