#import "mps/image.h"

using namespace metal_emulation;

@implementation MPSTemporaryImage
@synthesize readCount = readCount_;

+ (instancetype)temporaryImageWithCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                                imageDescriptor:(const MPSImageDescriptor *)imageDescriptor {
    METAL_EXPECT([imageDescriptor storageMode] == MTLStorageModePrivate,
                 "a temporary image whose descriptor does not say private storage");
    METAL_EXPECT([commandBuffer status] < MTLCommandBufferStatusCommitted,
                 "a temporary image on a command buffer that is committed");
    MPSTemporaryImage *image = [[[self alloc] initForCommandBuffer:commandBuffer
                                                        descriptor:imageDescriptor] autorelease];
    return image;
}

- (instancetype)initForCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                          descriptor:(const MPSImageDescriptor *)imageDescriptor {
    self = [super initWithDevice:[commandBuffer device] imageDescriptor:imageDescriptor];
    commandBuffer_ = [commandBuffer retain];
    readCount_ = 1;
    return self;
}

- (instancetype)initWithDevice:(id<MTLDevice>)device
               imageDescriptor:(const MPSImageDescriptor *)imageDescriptor {
    violation("a temporary image is made by temporaryImageWithCommandBuffer:");
    return [super initWithDevice:device imageDescriptor:imageDescriptor];
}

- (void)dealloc {
    METAL_EXPECT(readCount_ == 0, "a temporary image is deallocated with a read count of %lu", readCount_);
    [commandBuffer_ release];
    [super dealloc];
}

- (void)setReadCount:(NSUInteger)readCount {
    if (!METAL_EXPECT(readCount_ > 0, "the read count of a temporary image is changed after it fell to 0"))
        return;
    readCount_ = readCount;
    if (readCount > 0 || !texture_) return;
    // From here on another image may use its memory.
    auto *texture = static_cast<EmulatedTexture *>(texture_);
    auto *commandBuffer = static_cast<EmulatedCommandBuffer *>(commandBuffer_);
    [commandBuffer returnTemporaryBytes:[self resourceSize]];
    if ([commandBuffer status] < MTLCommandBufferStatusCommitted) {
        [commandBuffer useResource:texture written:YES];
        [commandBuffer append:[texture] { [texture fillWithNaN]; }];
    }
    [texture recycle];
}

- (void)wasRead {
    [self setReadCount:readCount_ - 1];
}

- (id<MTLTexture>)texture {
    METAL_EXPECT(readCount_ > 0, "the texture of a temporary image whose read count fell to 0");
    const BOOL isNew = !texture_;
    id<MTLTexture> texture = [super texture];
    if (isNew && texture)
        [static_cast<EmulatedCommandBuffer *>(commandBuffer_) takeTemporaryBytes:[self resourceSize]];
    return texture;
}

- (BOOL)acceptsUseOn:(EmulatedCommandBuffer *)commandBuffer {
    return METAL_EXPECT(commandBuffer == commandBuffer_,
                        "a temporary image is used on another command buffer") &&
           METAL_EXPECT(readCount_ > 0, "a temporary image is used after its read count fell to 0");
}

- (void)synchronizeOnCommandBuffer:(id<MTLCommandBuffer>)commandBuffer {
    (void)commandBuffer;
    violation("synchronizeOnCommandBuffer: of a temporary image");
}
@end
