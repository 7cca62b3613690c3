// Buffers and textures: their memory on the processor and on the device, and checks of conflicting accesses.
#pragma once

#import "metal/object.h"

#include "msl/abi.h"

#include <memory>
#include <new>

namespace metal_emulation {

/// Bytes between two guard areas, which reveal writes outside. The bytes are initialised with NaN (all bits
/// set).
class GuardedMemory {
public:
    explicit GuardedMemory(std::size_t length);
    unsigned char *data() const { return bytes_.get() + guard; }
    std::size_t length() const { return length_; }
    bool intact() const;

private:
    static constexpr std::size_t guard = 256; // keeps the alignment that Metal guarantees for offsets
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
    /// The processor's copy, for managed storage only.
    std::unique_ptr<metal_emulation::GuardedMemory> processor_memory_;
    std::atomic<int> in_flight_;
    std::atomic<bool> ahead_;
    std::atomic<bool> recycled_;
}
- (instancetype)initWithDevice:(id<MTLDevice>)device options:(MTLResourceOptions)options;
/// Called when committed work that uses the resource begins or ends.
- (void)beginFlight;
- (void)endFlight;
/// Called after a command of the device has written to the resource.
- (void)wasWritten;
/// Copy the device's memory to the processor's; does nothing without managed storage.
- (void)synchronize;
/// Forbid further use, because the storage of this temporary image now belongs to another one.
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
/// Return the device's memory.
- (unsigned char *)deviceBytes;
@end

@interface EmulatedTexture : EmulatedResource <MTLTexture> {
@private
    MTLTextureDescriptor *descriptor_;
    msl::TextureView view_;
}
- (instancetype)initWithDevice:(id<MTLDevice>)device descriptor:(MTLTextureDescriptor *)descriptor;
/// Return the device's view.
- (const msl::TextureView *)view;
@end
