// Normalization by neighbouring pixels and by neighbouring feature channels.
#pragma once

#import <MetalPerformanceShaders/MPSCNNKernel.h>

@interface MPSCNNSpatialNormalization : MPSCNNKernel {
@protected
    float alpha_;
    float beta_;
    float delta_;
}
@property(nonatomic) float alpha;
@property(nonatomic) float beta;
@property(nonatomic) float delta;
- (instancetype)initWithDevice:(id<MTLDevice>)device
                   kernelWidth:(NSUInteger)kernelWidth
                  kernelHeight:(NSUInteger)kernelHeight;
@end

@interface MPSCNNLocalContrastNormalization : MPSCNNKernel {
@protected
    float alpha_;
    float beta_;
    float delta_;
    float p0_;
    float pm_;
    float ps_;
}
@property(nonatomic) float alpha;
@property(nonatomic) float beta;
@property(nonatomic) float delta;
@property(nonatomic) float p0;
@property(nonatomic) float pm;
@property(nonatomic) float ps;
- (instancetype)initWithDevice:(id<MTLDevice>)device
                   kernelWidth:(NSUInteger)kernelWidth
                  kernelHeight:(NSUInteger)kernelHeight;
@end

@interface MPSCNNCrossChannelNormalization : MPSCNNKernel {
@protected
    float alpha_;
    float beta_;
    float delta_;
    NSUInteger kernelSize_;
}
@property(nonatomic) float alpha;
@property(nonatomic) float beta;
@property(nonatomic) float delta;
@property(nonatomic, readonly) NSUInteger kernelSize;
- (instancetype)initWithDevice:(id<MTLDevice>)device kernelSize:(NSUInteger)kernelSize;
@end
