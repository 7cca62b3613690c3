#import "metal/object.h"

#import <objc/runtime.h>

using namespace metal_emulation;

@implementation EmulatedObject
METAL_EMULATION_COUNT_OBJECTS

- (void)dealloc {
    object_died(object_getClassName(self));
    [super dealloc];
}
@end

namespace metal_emulation {

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
