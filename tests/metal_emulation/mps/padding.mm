#import "mps/kernel.h"

#import <objc/runtime.h>

using namespace metal_emulation;

namespace metal_emulation {

void check_padding_method(MPSNNPaddingMethod method) {
    METAL_EXPECT((method & MPSNNPaddingMethodAlignMask) == MPSNNPaddingMethodAlignCentered,
                 "automatic sizing with an alignment other than centred, whose meaning is not documented");
}

bool remainder_left(MPSNNPaddingMethod method) {
    return !(method & MPSNNPaddingMethodAddRemainderToTopRight);
}
bool remainder_top(MPSNNPaddingMethod method) {
    return !(method & MPSNNPaddingMethodAddRemainderToBottomLeft);
}

PlacedAxis place(MPSNNPaddingMethod method, const WindowAxis &window, NSUInteger source_size,
                 bool remainder_before) {
    const NSUInteger kind = method & MPSNNPaddingMethodSizeMask;
    const NSInteger style = kind == MPSNNPaddingMethodSizeSame   ? 0
                            : kind == MPSNNPaddingMethodSizeFull ? 1
                                                                 : -1;
    const auto extent = static_cast<NSInteger>(window.extent());
    const auto stride = static_cast<NSInteger>(window.stride);
    const auto source = static_cast<NSInteger>(source_size);
    const NSInteger size = (source + style * (extent - 1) + stride - 1) / stride;
    METAL_EXPECT(size > 0, "a padding policy gives a result of size %ld", size);
    const NSInteger read = (size - 1) * stride + extent;
    const NSInteger lead = (read - source + (remainder_before ? 1 : 0)) / 2;
    return {static_cast<NSUInteger>(size), extent / 2 - lead};
}

} // namespace metal_emulation

@implementation MPSNNDefaultPadding
METAL_EMULATION_COUNT_OBJECTS

- (instancetype)initWithMethod:(MPSNNPaddingMethod)method {
    self = [super init];
    method_ = method;
    return self;
}

+ (instancetype)paddingWithMethod:(MPSNNPaddingMethod)method {
    METAL_EXPECT(!(method & MPSNNPaddingMethodCustom), "paddingWithMethod: with the custom bit");
    return [[[self alloc] initWithMethod:method] autorelease];
}

// The header promises a remainder at the bottom right, which is TensorFlow's rule. Its sample code has one at
// the top left.
+ (instancetype)paddingForTensorflowAveragePooling {
    return [[[self alloc] initWithMethod:MPSNNPaddingMethodCustom | MPSNNPaddingMethodSizeSame |
                                         MPSNNPaddingMethodAddRemainderToBottomRight] autorelease];
}

+ (instancetype)paddingForTensorflowAveragePoolingValidOnly {
    return [[[self alloc] initWithMethod:MPSNNPaddingMethodCustom | MPSNNPaddingMethodSizeValidOnly |
                                         MPSNNPaddingMethodAddRemainderToBottomRight] autorelease];
}

- (void)dealloc {
    object_died(object_getClassName(self));
    [super dealloc];
}

- (MPSNNPaddingMethod)paddingMethod {
    return method_;
}

- (NSString *)label {
    return @"MPSNNDefaultPadding";
}

- (MPSImageDescriptor *)destinationImageDescriptorForSourceImages:(NSArray<MPSImage *> *)sourceImages
                                                     sourceStates:(NSArray<MPSState *> *)sourceStates
                                                        forKernel:(MPSKernel *)kernel
                                              suggestedDescriptor:(MPSImageDescriptor *)inDescriptor {
    (void)sourceStates;
    if (METAL_EXPECT([sourceImages count] == 1, "padding of average pooling for a kernel with %lu sources",
                     [sourceImages count]))
        [static_cast<MPSCNNKernel *>(kernel) setEdgeMode:MPSImageEdgeModeClamp];
    return inDescriptor;
}

+ (BOOL)supportsSecureCoding {
    return YES;
}
- (void)encodeWithCoder:(NSCoder *)coder {
    (void)coder;
    violation("the emulation does not archive padding policies");
}
- (id)initWithCoder:(NSCoder *)coder {
    (void)coder;
    violation("the emulation does not archive padding policies");
    return [self initWithMethod:MPSNNPaddingMethodSizeSame];
}
@end
