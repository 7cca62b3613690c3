#include "cpu/dropout.h"
#include "cpu/instance.h"

MPSCNN_KERNEL(DropoutTask, dropout)
