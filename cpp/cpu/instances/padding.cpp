#include "cpu/padding.h"
#include "cpu/instance.h"

MPSCNN_KERNEL(PaddingTask, padding)
