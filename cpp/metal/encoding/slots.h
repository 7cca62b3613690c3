#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "metal/encoding/port_memory.h"

namespace mpscnn::metal {

/// Memory of the GPU alone for what lies between inputs and outputs.
class ArenaMemory {
public:
    /// At least this much; what it held is lost.
    void reserve(const Device &device, std::size_t bytes) {
        if (bytes <= bytes_) return;
        buffer_.reset(); // first, so that both need not fit at once
        bytes_ = 0;
        buffer_ = device.make_private_buffer(bytes);
        bytes_ = bytes;
    }
    id<MTLBuffer> buffer() const { return buffer_.get(); }

private:
    objc_ptr<id<MTLBuffer>> buffer_;
    std::size_t bytes_ = 0;
};

/// Memory of one request under way.
struct Slot {
    std::vector<PortMemory> inputs, outputs;
    ArenaMemory arena;
};

/// A session's slots: as many requests may be under way.
class Slots {
public:
    explicit Slots(int count);

    /// One that is free; blocks until there is one. Letting go of it frees it; all must be free before this
    /// is destroyed.
    std::shared_ptr<Slot> take();
    /// Releases their memory.
    void clear() { slots_.clear(); }

private:
    void free(Slot *slot);

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::unique_ptr<Slot>> slots_;
    std::vector<Slot *> free_; ///< the one used last behind: its memory is warm
};

} // namespace mpscnn::metal
