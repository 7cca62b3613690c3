#include "cpu/resize.h"
#include "cpu/instance.h"

MPSCNN_KERNEL(ResizeTask, resize)
