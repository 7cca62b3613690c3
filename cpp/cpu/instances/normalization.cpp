#include "cpu/normalization.h"
#include "cpu/instance.h"

MPSCNN_KERNEL(MomentsTask, moments)
MPSCNN_KERNEL(StatisticsTask, statistics)
MPSCNN_KERNEL(NormalizationTask, normalization)
