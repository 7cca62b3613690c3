#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace mpscnn {

/// Return the cache directory: MPSCNN_CACHE (with HOME in place of a leading "~"), or the platform's
/// directory. The Python package stores downloads in the same one.
std::filesystem::path cache_directory();

/// Return the directory for results of device checks, within the cache directory.
std::filesystem::path self_check_directory();

/// Return a name of 16 hexadecimal digits for a file: the FNV-1a hash of a text that cannot be a file name
/// itself.
std::string hashed_name(std::string_view text);

} // namespace mpscnn
