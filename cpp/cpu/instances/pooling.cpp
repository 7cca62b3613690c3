#include "cpu/pooling.h"
#include "cpu/instance.h"

MPSCNN_KERNEL(PoolingTask, pooling)
