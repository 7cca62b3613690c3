#include "cpu/local_normalization.h"
#include "cpu/instance.h"

MPSCNN_KERNEL(CrossChannelTask, cross_channel)
MPSCNN_KERNEL(WindowNormalizationTask, window_normalization)
