// Encoders. The arguments of a command are checked when it is encoded, with the shader's own table.
#pragma once

#import "metal/command_buffer.h"
#import "metal/library.h"

@interface EmulatedEncoder : EmulatedObject <MTLCommandEncoder> {
@protected
    EmulatedCommandBuffer *commandBuffer_;
    NSString *label_;
    BOOL ended_;
}
- (instancetype)initWithCommandBuffer:(EmulatedCommandBuffer *)commandBuffer;
- (BOOL)accepts:(const char *)action;
@end

namespace metal_emulation {

struct BoundBuffer {
    EmulatedBuffer *buffer = nil;
    NSUInteger offset = 0;
    std::shared_ptr<std::vector<unsigned char>> bytes; // bytes that setBytes: has copied
};

} // namespace metal_emulation

@interface EmulatedComputeEncoder : EmulatedEncoder <MTLComputeCommandEncoder> {
@private
    EmulatedPipeline *pipeline_;
    metal_emulation::BoundBuffer buffers_[msl::max_buffers];
    EmulatedTexture *textures_[msl::max_textures];
    NSUInteger threadgroupLengths_[msl::max_threadgroup_arguments];
    // Bound objects live as long as the encoder.
    NSMutableArray *retained_;
}
@end

@interface EmulatedBlitEncoder : EmulatedEncoder <MTLBlitCommandEncoder>
@end
