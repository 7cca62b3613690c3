#include "cpu/reduction.h"
#include "cpu/instance.h"

MPSCNN_KERNEL(ReductionTask, reduction)
MPSCNN_KERNEL(ArgumentTask, argument)
MPSCNN_KERNEL(WeightedReductionTask, weighted_reduction)
