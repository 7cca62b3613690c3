#include "cpu/elementwise.h"
#include "cpu/instance.h"

MPSCNN_KERNEL(AffineTask, affine)
