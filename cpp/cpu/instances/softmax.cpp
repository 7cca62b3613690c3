#include "cpu/softmax.h"
#include "cpu/instance.h"

MPSCNN_KERNEL(SoftmaxTask, softmax)
