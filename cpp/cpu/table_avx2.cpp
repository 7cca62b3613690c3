#include "cpu/simd_avx2.h"
#include "cpu/table.h"

namespace mpscnn::cpu::avx2 {

extern const KernelTable table;
const KernelTable table = make_table<Simd>("avx2");

} // namespace mpscnn::cpu::avx2
