#include "cpu/multiply_add.h"

#include "cpu/instance.h"

void mpscnn::cpu::MPSCNN_SET::get(MultiplyAddLoop &loop) {
    loop = {multiply_add_run<Simd>, 2 * multiply_add_sums<Simd> * Simd::width};
}
