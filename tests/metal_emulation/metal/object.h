// The common base of the emulation's Objective-C classes.
#pragma once

#import <Metal/Metal.h>

#include "metal/violations.h"

/// An object that is counted, because tests check that none is left.
@interface EmulatedObject : NSObject
@end

/// Makes a class count its objects like EmulatedObject if its superclass must be Apple's. Its -dealloc calls
/// object_died(object_getClassName(self)).
#define METAL_EMULATION_COUNT_OBJECTS                                                                        \
    +(id)allocWithZone : (NSZone *)zone {                                                                    \
        ::metal_emulation::object_born(class_getName(self));                                                 \
        return [super allocWithZone:zone];                                                                   \
    }

namespace metal_emulation {

NSError *make_error(NSString *domain, NSInteger code, const std::string &text);

/// Set *error, unless `error` is null.
void report_error(NSError **error, NSString *domain, NSInteger code, const std::string &text);

inline std::string utf8(NSString *text) { return text ? [text UTF8String] : "(null)"; }

} // namespace metal_emulation
