#include "cpu/machine/weight_memory.h"

#include <algorithm>

namespace mpscnn::cpu {

WeightBuffer WeightMemory::take(std::size_t floats) {
    constexpr std::size_t line = 64;
    const std::size_t bytes =
        (floats * sizeof(float) + line - 1) / line * line; // a block already has one in reserve
    const std::lock_guard lock(mutex_);
    if (!block_ || block_->size() - used_ < bytes) {
        block_ = std::make_shared<Block>(std::max(bytes, next_block_));
        used_ = 0;
        // Later blocks hold only what exceeds the expected bytes, for example Winograd's weights.
        next_block_ /= 4;
    }
    auto *const first = reinterpret_cast<float *>(block_->data() + used_);
    used_ += bytes;
    return {std::shared_ptr<float>(block_, first), floats};
}

} // namespace mpscnn::cpu
