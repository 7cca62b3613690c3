// What the emulation's own Objective-C classes share.
#pragma once

#import <Metal/Metal.h>

#include "metal/violations.h"

/// A counted object: tests ask that none is left.
@interface EmulatedObject : NSObject
@end

/// For classes whose superclass is Apple's to choose: counts as EmulatedObject does. Their -dealloc calls
/// object_died(object_getClassName(self)).
#define METAL_EMULATION_COUNT_OBJECTS                                                                        \
    +(id)allocWithZone : (NSZone *)zone {                                                                    \
        ::metal_emulation::object_born(class_getName(self));                                                 \
        return [super allocWithZone:zone];                                                                   \
    }

namespace metal_emulation {

NSError *make_error(NSString *domain, NSInteger code, const std::string &text);

/// Sets *error, if the caller wants to know.
void report_error(NSError **error, NSString *domain, NSInteger code, const std::string &text);

inline std::string utf8(NSString *text) { return text ? [text UTF8String] : "(null)"; }

} // namespace metal_emulation
