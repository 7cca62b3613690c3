#include "cpu/binary_convolution.h"
#include "cpu/beta_scaling.h"
#include "cpu/instance.h"

MPSCNN_KERNEL(BinaryConvolutionTask, binary)
MPSCNN_KERNEL(BetaScalingTask, beta_scaling)
