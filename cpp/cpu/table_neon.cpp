#include "cpu/simd_neon.h"
#include "cpu/table.h"

namespace mpscnn::cpu::neon {

extern const KernelTable table;
const KernelTable table = make_table<Simd>("neon");

} // namespace mpscnn::cpu::neon
