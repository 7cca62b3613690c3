#import "mps/kernel.h"

using namespace metal_emulation;

@implementation MPSCNNKernel
@synthesize offset = offset_, clipRect = clipRect_, edgeMode = edgeMode_;
@synthesize destinationFeatureChannelOffset = destinationFeatureChannelOffset_;
@synthesize sourceFeatureChannelOffset = sourceFeatureChannelOffset_;
@synthesize sourceFeatureChannelMaxCount = sourceFeatureChannelMaxCount_;
@synthesize kernelWidth = kernelWidth_, kernelHeight = kernelHeight_;
@synthesize strideInPixelsX = strideInPixelsX_, strideInPixelsY = strideInPixelsY_;
@synthesize dilationRateX = dilationRateX_, dilationRateY = dilationRateY_;
@synthesize padding = padding_, destinationImageAllocator = destinationImageAllocator_;

- (instancetype)initWithDevice:(id<MTLDevice>)device {
    self = [super initWithDevice:device];
    if (!self) return nil;
    clipRect_ = MPSRectNoClip;
    sourceFeatureChannelMaxCount_ = NSUIntegerMax;
    kernelWidth_ = kernelHeight_ = strideInPixelsX_ = strideInPixelsY_ = dilationRateX_ = dilationRateY_ = 1;
    padding_ = [[MPSNNDefaultPadding paddingWithMethod:MPSNNPaddingMethodSizeSame] retain];
    destinationImageAllocator_ = [[MPSTemporaryImage defaultAllocator] retain];
    return self;
}

- (void)dealloc {
    [padding_ release];
    [destinationImageAllocator_ release];
    [super dealloc];
}

- (BOOL)isBackwards {
    return NO;
}

- (Compute)computeForSource:(MPSImage *)source {
    (void)source;
    violation("a kernel of the abstract class MPSCNNKernel is encoded");
    return [](const std::vector<Pixels> &, Pixels &) {};
}

- (NSUInteger)sourceChannelsIn:(MPSImage *)source {
    return channels_from(source, sourceFeatureChannelOffset_, sourceFeatureChannelMaxCount_);
}

- (NSUInteger)resultChannelsFor:(MPSImage *)source {
    return [self sourceChannelsIn:source];
}

- (void)encodeToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                  sourceImage:(MPSImage *)sourceImage
             destinationImage:(MPSImage *)destinationImage {
    if (!accepts_edge_mode(edgeMode_) ||
        !METAL_EXPECT(sourceImage, "a kernel is encoded without a source image"))
        return;
    const Source source{sourceImage, offset_, sourceFeatureChannelOffset_,
                        [self sourceChannelsIn:sourceImage]};
    const Target target{destinationImage, clipRect_, destinationFeatureChannelOffset_,
                        [self resultChannelsFor:sourceImage]};
    encode([self class], commandBuffer, { source }, target, [self computeForSource:sourceImage]);
}

- (MPSImageDescriptor *)destinationImageDescriptorForSourceImages:(NSArray<MPSImage *> *)sourceImages
                                                     sourceStates:(NSArray<MPSState *> *)sourceStates {
    if (!METAL_EXPECT([sourceImages count] == 1, "automatic sizing for %lu source images of a unary kernel",
                      [sourceImages count]))
        return nil;
    MPSImage *source = [sourceImages objectAtIndex:0];
    const MPSNNPaddingMethod method = [padding_ paddingMethod];
    check_padding_method(method);
    const PlacedAxis x = place(method, {kernelWidth_, strideInPixelsX_, dilationRateX_}, [source width],
                               remainder_left(method));
    const PlacedAxis y = place(method, {kernelHeight_, strideInPixelsY_, dilationRateY_}, [source height],
                               remainder_top(method));
    MPSImageDescriptor *descriptor = [MPSImageDescriptor
        imageDescriptorWithChannelFormat:[source featureChannelFormat]
                                   width:x.size
                                  height:y.size
                         featureChannels:destinationFeatureChannelOffset_ + [self resultChannelsFor:source]
                          numberOfImages:[source numberOfImages]
                                   usage:MTLTextureUsageShaderRead | MTLTextureUsageShaderWrite];
    [descriptor setStorageMode:MTLStorageModePrivate];
    offset_ = MPSOffset{x.offset, y.offset, 0};
    if (method & MPSNNPaddingMethodCustom)
        descriptor = [padding_ destinationImageDescriptorForSourceImages:sourceImages
                                                            sourceStates:sourceStates
                                                               forKernel:self
                                                     suggestedDescriptor:descriptor];
    return descriptor;
}

- (BOOL)isResultStateReusedAcrossBatch {
    return NO;
}

- (MPSState *)resultStateForSourceImage:(MPSImage *)sourceImage
                           sourceStates:(NSArray<MPSState *> *)sourceStates
                       destinationImage:(MPSImage *)destinationImage {
    (void)sourceStates;
    return [[[MPSNNGradientState alloc] initWithKernel:self
                                           sourceImage:sourceImage
                                      destinationImage:destinationImage] autorelease];
}

- (MPSStateBatch *)resultStateBatchForSourceImage:(MPSImageBatch *)sourceImage
                                     sourceStates:(NSArray<MPSStateBatch *> *)sourceStates
                                 destinationImage:(MPSImageBatch *)destinationImage {
    (void)sourceStates;
    if (!METAL_EXPECT([sourceImage count] && [sourceImage count] == [destinationImage count],
                      "states for batches of %lu source images and %lu results", [sourceImage count],
                      [destinationImage count]))
        return nil;
    NSMutableArray *states = [NSMutableArray array];
    for (NSUInteger i = 0; i < [sourceImage count]; ++i) {
        MPSState *state = i > 0 && [self isResultStateReusedAcrossBatch]
                              ? [states objectAtIndex:0]
                              : [self resultStateForSourceImage:[sourceImage objectAtIndex:i]
                                                   sourceStates:nil
                                               destinationImage:[destinationImage objectAtIndex:i]];
        if (!state) return nil;
        [states addObject:state];
    }
    return states;
}

- (MPSImage *)encodeToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer sourceImage:(MPSImage *)sourceImage {
    MPSImageDescriptor *descriptor =
        [self destinationImageDescriptorForSourceImages:[NSArray arrayWithObject:sourceImage]
                                           sourceStates:nil];
    MPSImage *destination = [destinationImageAllocator_ imageForCommandBuffer:commandBuffer
                                                              imageDescriptor:descriptor
                                                                       kernel:self];
    [self encodeToCommandBuffer:commandBuffer sourceImage:sourceImage destinationImage:destination];
    return destination;
}

- (void)encodeBatchToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                      sourceImages:(MPSImageBatch *)sourceImages
                 destinationImages:(MPSImageBatch *)destinationImages {
    if (!METAL_EXPECT([sourceImages count] == [destinationImages count], "batches of %lu and %lu images",
                      [sourceImages count], [destinationImages count]))
        return;
    for (NSUInteger i = 0; i < [sourceImages count]; ++i)
        [self encodeToCommandBuffer:commandBuffer
                        sourceImage:[sourceImages objectAtIndex:i]
                   destinationImage:[destinationImages objectAtIndex:i]];
}

- (MPSImageBatch *)encodeBatchToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                                 sourceImages:(MPSImageBatch *)sourceImages {
    NSMutableArray *results = [NSMutableArray array];
    for (MPSImage *image in sourceImages)
        [results addObject:[self encodeToCommandBuffer:commandBuffer sourceImage:image]];
    return results;
}
@end
