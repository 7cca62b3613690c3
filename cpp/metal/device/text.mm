#include "metal/device/text.h"

#include "core/text.h"

namespace mpscnn::metal {

NSString *string_of(const std::string &text) {
    NSString *string = [NSString stringWithUTF8String:text.c_str()];
    return string ? string : @"";
}

std::string text_of(NSString *string) {
    const char *text = [string UTF8String];
    return text ? text : "";
}

std::string text_of(NSError *error, const char *otherwise) {
    if (!error) return otherwise;
    return concat({text_of([error localizedDescription]), " (code ", static_cast<long>([error code]), ")"});
}

} // namespace mpscnn::metal
