#pragma once

// Small files of text. Not by streams, whose code for languages and formats would make up a third of a
// library that brings the C++ runtime along.

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace mpscnn {

/// All of a file, also of one that does not know its size, as those of /proc; nothing if it cannot be read.
std::optional<std::string> read_text_file(const std::string &path);

/// The same, empty if it cannot be read.
std::string file_text(const std::string &path);

/// Take what comes before the first separator, and the separator.
std::string_view take_until(char separator, std::string_view &text);

/// Replaces a file. Whether all of it was written.
bool write_text_file(const std::string &path, std::string_view text);

/// Puts a complete file in the place of `path`: who opens it finds the old file or the whole new one; of a
/// link the file that it names is replaced. `check` looks at the new one first, whose name it gets, and
/// throws to keep the old one. "", or why it could not be written.
std::string replace_file(const std::string &path, std::string_view content,
                         const std::function<void(const std::string &)> &check);

} // namespace mpscnn
