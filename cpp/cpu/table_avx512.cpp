#include "cpu/simd_avx512.h"
#include "cpu/table.h"

namespace mpscnn::cpu::avx512 {

extern const KernelTable table;
const KernelTable table = make_table<Simd>("avx512");

} // namespace mpscnn::cpu::avx512
