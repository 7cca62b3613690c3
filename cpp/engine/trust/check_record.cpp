#include "engine/trust/check_record.h"

#include <cerrno>
#include <exception>
#include <filesystem>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/cache_directory.h"
#include "core/text.h"
#include "core/text_file.h"

namespace mpscnn::engine {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view refused = "refused: ", not_used = "not used: ", because = ": ";

/// Return a verdict as the text that follows the identity in a record. It is empty if all results of the
/// device are right. A list of implementations begins with their number, which shows whether the list is
/// complete.
std::string text_of(const Verdict &verdict) {
    if (!verdict.refused.empty()) return concat({refused, verdict.refused, "\n"});
    if (verdict.implementations.empty()) return "";
    std::string text = concat({not_used, verdict.implementations.size(), "\n"});
    for (const auto &[name, reason] : verdict.implementations) text += concat({name, because, reason, "\n"});
    return text;
}

/// Return the next line without its end, or nothing if there is no complete line.
std::optional<std::string_view> take_line(std::string_view &text) {
    const std::size_t end = text.find('\n');
    if (end == text.npos) return std::nullopt;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    return line;
}

std::optional<Verdict> verdict_of(std::string_view text) {
    Verdict verdict;
    if (text.empty()) return verdict;
    const auto first = take_line(text);
    if (!first) return std::nullopt;
    if (first->starts_with(refused) && text.empty()) {
        verdict.refused = first->substr(refused.size());
        return verdict;
    }
    if (!first->starts_with(not_used)) return std::nullopt;
    while (!text.empty()) {
        const auto line = take_line(text);
        if (!line) return std::nullopt;
        const std::size_t end = line->find(because);
        if (end == line->npos) return std::nullopt;
        verdict.implementations.emplace(line->substr(0, end), line->substr(end + because.size()));
    }
    const bool is_whole = first->substr(not_used.size()) == std::to_string(verdict.implementations.size());
    return is_whole ? std::optional(verdict) : std::nullopt;
}

fs::path file_of(const std::string &record, const char *extension = ".txt") {
    return self_check_directory() / concat({hashed_name(record), extension});
}

} // namespace

std::string check_record_of(const std::string &identity) {
    return concat({"mpscnn " MPSCNN_VERSION "\n", identity, "\n"});
}

std::optional<Verdict> verdict_on_record(const std::string &identity) {
    const std::string record = check_record_of(identity);
    const auto text = read_text_file(file_of(record));
    if (!text || !text->starts_with(record)) return std::nullopt;
    return verdict_of(std::string_view(*text).substr(record.size()));
}

/// Write a verdict. The file's name is a hash of the version and the identity. The file also begins with both
/// texts, so that a record with the same hash for another identity is not used by mistake.
void remember(const std::string &identity, const Verdict &verdict) noexcept {
    try {
        const std::string record = check_record_of(identity);
        const fs::path path = file_of(record);
        fs::create_directories(path.parent_path());
        static_cast<void>(write_text_file(path, record + text_of(verdict)));
    } catch (const std::exception &) { // the device is only checked again next time
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
