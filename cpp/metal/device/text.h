#pragma once

#include <string>

#import <Foundation/Foundation.h>

namespace mpscnn::metal {

/// Autoreleased; empty for bytes that are not UTF-8.
NSString *string_of(const std::string &text);
std::string text_of(NSString *string);
/// "<description> (code 7)", or `otherwise` without an error object.
std::string text_of(NSError *error, const char *otherwise);

} // namespace mpscnn::metal
