#pragma once

// Small text files. Streams are not used: their code for locales and formats would be a third of a library
// that includes the C++ runtime.

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace mpscnn {

/// Return the whole content, also of a file with unknown size, like those of /proc. Return nothing if it
/// cannot be read.
std::optional<std::string> read_text_file(const std::string &path);

/// The same; empty if it cannot be read.
std::string file_text(const std::string &path);

/// Remove the text before the first separator, and the separator, from `text`. Return it without the
/// separator.
std::string_view take_until(char separator, std::string_view &text);

/// Replace a file. Return true if all of the text was written.
bool write_text_file(const std::string &path, std::string_view text);

/// Replace `path` by a complete file: whoever opens it finds the old file or the whole new one. If `path` is
/// a link, the file that it names is replaced. `check` is called before with the name of the new file, and
/// throws to keep the old one. Return "", or why the file could not be written.
std::string replace_file(const std::string &path, std::string_view content,
                         const std::function<void(const std::string &)> &check);

} // namespace mpscnn
