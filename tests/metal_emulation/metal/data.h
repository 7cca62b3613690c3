// Memory as an object.
#pragma once

#import "metal/object.h"

#import <dispatch/dispatch.h>

#include <cstddef>
#include <span>
#include <vector>

@interface EmulatedData : EmulatedObject {
@private
    std::vector<std::byte> copy_;
    std::span<const std::byte> bytes_;
    dispatch_block_t destructor_;
}
- (instancetype)initWithBytes:(const void *)bytes size:(size_t)size destructor:(dispatch_block_t)destructor;
- (std::span<const std::byte>)bytes;
@end
