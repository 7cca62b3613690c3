#include "engine/trust/check_record.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/build_info.h"
#include "core/cache_directory.h"
#include "core/platform.h"
#include "core/text.h"
#include "core/text_file.h"

namespace mpscnn::engine {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view refused = "refused: ", not_used = "not used: ", because = ": ",
                           until_word = "until ", silent_word = "silent ", recorded_times = "times ";
constexpr std::int64_t seconds_of_day = 24 * 60 * 60;
/// A verdict on silent cases counts after this many checks in a row with such cases.
constexpr int silent_checks_needed = 3;

/// Return a verdict as the text that follows the identity in a record. It is empty if all results of the
/// device are right. A list of implementations begins with their number, which shows whether the list is
/// complete. A network on a device has times instead.
std::string text_of(const Verdict &verdict) {
    if (verdict.refused.empty() && verdict.times.measured())
        return concat({recorded_times, verdict.times.cpu, " ", verdict.times.device, "\n"});
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
    if (first->starts_with(recorded_times) && text.empty()) {
        verdict.times = times_of(first->substr(recorded_times.size()));
        return verdict.times.measured() ? std::optional(verdict) : std::nullopt;
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

std::int64_t seconds_now() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

/// Return the number in a line such as "until 1732756321", and remove the line from the text. Return 0 if the
/// text does not begin with such a line.
std::int64_t take_number(std::string_view word, std::string_view &text) {
    std::string_view rest = text;
    const auto line = take_line(rest);
    if (!line || !line->starts_with(word)) return 0;
    std::int64_t number = 0;
    std::from_chars(line->data() + word.size(), line->data() + line->size(), number);
    text = rest;
    return number;
}

/// A recorded verdict.
struct Record {
    int silences = 0;       ///< number of checks in a row with silent cases
    std::int64_t until = 0; ///< the time in seconds since 1970 at which it ends; 0 if it does not end
    std::optional<Verdict> verdict;

    /// Return whether the verdict counts now. A time that is too far ahead was noted by another clock.
    bool counts() const {
        const std::int64_t now = seconds_now();
        return verdict && (until == 0 || (now < until && until <= now + seconds_of_day));
    }
};

constexpr const char *marker_extension = ".begun";

fs::path directory_of_networks() { return self_check_directory() / "networks"; }

fs::path file_of(const CheckedThing &thing, const char *extension = ".txt") {
    const fs::path directory = thing.network.empty() ? self_check_directory() : directory_of_networks();
    return directory / concat({hashed_name(check_record_of(thing)), extension});
}

std::optional<Record> read_record(const CheckedThing &thing) {
    const std::string begin = check_record_of(thing);
    const auto text = read_text_file(file_of(thing));
    if (!text || !text->starts_with(begin)) return std::nullopt;
    std::string_view rest = std::string_view(*text).substr(begin.size());
    Record record;
    record.silences = static_cast<int>(take_number(silent_word, rest));
    record.until = take_number(until_word, rest);
    record.verdict = verdict_of(rest);
    return record;
}

/// Return the lines of a record that state how long the verdict counts.
std::string time_text(const CheckedThing &thing, const Verdict &verdict) {
    const std::int64_t now = seconds_now();
    if (verdict.silent) {
        const auto known = read_record(thing);
        const int silences = std::min((known ? known->silences : 0) + 1, silent_checks_needed);
        std::string text = concat({silent_word, silences, "\n"});
        if (silences < silent_checks_needed)
            text += concat({until_word, silences == 1 ? now : now + seconds_of_day, "\n"});
        return text;
    }
    return verdict.kept == Kept::day ? concat({until_word, now + seconds_of_day, "\n"}) : "";
}

/// Delete the oldest files of networks, beyond a number of files. This includes files that killed processes
/// left. `written` is kept, also if other files have later times by another clock. Other processes may delete
/// the same files: a file that is gone counts as deleted.
void delete_old_networks(const fs::path &written) {
    constexpr std::size_t networks_kept = 1000;
    std::vector<std::pair<fs::file_time_type, fs::path>> others;
    std::error_code error;
    fs::directory_iterator entry(written.parent_path(), error);
    for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
        std::error_code gone;
        const auto time = fs::last_write_time(entry->path(), gone);
        if (!gone && entry->path() != written) others.emplace_back(time, entry->path());
    }
    if (others.size() < networks_kept) return;
    std::sort(others.begin(), others.end(), std::greater<>());
    for (std::size_t i = networks_kept - 1; i < others.size(); ++i) fs::remove(others[i].second, error);
}

/// The path of the marker that exists, for a handler of signals, which may not use other memory. A process
/// has one marker at a time.
char path_of_marker[4096];
std::atomic<bool> has_marker{false};

extern "C" void delete_marker_and_end(int number) {
    if (has_marker) unlink(path_of_marker);
    signal(number, SIG_DFL);
    raise(number);
}

} // namespace

void delete_marker_when_terminated() noexcept { signal(SIGTERM, delete_marker_and_end); }

std::string check_record_of(const CheckedThing &thing) {
    std::string text = concat({"mpscnn ", build_info::version, "\n", thing.device, "\n"});
    return thing.network.empty() ? text : concat({text, thing.network, "\n"});
}

std::optional<Verdict> verdict_on_record(const CheckedThing &thing) {
    const auto record = read_record(thing);
    return record && record->counts() ? record->verdict : std::nullopt;
}

/// Write a verdict. The file's name is a hash of the version and the identity. The file also begins with both
/// texts, so that a record with the same hash for another identity is not used by mistake.
void remember(const CheckedThing &thing, const Verdict &verdict) noexcept {
    if (verdict.kept == Kept::process) return;
    try {
        const fs::path path = file_of(thing);
        fs::create_directories(path.parent_path());
        static_cast<void>(
            replace_file(path, check_record_of(thing) + time_text(thing, verdict) + text_of(verdict)));
        if (!thing.network.empty()) delete_old_networks(path);
    } catch (const std::exception &) { // the device is only checked again next time
    }
}

bool has_networks_on_record() {
    std::error_code ignored;
    return fs::exists(directory_of_networks(), ignored);
}

void forget_networks() noexcept {
    std::error_code ignored;
    fs::remove_all(directory_of_networks(), ignored);
}

CheckMarker::CheckMarker(const CheckedThing &thing) : path_(file_of(thing, marker_extension).string()) {
    std::error_code ignored;
    fs::create_directories(fs::path(path_).parent_path(), ignored);
    if (path_.size() < sizeof path_of_marker) {
        std::copy_n(path_.c_str(), path_.size() + 1, path_of_marker);
        has_marker = true;
    }
    descriptor_ = open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
}

CheckMarker::~CheckMarker() {
    if (descriptor_ >= 0) {
        close(descriptor_);
        unlink(path_.c_str());
    }
    has_marker = false;
}

void CheckMarker::begin(std::size_t number) {
    if (descriptor_ < 0) return;
    // The length stays the same, so that the file is complete at every moment.
    char text[64];
    const int size =
        std::snprintf(text, sizeof text, "%012lld %08zu\n", static_cast<long long>(seconds_now()), number);
    if (pwrite(descriptor_, text, static_cast<std::size_t>(size), 0) == size) fsync(descriptor_);
}

std::optional<std::int64_t> case_of_crash(const CheckedThing &thing) {
    constexpr std::int64_t seconds_to_start_again = 60 * 60;
    const auto text = read_text_file(file_of(thing, marker_extension).string());
    long long begun = 0, number = 0;
    if (!text || std::sscanf(text->c_str(), "%lld %lld", &begun, &number) != 2) return std::nullopt;
    const std::int64_t started = platform::boot_time();
    const bool crashed = begun < started && started - begun <= seconds_to_start_again;
    return crashed ? std::optional<std::int64_t>(number) : std::nullopt;
}

CheckTurn::CheckTurn(const std::string &identity, const std::function<bool()> &stop) {
    const fs::path path = file_of(identity, ".lock");
    std::error_code ignored;
    fs::create_directories(path.parent_path(), ignored);
    descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor_ < 0) return;
    // flock is asked again and again, because a blocking call would not return to a program that handles
    // Ctrl-C.
    while (flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && (errno == EINTR || errno == EWOULDBLOCK)) {
        stopped_ = stop && stop();
        if (stopped_) return;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

bool device_check_runs(const std::string &identity) {
    std::error_code ignored;
    if (!fs::exists(file_of(identity, marker_extension), ignored)) return false;
    // A process that was killed leaves its marker, but not its lock.
    const int lock = open(file_of(identity, ".lock").c_str(), O_RDWR | O_CLOEXEC);
    if (lock < 0) return false;
    const bool runs = flock(lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(lock);
    return runs;
}

CheckTurn::~CheckTurn() {
    if (descriptor_ >= 0) close(descriptor_);
}

} // namespace mpscnn::engine
