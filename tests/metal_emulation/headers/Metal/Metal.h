// The part of Metal that the engine uses, with Apple's declarations, for GNUstep on Linux.
#pragma once

#import <Foundation/Foundation.h>

#import <Metal/MTLArgument.h>
#import <Metal/MTLBuffer.h>
#import <Metal/MTLCommandBuffer.h>
#import <Metal/MTLCommandEncoder.h>
#import <Metal/MTLComputePipeline.h>
#import <Metal/MTLDevice.h>
#import <Metal/MTLLibrary.h>
#import <Metal/MTLResource.h>
#import <Metal/MTLTexture.h>
#import <Metal/MTLTypes.h>
