#include "core/cache_directory.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace mpscnn {

namespace fs = std::filesystem;

namespace {

std::string variable(const char *name) {
    const char *value = std::getenv(name);
    return value ? value : "";
}

fs::path expanded(const std::string &path) {
    return path.starts_with("~/") ? fs::path(variable("HOME")) / path.substr(2) : fs::path(path);
}

} // namespace

fs::path cache_directory() {
    if (const std::string given = variable("MPSCNN_CACHE"); !given.empty()) return expanded(given);
#if defined(__APPLE__)
    return expanded("~/Library/Caches/mpscnn");
#else
    const fs::path base = variable("XDG_CACHE_HOME");
    return (base.is_absolute() ? base : expanded("~/.cache")) / "mpscnn";
#endif
}

fs::path self_check_directory() { return cache_directory() / "self_check"; }

std::string hashed_name(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (const char character : text) hash = (hash ^ static_cast<unsigned char>(character)) * 0x100000001b3u;
    char name[17];
    std::snprintf(name, sizeof name, "%016llx", static_cast<unsigned long long>(hash));
    return name;
}

} // namespace mpscnn
