#include "cpu/kernels/elementwise/pooling.h"

#include "cpu/isa/instance.h"

MPSCNN_KERNEL(PoolingTask, pooling)
