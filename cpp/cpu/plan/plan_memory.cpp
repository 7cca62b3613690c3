#include "cpu/plan/plan_memory.h"

#include <algorithm>
#include <new>

#include "core/error.h"

namespace mpscnn::cpu {

void PlanMemory::forget() {
    block_ = used_ = 0;
    taken_ = 0;
    is_exhausted_ = false;
}

void *PlanMemory::take(std::size_t bytes) noexcept {
    constexpr std::size_t alignment = 16, first_block = 4096;
    bytes = (bytes + alignment - 1) / alignment * alignment;
    taken_ += bytes;
    if (taken_ > max_) return nullptr;
    try {
        while (block_ < blocks_.size() && used_ + bytes > blocks_[block_].size()) ++block_, used_ = 0;
        if (block_ == blocks_.size())
            blocks_.emplace_back(std::max(bytes, first_block << std::min<std::size_t>(block_, 8)));
        return blocks_[block_].data() + std::exchange(used_, used_ + bytes);
    } catch (const std::bad_alloc &) {
        is_exhausted_ = true;
        return nullptr;
    }
}

void PlanMemory::require_enough() const {
    if (taken_ > max_)
        fail(ErrorKind::shape, {"tables of kernels take more than the ", max_,
                                " bytes that they may take next to packed weights and intermediate results; "
                                "increase max_memory"});
    if (is_exhausted_) throw std::bad_alloc();
}

/// Return memory, or null if there is not enough. Kernels call this function, and they do not throw.
void *take_plan_memory(PlanMemory &memory, std::size_t bytes) noexcept { return memory.take(bytes); }

} // namespace mpscnn::cpu
