#pragma once

#include "array_params.h"

struct ArrayMultiboxParams {
    ArrayRun run;          ///< a thread for each anchor
    unsigned int anchors;  ///< of an image
    unsigned int channels; ///< of an anchor: four numbers of its box, then classes
    float negative_ratio;
    unsigned int min_negatives;
    float delta, box_weight;
};
