#pragma once

#include "array_params.h"

struct ArrayMultiboxParams {
    ArrayRun run;          ///< one thread for each anchor
    unsigned int anchors;  ///< number of anchors of one image
    unsigned int channels; ///< numbers of one anchor: the four of its box, then its classes
    float negative_ratio;
    unsigned int min_negatives;
    float delta, box_weight;
};
