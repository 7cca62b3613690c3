#pragma once

#include <string>

#import <Foundation/Foundation.h>

namespace mpscnn::metal {

/// Return an autoreleased string; it is empty for bytes that are not UTF-8.
NSString *string_of(const std::string &text);
std::string text_of(NSString *string);
/// Return "<description> (code 7)", or `otherwise` if there is no error object.
std::string text_of(NSError *error, const char *otherwise);

} // namespace mpscnn::metal
