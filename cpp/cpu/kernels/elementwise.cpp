#include "cpu/kernels/elementwise.h"
#include "cpu/isa/instance.h"

MPSCNN_KERNEL(AffineTask, affine)
