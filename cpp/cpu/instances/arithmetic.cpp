#include "cpu/arithmetic.h"
#include "cpu/instance.h"

MPSCNN_KERNEL(ArithmeticTask, arithmetic)
