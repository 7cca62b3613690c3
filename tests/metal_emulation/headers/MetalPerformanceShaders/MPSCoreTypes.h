// Types that all of MPS shares.
#pragma once

#import <Metal/Metal.h>

typedef NS_ENUM(NSUInteger, MPSImageEdgeMode) {
    MPSImageEdgeModeZero = 0,
    MPSImageEdgeModeClamp = 1,
    MPSImageEdgeModeMirror = 2,
    MPSImageEdgeModeMirrorWithEdge = 3,
    MPSImageEdgeModeConstant = 4,
};

typedef NS_ENUM(NSUInteger, MPSImageFeatureChannelFormat) {
    MPSImageFeatureChannelFormatNone = 0,
    MPSImageFeatureChannelFormatUnorm8 = 1,
    MPSImageFeatureChannelFormatUnorm16 = 2,
    MPSImageFeatureChannelFormatFloat16 = 3,
    MPSImageFeatureChannelFormatFloat32 = 4,
    MPSImageFeatureChannelFormat_reserved0 = 5,
    MPSImageFeatureChannelFormatCount = 6,
};

typedef NS_ENUM(uint32_t, MPSDataType) {
    MPSDataTypeInvalid = 0,
    MPSDataTypeFloatBit = 268435456,
    MPSDataTypeFloat32 = 268435488,
    MPSDataTypeFloat16 = 268435472,
    MPSDataTypeSignedBit = 536870912,
    MPSDataTypeIntBit = 536870912,
    MPSDataTypeInt8 = 536870920,
    MPSDataTypeInt16 = 536870928,
    MPSDataTypeInt32 = 536870944,
    MPSDataTypeUInt8 = 8,
    MPSDataTypeUInt16 = 16,
    MPSDataTypeUInt32 = 32,
    MPSDataTypeNormalizedBit = 1073741824,
    MPSDataTypeUnorm8 = 1073741832,
};

typedef struct MPSOffset {
    NSInteger x;
    NSInteger y;
    NSInteger z;
} MPSOffset;
