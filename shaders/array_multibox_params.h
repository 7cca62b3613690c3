#pragma once

#include "array_params.h"

struct ArrayMultiboxParams {
    ArrayRun run;          ///< one thread for each anchor
    unsigned int anchors;  ///< of one image
    unsigned int channels; ///< of one anchor: four numbers of its box, then classes
    float negative_ratio;
    unsigned int min_negatives;
    float delta, box_weight;
};
