#import "metal/resource.h"

#import "metal/pixel_format.h"

#include <cstring>

using namespace metal_emulation;

namespace {
constexpr unsigned char fresh = 0xff;
constexpr NSUInteger page_bytes = 16384;

MTLStorageMode storage_mode(MTLResourceOptions options) {
    return static_cast<MTLStorageMode>(options >> 4 & 15);
}
} // namespace

namespace metal_emulation {

GuardedMemory::GuardedMemory(std::size_t length)
    : bytes_(new(std::align_val_t(guard)) unsigned char[length + 2 * guard]), length_(length) {
    std::memset(bytes_.get(), fresh, length + 2 * guard);
}

bool GuardedMemory::intact() const {
    const unsigned char *after = data() + length_;
    for (std::size_t i = 0; i < guard; ++i)
        if (bytes_[i] != fresh || after[i] != fresh) return false;
    return true;
}

} // namespace metal_emulation

@implementation EmulatedResource
@synthesize label = label_;

- (instancetype)initWithDevice:(id<MTLDevice>)device options:(MTLResourceOptions)options {
    self = [super init];
    device_ = [device retain];
    options_ = options;
    METAL_EXPECT(storage_mode(options) != MTLStorageModeMemoryless,
                 "memoryless storage is for render targets");
    return self;
}

- (void)dealloc {
    METAL_EXPECT(in_flight_ == 0, "%s is deallocated while the device works with it",
                 object_getClassName(self));
    METAL_EXPECT([self isIntact], "a kernel wrote outside a %s", object_getClassName(self));
    [device_ release];
    [label_ release];
    [super dealloc];
}

- (id<MTLDevice>)device {
    return device_;
}
- (MTLStorageMode)storageMode {
    return storage_mode(options_);
}

- (void)allocate:(std::size_t)length {
    device_memory_ = std::make_unique<GuardedMemory>(length);
    if ([self storageMode] == MTLStorageModeManaged)
        processor_memory_ = std::make_unique<GuardedMemory>(length);
}

- (unsigned char *)processorBytes:(const char *)action {
    METAL_EXPECT([self storageMode] != MTLStorageModePrivate, "%s of a resource with private storage",
                 action);
    METAL_EXPECT(in_flight_ == 0, "%s while the device works with the resource", action);
    METAL_EXPECT(!(processor_memory_ && ahead_),
                 "%s of a managed resource that the device wrote and nobody synchronized", action);
    return (processor_memory_ ? processor_memory_ : device_memory_)->data();
}

- (void)beginFlight {
    ++in_flight_;
}

- (void)wasWritten {
    ahead_ = true;
}

- (void)endFlight {
    --in_flight_;
    METAL_EXPECT([self isIntact], "a kernel wrote outside a %s", object_getClassName(self));
}

- (void)synchronize {
    ahead_ = false;
    if (processor_memory_)
        std::memcpy(processor_memory_->data(), device_memory_->data(), device_memory_->length());
}

- (void)recycle {
    recycled_ = true;
}
- (BOOL)isRecycled {
    return recycled_;
}
- (void)fillWithNaN {
    std::memset(device_memory_->data(), fresh, device_memory_->length());
}
- (BOOL)isIntact {
    return !device_memory_ || device_memory_->intact();
}
@end

@implementation EmulatedBuffer

- (instancetype)initWithDevice:(id<MTLDevice>)device
                        length:(NSUInteger)length
                       options:(MTLResourceOptions)options {
    self = [super initWithDevice:device options:options];
    length_ = length;
    METAL_EXPECT(length > 0, "a buffer of length 0");
    [self allocate:length];
    return self;
}

- (instancetype)initWithDevice:(id<MTLDevice>)device
                        memory:(void *)memory
                        length:(NSUInteger)length
                       options:(MTLResourceOptions)options
                   deallocator:(void (^)(void *, NSUInteger))deallocator {
    self = [super initWithDevice:device options:options];
    length_ = length;
    foreign_ = static_cast<unsigned char *>(memory);
    deallocator_ = Block_copy(deallocator);
    METAL_EXPECT(reinterpret_cast<std::uintptr_t>(memory) % page_bytes == 0,
                 "newBufferWithBytesNoCopy: of a pointer that is not aligned to a page");
    METAL_EXPECT(length > 0 && length % page_bytes == 0,
                 "newBufferWithBytesNoCopy: of %lu bytes, no multiple of a page", length);
    METAL_EXPECT(storage_mode(options) == MTLStorageModeShared ||
                     storage_mode(options) == MTLStorageModeManaged,
                 "newBufferWithBytesNoCopy: with storage that the processor cannot share");
    return self;
}

- (void)dealloc {
    if (deallocator_) {
        deallocator_(foreign_, length_);
        Block_release(deallocator_);
    }
    [super dealloc];
}

- (NSUInteger)length {
    return length_;
}

- (void)setBytes:(const void *)bytes {
    if (length_ == 0) return; // an empty array may have any address
    std::memcpy(device_memory_->data(), bytes, length_);
    if (processor_memory_) std::memcpy(processor_memory_->data(), bytes, length_);
}

- (unsigned char *)deviceBytes {
    return foreign_ ? foreign_ : device_memory_->data();
}

- (void *)contents {
    return foreign_ ? foreign_ : [self processorBytes:"contents"];
}
@end

@implementation EmulatedTexture

- (instancetype)initWithDevice:(id<MTLDevice>)device descriptor:(MTLTextureDescriptor *)descriptor {
    self = [super initWithDevice:device options:[descriptor storageMode] << 4];
    descriptor_ = [descriptor copy];
    const auto layout = pixel_layout([descriptor pixelFormat]).value();
    view_.is_array = [descriptor textureType] == MTLTextureType2DArray;
    view_.width = static_cast<unsigned>([descriptor width]);
    view_.height = static_cast<unsigned>([descriptor height]);
    view_.slices = static_cast<unsigned>([descriptor arrayLength]);
    view_.channel_type = layout.type;
    view_.components = layout.components;
    view_.blue_first = layout.blue_first;
    view_.row_bytes = static_cast<std::size_t>(layout.bytes()) * view_.width;
    view_.slice_bytes = view_.row_bytes * view_.height;
    [self allocate:view_.slice_bytes * view_.slices];
    view_.pixels = device_memory_->data();
    return self;
}

- (void)dealloc {
    [descriptor_ release];
    [super dealloc];
}

- (const msl::TextureView *)view {
    return &view_;
}
- (MTLTextureType)textureType {
    return [descriptor_ textureType];
}
- (MTLPixelFormat)pixelFormat {
    return [descriptor_ pixelFormat];
}
- (NSUInteger)width {
    return view_.width;
}
- (NSUInteger)height {
    return view_.height;
}
- (NSUInteger)arrayLength {
    return view_.slices;
}
- (MTLTextureUsage)usage {
    return [descriptor_ usage];
}
- (id<MTLTexture>)parentTexture {
    return nil;
}

// Return true if a region is within the texture and its rows do not overlap; otherwise record a violation.
- (BOOL)acceptsRegion:(MTLRegion)region
                slice:(NSUInteger)slice
                level:(NSUInteger)level
          bytesPerRow:(NSUInteger)bytesPerRow
               action:(const char *)action {
    const NSUInteger pixel = view_.row_bytes / view_.width;
    return METAL_EXPECT(level == 0, "%s of mipmap level %lu", action, level) &&
           METAL_EXPECT(slice < view_.slices, "%s of slice %lu of %u", action, slice, view_.slices) &&
           METAL_EXPECT(region.origin.x + region.size.width <= view_.width &&
                            region.origin.y + region.size.height <= view_.height && region.origin.z == 0 &&
                            region.size.depth == 1 && region.size.width && region.size.height,
                        "%s of a region that is empty or not within the texture", action) &&
           METAL_EXPECT(bytesPerRow >= region.size.width * pixel || region.size.height == 1,
                        "%s with %lu bytes per row for %lu pixels of %lu bytes", action, bytesPerRow,
                        region.size.width, pixel);
}

- (void)getBytes:(void *)pixelBytes
      bytesPerRow:(NSUInteger)bytesPerRow
    bytesPerImage:(NSUInteger)bytesPerImage
       fromRegion:(MTLRegion)region
      mipmapLevel:(NSUInteger)level
            slice:(NSUInteger)slice {
    (void)bytesPerImage;
    if (![self acceptsRegion:region slice:slice level:level bytesPerRow:bytesPerRow action:"getBytes:"])
        return;
    const unsigned char *from = [self processorBytes:"getBytes:"] + slice * view_.slice_bytes;
    const NSUInteger pixel = view_.row_bytes / view_.width;
    for (NSUInteger y = 0; y < region.size.height; ++y)
        std::memcpy(static_cast<unsigned char *>(pixelBytes) + y * bytesPerRow,
                    from + (region.origin.y + y) * view_.row_bytes + region.origin.x * pixel,
                    region.size.width * pixel);
}

- (void)replaceRegion:(MTLRegion)region
          mipmapLevel:(NSUInteger)level
                slice:(NSUInteger)slice
            withBytes:(const void *)pixelBytes
          bytesPerRow:(NSUInteger)bytesPerRow
        bytesPerImage:(NSUInteger)bytesPerImage {
    (void)bytesPerImage;
    if (![self acceptsRegion:region slice:slice level:level bytesPerRow:bytesPerRow action:"replaceRegion:"])
        return;
    unsigned char *processor = [self processorBytes:"replaceRegion:"];
    const NSUInteger pixel = view_.row_bytes / view_.width;
    for (NSUInteger y = 0; y < region.size.height; ++y) {
        const auto *row = static_cast<const unsigned char *>(pixelBytes) + y * bytesPerRow;
        const NSUInteger at =
            slice * view_.slice_bytes + (region.origin.y + y) * view_.row_bytes + region.origin.x * pixel;
        // Metal itself copies new pixels of a managed texture to the device.
        std::memcpy(processor + at, row, region.size.width * pixel);
        std::memcpy(view_.pixels + at, row, region.size.width * pixel);
    }
}

- (void)replaceRegion:(MTLRegion)region
          mipmapLevel:(NSUInteger)level
            withBytes:(const void *)pixelBytes
          bytesPerRow:(NSUInteger)bytesPerRow {
    [self replaceRegion:region
            mipmapLevel:level
                  slice:0
              withBytes:pixelBytes
            bytesPerRow:bytesPerRow
          bytesPerImage:0];
}
@end
