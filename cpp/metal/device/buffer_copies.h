#pragma once

#include <cstddef>
#include <string>

#import <Metal/Metal.h>

namespace mpscnn::metal {

/// A place in a buffer.
struct BufferPlace {
    id<MTLBuffer> buffer = nil;
    std::size_t offset = 0; ///< in bytes
};

/// Encodes copies between buffers into a command buffer, by one encoder. No other encoder may be open while
/// this object exists.
class BufferCopies {
public:
    /// macOS copies only multiples of this number of bytes.
    static constexpr std::size_t unit = 4;

    /// Throws DeviceError if Metal gives no encoder. `what` describes the copies, as in "copy weights".
    BufferCopies(id<MTLCommandBuffer> command_buffer, const std::string &what);
    ~BufferCopies() { [encoder_ endEncoding]; }
    BufferCopies(const BufferCopies &) = delete;
    BufferCopies &operator=(const BufferCopies &) = delete;

    /// Offsets and `bytes` must be multiples of `unit`.
    void copy(const BufferPlace &from, const BufferPlace &to, std::size_t bytes);

private:
    id<MTLBlitCommandEncoder> encoder_; ///< autoreleased, like all encoders
};

} // namespace mpscnn::metal
