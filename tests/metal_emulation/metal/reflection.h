// Functions that make Apple's objects that describe functions.
#pragma once

#import "metal/object.h"

#include "msl/abi.h"

@interface MTLArgument (Emulation)
- (instancetype)initWithArgument:(const msl::Argument &)argument name:(const char *)name;
@end

@interface MTLComputePipelineReflection (Emulation)
- (instancetype)initWithKernel:(const msl::Kernel &)kernel;
@end

@interface MTLFunctionConstant (Emulation)
- (instancetype)initWithConstant:(const msl::FunctionConstant &)constant;
@end
