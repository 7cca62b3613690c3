#import "metal/data.h"

#import <Block.h>

#include <cstring>

@implementation EmulatedData

- (instancetype)initWithBytes:(const void *)bytes size:(size_t)size destructor:(dispatch_block_t)destructor {
    self = [super init];
    if (destructor) {
        bytes_ = {static_cast<const std::byte *>(bytes), size};
        destructor_ = Block_copy(destructor);
    } else {
        copy_.assign(static_cast<const std::byte *>(bytes), static_cast<const std::byte *>(bytes) + size);
        bytes_ = copy_;
    }
    return self;
}

- (void)dealloc {
    if (destructor_) {
        destructor_();
        Block_release(destructor_);
    }
    [super dealloc];
}

- (std::span<const std::byte>)bytes {
    return bytes_;
}
@end

dispatch_data_t dispatch_data_create(const void *buffer, size_t size, dispatch_queue_t,
                                     dispatch_block_t destructor) {
    return [[EmulatedData alloc] initWithBytes:buffer size:size destructor:destructor];
}
