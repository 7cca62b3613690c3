#pragma once

#include <cstddef>
#include <string_view>

#include "core/error.h"

namespace mpscnn {

/// A range of bytes of a text.
struct TextRange {
    std::size_t begin = 0, end = 0;
};

/// A member of a JSON object, or an element of an array, as ranges of the text.
struct JsonPart {
    TextRange name; ///< with its quotation marks; empty for an element
    TextRange value;
    char closing = 0; ///< ends the object or array; 0 before the first call
};

/// Replace `part` by the next part of the object or array that is the whole text. Return false after the last
/// one. Pass `JsonPart{}` first.
///
/// The syntax of each part is checked, but nothing is decoded: escapes and the UTF-8 of strings are not
/// checked, and names may be repeated. The memory does not depend on the text. Errors have the kind `kind`
/// and name the byte.
bool next_json_part(std::string_view text, JsonPart &part, ErrorKind kind = ErrorKind::parameter);

} // namespace mpscnn
