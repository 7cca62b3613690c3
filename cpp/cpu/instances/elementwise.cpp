#include "cpu/elementwise.h"
#include "cpu/instance.h"

MPSCNN_KERNEL(AdditionTask, addition)
MPSCNN_KERNEL(AffineTask, affine)
