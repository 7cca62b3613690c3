#include "cpu/kernels/weight_gradient.h"
#include "cpu/isa/instance.h"

MPSCNN_KERNEL(WeightGradientTask, weight_gradient)
MPSCNN_KERNEL(PartSumTask, part_sum)
