// Buffers and textures: memory of the processor and of the device, and who may touch it when.
#pragma once

#import "metal/object.h"

#include "msl/abi.h"

#include <memory>
#include <new>

namespace metal_emulation {

/// Bytes between two guards whose change shows that a kernel wrote outside. Filled with NaN (all bits set).
class GuardedMemory {
public:
    explicit GuardedMemory(std::size_t length);
    unsigned char *data() const { return bytes_.get() + guard; }
    std::size_t length() const { return length_; }
    bool intact() const;

private:
    static constexpr std::size_t guard = 256; // keeps the alignment that Metal promises for offsets
    struct Free {
        void operator()(unsigned char *bytes) const { ::operator delete[](bytes, std::align_val_t(guard)); }
    };
    std::unique_ptr<unsigned char[], Free> bytes_;
    std::size_t length_;
};

} // namespace metal_emulation

@interface EmulatedResource : EmulatedObject <MTLResource> {
@protected
    id<MTLDevice> device_;
    MTLResourceOptions options_;
    NSString *label_;
    std::unique_ptr<metal_emulation::GuardedMemory> device_memory_;
    /// Managed storage keeps a copy of its own for the processor; otherwise nothing.
    std::unique_ptr<metal_emulation::GuardedMemory> processor_memory_;
    std::atomic<int> in_flight_;
    std::atomic<bool> ahead_;
    std::atomic<bool> recycled_;
}
- (instancetype)initWithDevice:(id<MTLDevice>)device options:(MTLResourceOptions)options;
/// Committed work that uses it has begun or ended.
- (void)beginFlight;
- (void)endFlight;
/// A command of the device wrote to it.
- (void)wasWritten;
/// The device's memory becomes the processor's; without managed storage nothing happens.
- (void)synchronize;
/// The storage of a temporary image was given to another: no more use.
- (void)recycle;
- (void)fillWithNaN;
- (BOOL)isRecycled;
- (BOOL)isIntact;
@end

@interface EmulatedBuffer : EmulatedResource <MTLBuffer> {
@private
    NSUInteger length_;
    unsigned char *foreign_;
    void (^deallocator_)(void *, NSUInteger);
}
- (instancetype)initWithDevice:(id<MTLDevice>)device
                        length:(NSUInteger)length
                       options:(MTLResourceOptions)options;
- (instancetype)initWithDevice:(id<MTLDevice>)device
                        memory:(void *)memory
                        length:(NSUInteger)length
                       options:(MTLResourceOptions)options
                   deallocator:(void (^)(void *, NSUInteger))deallocator;
- (void)setBytes:(const void *)bytes;
/// As the device sees it.
- (unsigned char *)deviceBytes;
@end

@interface EmulatedTexture : EmulatedResource <MTLTexture> {
@private
    MTLTextureDescriptor *descriptor_;
    msl::TextureView view_;
}
- (instancetype)initWithDevice:(id<MTLDevice>)device descriptor:(MTLTextureDescriptor *)descriptor;
/// As the device sees it.
- (const msl::TextureView *)view;
@end
