#include "cpu/operation.h"

namespace mpscnn::cpu {

void make_step(StepBuilder &, const FusedOperation &, const ops::Reshape &) {
} // another view of the same memory

} // namespace mpscnn::cpu
