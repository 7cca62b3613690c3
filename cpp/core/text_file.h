#pragma once

// Reads and writes small text files. C++ streams are not used, because their code for locales and formats
// would be a third of a library that includes the C++ runtime.

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace mpscnn {

/// Return the whole content of a file, or nothing if it cannot be read. This includes files of unknown size,
/// such as those in /proc.
std::optional<std::string> read_text_file(const std::string &path);

/// Return the whole content of a file; empty if it cannot be read.
std::string file_text(const std::string &path);

/// Return the text before the first separator, or all of it if there is none. Remove it and the separator
/// from `text`.
std::string_view take_until(char separator, std::string_view &text);

/// Replace a file's content. Return true if all of the text was written.
bool write_text_file(const std::string &path, std::string_view text);

/// Replace `path` atomically: a program that opens it finds the old file or the whole new one. If `path` is a
/// link to a file, that file is replaced. Before the replacement, `check` is called with the name of the new
/// file, unless it is empty; it throws to keep the old one. Return "", or why the file could not be written.
std::string replace_file(const std::string &path, std::string_view content,
                         const std::function<void(const std::string &)> &check = {});

} // namespace mpscnn
