#import "mps/kernel.h"

#include <algorithm>

using namespace metal_emulation;

@implementation MPSCNNBinaryKernel
@synthesize primaryOffset = primaryOffset_, secondaryOffset = secondaryOffset_, clipRect = clipRect_;
@synthesize destinationFeatureChannelOffset = destinationFeatureChannelOffset_;
@synthesize primarySourceFeatureChannelOffset = primarySourceFeatureChannelOffset_;
@synthesize secondarySourceFeatureChannelOffset = secondarySourceFeatureChannelOffset_;
@synthesize primarySourceFeatureChannelMaxCount = primarySourceFeatureChannelMaxCount_;
@synthesize secondarySourceFeatureChannelMaxCount = secondarySourceFeatureChannelMaxCount_;
@synthesize primaryEdgeMode = primaryEdgeMode_, secondaryEdgeMode = secondaryEdgeMode_;
@synthesize primaryKernelWidth = primaryKernelWidth_, primaryKernelHeight = primaryKernelHeight_;
@synthesize secondaryKernelWidth = secondaryKernelWidth_, secondaryKernelHeight = secondaryKernelHeight_;
@synthesize primaryStrideInPixelsX = primaryStrideInPixelsX_,
            primaryStrideInPixelsY = primaryStrideInPixelsY_;
@synthesize secondaryStrideInPixelsX = secondaryStrideInPixelsX_;
@synthesize secondaryStrideInPixelsY = secondaryStrideInPixelsY_;
@synthesize primaryDilationRateX = primaryDilationRateX_, primaryDilationRateY = primaryDilationRateY_;
@synthesize secondaryDilationRateX = secondaryDilationRateX_,
            secondaryDilationRateY = secondaryDilationRateY_;
@synthesize padding = padding_, destinationImageAllocator = destinationImageAllocator_;

- (instancetype)initWithDevice:(id<MTLDevice>)device {
    self = [super initWithDevice:device];
    if (!self) return nil;
    clipRect_ = MPSRectNoClip;
    primarySourceFeatureChannelMaxCount_ = secondarySourceFeatureChannelMaxCount_ = NSUIntegerMax;
    primaryKernelWidth_ = primaryKernelHeight_ = secondaryKernelWidth_ = secondaryKernelHeight_ = 1;
    primaryStrideInPixelsX_ = primaryStrideInPixelsY_ = 1;
    secondaryStrideInPixelsX_ = secondaryStrideInPixelsY_ = 1;
    primaryDilationRateX_ = primaryDilationRateY_ = secondaryDilationRateX_ = secondaryDilationRateY_ = 1;
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

- (Compute)computeForPrimary:(MPSImage *)primary secondary:(MPSImage *)secondary {
    (void)primary;
    (void)secondary;
    violation("a kernel of the abstract class MPSCNNBinaryKernel is encoded");
    return [](const std::vector<Pixels> &, Pixels &) {};
}

- (NSUInteger)primaryChannelsIn:(MPSImage *)image {
    return channels_from(image, primarySourceFeatureChannelOffset_, primarySourceFeatureChannelMaxCount_);
}

- (NSUInteger)secondaryChannelsIn:(MPSImage *)image {
    return channels_from(image, secondarySourceFeatureChannelOffset_, secondarySourceFeatureChannelMaxCount_);
}

// A source with a channel stride of 0 is broadcast over the channels of the other. That must have as many or
// more.
- (NSUInteger)resultChannelsFor:(MPSImage *)primary secondary:(MPSImage *)secondary {
    return std::max([self primaryChannelsIn:primary], [self secondaryChannelsIn:secondary]);
}

- (void)encodeToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                 primaryImage:(MPSImage *)primaryImage
               secondaryImage:(MPSImage *)secondaryImage
             destinationImage:(MPSImage *)destinationImage {
    if (!accepts_edge_mode(primaryEdgeMode_) || !accepts_edge_mode(secondaryEdgeMode_) ||
        !METAL_EXPECT(primaryImage && secondaryImage,
                      "a binary kernel is encoded without both source images"))
        return;
    const Source primary{primaryImage, primaryOffset_, primarySourceFeatureChannelOffset_,
                         [self primaryChannelsIn:primaryImage]};
    const Source secondary{secondaryImage, secondaryOffset_, secondarySourceFeatureChannelOffset_,
                           [self secondaryChannelsIn:secondaryImage]};
    const Target target{destinationImage, clipRect_, destinationFeatureChannelOffset_,
                        [self resultChannelsFor:primaryImage secondary:secondaryImage]};
    encode([self class], commandBuffer, { primary, secondary }, target,
           [self computeForPrimary:primaryImage secondary:secondaryImage]);
}

- (MPSImageDescriptor *)destinationImageDescriptorForSourceImages:(NSArray<MPSImage *> *)sourceImages
                                                     sourceStates:(NSArray<MPSState *> *)sourceStates {
    if (!METAL_EXPECT([sourceImages count] == 2, "automatic sizing for %lu source images of a binary kernel",
                      [sourceImages count]))
        return nil;
    MPSImage *primary = [sourceImages objectAtIndex:0];
    MPSImage *secondary = [sourceImages objectAtIndex:1];
    const MPSNNPaddingMethod method = [padding_ paddingMethod];
    check_padding_method(method);
    // With a stride of 0 the image is read at one position only, and the other image determines the size.
    MPSImage *wide = primaryStrideInPixelsX_ ? primary : secondary;
    MPSImage *high = primaryStrideInPixelsY_ ? primary : secondary;
    const NSUInteger stride_x = std::max(primaryStrideInPixelsX_, NSUInteger{1});
    const NSUInteger stride_y = std::max(primaryStrideInPixelsY_, NSUInteger{1});
    const PlacedAxis x = place(method, {primaryKernelWidth_, stride_x, primaryDilationRateX_}, [wide width],
                               remainder_left(method));
    const PlacedAxis y = place(method, {primaryKernelHeight_, stride_y, primaryDilationRateY_}, [high height],
                               remainder_top(method));
    MPSImageDescriptor *descriptor = [MPSImageDescriptor
        imageDescriptorWithChannelFormat:[primary featureChannelFormat]
                                   width:x.size
                                  height:y.size
                         featureChannels:destinationFeatureChannelOffset_ + [self resultChannelsFor:primary
                                                                                          secondary:secondary]
                          numberOfImages:[primary numberOfImages]
                                   usage:MTLTextureUsageShaderRead | MTLTextureUsageShaderWrite];
    [descriptor setStorageMode:MTLStorageModePrivate];
    primaryOffset_ = secondaryOffset_ = MPSOffset{x.offset, y.offset, 0};
    if (method & MPSNNPaddingMethodCustom)
        descriptor = [padding_ destinationImageDescriptorForSourceImages:sourceImages
                                                            sourceStates:sourceStates
                                                               forKernel:self
                                                     suggestedDescriptor:descriptor];
    return descriptor;
}

- (MPSImage *)encodeToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                       primaryImage:(MPSImage *)primaryImage
                     secondaryImage:(MPSImage *)secondaryImage {
    NSArray *sources = [NSArray arrayWithObjects:primaryImage, secondaryImage, nil];
    MPSImageDescriptor *descriptor = [self destinationImageDescriptorForSourceImages:sources
                                                                        sourceStates:nil];
    MPSImage *destination = [destinationImageAllocator_ imageForCommandBuffer:commandBuffer
                                                              imageDescriptor:descriptor
                                                                       kernel:self];
    [self encodeToCommandBuffer:commandBuffer
                   primaryImage:primaryImage
                 secondaryImage:secondaryImage
               destinationImage:destination];
    return destination;
}

- (void)encodeBatchToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                     primaryImages:(MPSImageBatch *)primaryImages
                   secondaryImages:(MPSImageBatch *)secondaryImages
                 destinationImages:(MPSImageBatch *)destinationImages {
    if (!METAL_EXPECT([primaryImages count] == [destinationImages count] &&
                          [secondaryImages count] == [destinationImages count],
                      "batches of %lu, %lu and %lu images", [primaryImages count], [secondaryImages count],
                      [destinationImages count]))
        return;
    for (NSUInteger i = 0; i < [primaryImages count]; ++i)
        [self encodeToCommandBuffer:commandBuffer
                       primaryImage:[primaryImages objectAtIndex:i]
                     secondaryImage:[secondaryImages objectAtIndex:i]
                   destinationImage:[destinationImages objectAtIndex:i]];
}

- (MPSImageBatch *)encodeBatchToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                                primaryImages:(MPSImageBatch *)primaryImages
                              secondaryImages:(MPSImageBatch *)secondaryImages {
    NSMutableArray *results = [NSMutableArray array];
    for (NSUInteger i = 0; i < [primaryImages count]; ++i)
        [results addObject:[self encodeToCommandBuffer:commandBuffer
                                          primaryImage:[primaryImages objectAtIndex:i]
                                        secondaryImage:[secondaryImages objectAtIndex:i]]];
    return results;
}
@end
