#include "cpu/isa/build_warning.h"

namespace mpscnn::cpu {

std::string build_warning_for(bool is_native, bool has_avx2, std::size_t sets) {
    if (!is_native || !has_avx2 || sets > 1) return {};
    return "mpscnn was built on another machine, without kernels for this processor's AVX2: it takes "
           "several times as long as it could. Build it here, or with MPSCNN_INSTRUCTION_SETS=all";
}

} // namespace mpscnn::cpu
