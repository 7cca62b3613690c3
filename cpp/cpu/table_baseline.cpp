#include "cpu/simd_baseline.h"
#include "cpu/table.h"

namespace mpscnn::cpu::baseline {

extern const KernelTable table;
const KernelTable table = make_table<Simd>("baseline");

} // namespace mpscnn::cpu::baseline
