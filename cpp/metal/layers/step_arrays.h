#pragma once

#include <numeric>
#include <utility>
#include <vector>

#include "metal/device/device.h"

namespace mpscnn::metal {

/// The arrays of a step between images. Steps in command buffers of the device's queue share them, because
/// Metal orders the uses of a buffer within a queue. It does not order them between queues, so each encode
/// into another queue, which belongs to a caller, makes arrays that its command buffer keeps.
class StepArrays {
public:
    using Buffers = std::vector<objc_ptr<id<MTLBuffer>>>;

    /// Make one array for each size in bytes.
    StepArrays(const Device &device, std::vector<std::size_t> bytes)
        : device_(&device), bytes_(std::move(bytes)), shared_(make()) {}

    Buffers of(id<MTLCommandBuffer> commands) const {
        return [commands commandQueue] == device_->queue() ? shared_ : make();
    }

    /// Return the bytes of the arrays for one queue.
    std::size_t bytes() const { return std::accumulate(bytes_.begin(), bytes_.end(), std::size_t{0}); }

private:
    Buffers make() const {
        Buffers buffers;
        for (std::size_t bytes : bytes_) buffers.push_back(device_->make_private_buffer(bytes));
        return buffers;
    }

    const Device *device_;
    std::vector<std::size_t> bytes_;
    Buffers shared_;
};

} // namespace mpscnn::metal
