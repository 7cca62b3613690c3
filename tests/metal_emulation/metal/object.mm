#import "metal/object.h"

#import <objc/runtime.h>

#include <cstdlib>

#include "metal/violations.h"

using namespace metal_emulation;

@implementation EmulatedObject
METAL_EMULATION_COUNT_OBJECTS

- (void)dealloc {
    object_died(object_getClassName(self));
    [super dealloc];
}
@end

namespace metal_emulation {

void raise_exception() {
    // Apple's runtime retains an exception while it unwinds, also through autorelease pools.
    NSException *exception = [[NSException exceptionWithName:NSInvalidArgumentException
                                                      reason:@"the emulation was told to raise an exception"
                                                    userInfo:nil] retain];
    [exception raise];
    std::abort(); // it has raised
}

NSError *make_error(NSString *domain, NSInteger code, const std::string &text) {
    NSString *description = [NSString stringWithUTF8String:text.c_str()];
    NSDictionary *information = [NSDictionary dictionaryWithObject:description
                                                            forKey:NSLocalizedDescriptionKey];
    return [NSError errorWithDomain:domain code:code userInfo:information];
}

void report_error(NSError **error, NSString *domain, NSInteger code, const std::string &text) {
    if (error) *error = make_error(domain, code, text);
}

} // namespace metal_emulation
