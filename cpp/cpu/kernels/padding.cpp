#include "cpu/kernels/padding.h"
#include "cpu/isa/instance.h"

MPSCNN_KERNEL(PaddingTask, padding)
