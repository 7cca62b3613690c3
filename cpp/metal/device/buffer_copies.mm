#include "metal/device/buffer_copies.h"

#include "core/error.h"
#include "core/text.h"
#include "metal/device/text.h"

namespace mpscnn::metal {

BufferCopies::BufferCopies(id<MTLCommandBuffer> command_buffer, const std::string &what)
    : encoder_([command_buffer blitCommandEncoder]) {
    if (!encoder_) fail(ErrorKind::device, {"Metal gives no encoder to ", what});
    [encoder_ setLabel:string_of(what)];
}

void BufferCopies::copy(const BufferPlace &from, const BufferPlace &to, std::size_t bytes) {
    [encoder_ copyFromBuffer:from.buffer
                sourceOffset:from.offset
                    toBuffer:to.buffer
           destinationOffset:to.offset
                        size:bytes];
}

} // namespace mpscnn::metal
