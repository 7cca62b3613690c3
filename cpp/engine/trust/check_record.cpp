#include "engine/trust/check_record.h"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/text.h"
#include "core/text_file.h"

namespace mpscnn::engine {

namespace {

namespace fs = std::filesystem;

std::string variable(const char *name) {
    const char *value = std::getenv(name);
    return value ? value : "";
}

fs::path expanded(const std::string &path) {
    return path.starts_with("~/") ? fs::path(variable("HOME")) / path.substr(2) : fs::path(path);
}

/// Where Python keeps downloads too: MPSCNN_CACHE, or the place that the platform has for caches.
fs::path cache_directory() {
    if (const std::string given = variable("MPSCNN_CACHE"); !given.empty()) return expanded(given);
#if defined(__APPLE__)
    return expanded("~/Library/Caches/mpscnn");
#else
    const fs::path base = variable("XDG_CACHE_HOME");
    return (base.is_absolute() ? base : expanded("~/.cache")) / "mpscnn";
#endif
}

constexpr const char *refused = "refused: ";

/// FNV-1a hash for the name of a record's file, since identities make no good file names.
std::uint64_t hash_of(const std::string &text) {
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (const char character : text) hash = (hash ^ static_cast<unsigned char>(character)) * 0x100000001b3u;
    return hash;
}

fs::path file_of(const std::string &record, const char *extension = ".txt") {
    char name[32];
    std::snprintf(name, sizeof name, "%016llx", static_cast<unsigned long long>(hash_of(record)));
    return cache_directory() / "self_check" / concat({name, extension});
}

/// The record comes first in its file, so that one of another identity under the same name is noticed.
void remember(const std::string &identity, const std::string &found) noexcept {
    try {
        const std::string record = check_record_of(identity);
        const fs::path path = file_of(record);
        fs::create_directories(path.parent_path());
        static_cast<void>(
            write_text_file(path, record + found)); // cut short it is not a record: all must agree
    } catch (const std::exception &) {              // nothing depends on it, see the header
    }
}

} // namespace

std::string check_record_of(const std::string &identity) {
    return concat({"mpscnn " MPSCNN_VERSION "\n", identity, "\n"});
}

bool was_right_before(const std::string &identity) {
    const std::string record = check_record_of(identity);
    return read_text_file(file_of(record)) == record;
}

void remember_as_right(const std::string &identity) noexcept { remember(identity, ""); }

std::optional<std::string> why_refused_before(const std::string &identity) {
    const std::string beginning = check_record_of(identity) + refused;
    const auto text = read_text_file(file_of(check_record_of(identity)));
    if (!text || !text->starts_with(beginning) || !text->ends_with("\n")) return std::nullopt;
    return text->substr(beginning.size(), text->size() - beginning.size() - 1);
}

void remember_as_refused(const std::string &identity, const std::string &reason) noexcept {
    try {
        remember(identity, concat({refused, reason, "\n"}));
    } catch (const std::exception &) { // as above
    }
}

CheckTurn::CheckTurn(const std::string &identity) {
    const fs::path path = file_of(check_record_of(identity), ".lock");
    std::error_code ignored;
    fs::create_directories(path.parent_path(), ignored);
    descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor_ < 0) return;
    while (flock(descriptor_, LOCK_EX) != 0 && errno == EINTR) {
    }
}

CheckTurn::~CheckTurn() {
    if (descriptor_ >= 0) close(descriptor_);
}

} // namespace mpscnn::engine
