#include "cpu/concatenation.h"
#include "cpu/instance.h"

MPSCNN_KERNEL(ConcatenationTask, concatenation)
