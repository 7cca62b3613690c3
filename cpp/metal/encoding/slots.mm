#include "metal/encoding/slots.h"

namespace mpscnn::metal {

Slots::Slots(int count) {
    for (int i = 0; i < count; ++i) slots_.push_back(std::make_unique<Slot>());
    for (const auto &slot : slots_) free_.push_back(slot.get());
}

std::shared_ptr<Slot> Slots::take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !free_.empty(); });
    Slot *slot = free_.back();
    free_.pop_back();
    return {slot, [this](Slot *used) { free(used); }};
}

void Slots::free(Slot *slot) {
    const std::lock_guard lock(mutex_);
    free_.push_back(slot);
    changed_.notify_one();
}

} // namespace mpscnn::metal
