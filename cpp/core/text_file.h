#pragma once

// Small files of text. Not by streams, whose code for languages and formats would make up a third of a
// library that brings the C++ runtime along.

#include <optional>
#include <string>
#include <string_view>

namespace mpscnn {

/// All of a file, also of one that does not know its size, as those of /proc; nothing if it cannot be read.
std::optional<std::string> read_text_file(const std::string &path);

/// Replaces a file. Whether all of it was written.
bool write_text_file(const std::string &path, std::string_view text);

} // namespace mpscnn
