// Tests the files that record the results of a device's self-check.

#include "engine/trust/check_record.h"

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "tests/cpp/check.h"

using mpscnn::engine::Kept;
using mpscnn::engine::remember;
using mpscnn::engine::Verdict;
using mpscnn::engine::verdict_on_record;

namespace {

namespace fs = std::filesystem;

/// A temporary cache directory for one test.
class Cache {
public:
    Cache() {
        std::string name = (fs::temp_directory_path() / "mpscnn_check_record_XXXXXX").string();
        if (!mkdtemp(name.data())) std::abort();
        path = name;
        setenv("MPSCNN_CACHE", (path / "cache").c_str(), 1);
    }
    ~Cache() {
        unsetenv("MPSCNN_CACHE");
        fs::remove_all(path);
    }
    Cache(const Cache &) = delete;
    Cache &operator=(const Cache &) = delete;

    std::vector<fs::path> records() const {
        std::vector<fs::path> found;
        if (!fs::exists(path / "cache")) return found;
        for (const auto &entry : fs::recursive_directory_iterator(path / "cache"))
            if (entry.is_regular_file()) found.push_back(entry.path());
        return found;
    }

    fs::path path;
};

std::string text_of(const fs::path &file) {
    std::ostringstream text;
    text << std::ifstream(file, std::ios::binary).rdbuf();
    return text.str();
}

void remember_as_right(const std::string &identity) { remember(identity, {}); }

bool was_right_before(const std::string &identity) {
    const auto verdict = verdict_on_record(identity);
    return verdict && verdict->refused.empty() && verdict->implementations.empty();
}

void write(const fs::path &file, const std::string &text) { std::ofstream(file, std::ios::binary) << text; }

/// Return the time at which the only record ends, in seconds since 1970.
std::int64_t time_of_record(const Cache &cache) {
    const std::string text = text_of(cache.records().at(0));
    return std::stoll(text.substr(text.find("until ") + 6));
}

void set_time_of_record(const Cache &cache, std::int64_t until) {
    const fs::path file = cache.records().at(0);
    std::string text = text_of(file);
    const std::size_t begin = text.find("until ") + 6;
    write(file, text.replace(begin, text.find('\n', begin) - begin, std::to_string(until)));
}

} // namespace

TEST(what_was_right_is_remembered_for_its_identity) {
    const Cache cache;
    CHECK(!was_right_before("GPU 1"));
    remember_as_right("GPU 1");
    CHECK(was_right_before("GPU 1") && !was_right_before("GPU 2") && !was_right_before(""));
    remember_as_right("GPU 2");
    CHECK(was_right_before("GPU 1") && was_right_before("GPU 2"));
    CHECK(cache.records().size() == 2);
}

TEST(a_verdict_for_a_day_ends) {
    const Cache cache;
    Verdict verdict;
    verdict.refused = "nothing is right";
    verdict.kept = Kept::process;
    remember("GPU", verdict);
    CHECK(cache.records().empty());
    verdict.kept = Kept::day;
    remember("GPU", verdict);
    const auto known = verdict_on_record("GPU");
    CHECK(known && known->refused == "nothing is right");
    // A time that is over, and one that another clock has noted.
    for (const std::int64_t until : {time_of_record(cache) - 90'000, time_of_record(cache) + 90'000}) {
        set_time_of_record(cache, until);
        CHECK(!verdict_on_record("GPU"));
    }
}

TEST(silent_cases_are_tried_again_at_most_three_times) {
    const Cache cache;
    Verdict silent;
    silent.implementations = {{"softmax by MPSCNNSoftMax", "no answer"}};
    silent.silent = true;
    remember("GPU", silent);
    CHECK(!verdict_on_record("GPU")); // the next process tries again
    remember("GPU", silent);
    CHECK(verdict_on_record("GPU").has_value()); // a process of the next day tries again
    set_time_of_record(cache, time_of_record(cache) - 90'000);
    CHECK(!verdict_on_record("GPU"));
    remember("GPU", silent);
    CHECK(verdict_on_record("GPU")->implementations == silent.implementations);
    CHECK(text_of(cache.records().at(0)).find("until") == std::string::npos); // for good
    remember_as_right("GPU");                                                 // a check by hand
    remember("GPU", silent);
    CHECK(!verdict_on_record("GPU")); // counted from the beginning
}

TEST(a_damaged_record_is_none_and_is_written_anew) {
    const Cache cache;
    remember_as_right("GPU\nsystem 11");
    const fs::path record = cache.records().at(0);
    const std::string text = text_of(record);
    std::vector<std::string> damaged{"", text + "more", std::string(text.size(), '\0')};
    for (std::size_t kept = 1; kept < text.size(); ++kept) damaged.push_back(text.substr(0, kept));
    for (std::size_t i = 0; i < text.size(); ++i) {
        damaged.push_back(text);
        damaged.back()[i] = static_cast<char>(damaged.back()[i] ^ 1);
    }
    for (const std::string &other : damaged) {
        write(record, other);
        CHECK(!was_right_before("GPU\nsystem 11"));
    }
    remember_as_right("GPU\nsystem 11");
    CHECK(was_right_before("GPU\nsystem 11") && text_of(record) == text);
}

TEST(a_record_of_another_identity_under_the_same_name_is_none) {
    const Cache cache;
    remember_as_right("one");
    const fs::path one = cache.records().at(0);
    const std::string text = text_of(one);
    fs::remove(one);
    remember_as_right("other");
    write(cache.records().at(0), text); // as if both identities had the same hash
    CHECK(!was_right_before("other"));
}

TEST(where_nothing_can_be_written_nothing_is_remembered) {
    const Cache cache;
    write(cache.path / "cache", "a file, no folder");
    remember_as_right("GPU");
    CHECK(!was_right_before("GPU"));
    fs::remove(cache.path / "cache");
    fs::create_directories(cache.path / "cache" / "self_check");
    remember_as_right("GPU");
    const fs::path record = cache.records().at(0);
    fs::remove(record);
    fs::create_directory(record); // not a file, so that nothing can be read either
    remember_as_right("GPU");
    CHECK(!was_right_before("GPU"));
}

TEST(processes_that_write_at_once_leave_a_record) {
    const Cache cache;
    std::vector<pid_t> children;
    for (int i = 0; i < 4; ++i) {
        const pid_t child = fork();
        if (child == 0) {
            for (int turn = 0; turn < 100; ++turn) {
                remember_as_right("GPU");
                static_cast<void>(was_right_before("GPU")); // the answer depends on the other processes
            }
            _exit(0);
        }
        children.push_back(child);
    }
    for (const pid_t child : children) {
        int status = -1;
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    CHECK(was_right_before("GPU") && cache.records().size() == 1);
}

TEST(what_is_not_used_is_remembered_with_its_reasons) {
    const Cache cache;
    Verdict verdict;
    verdict.implementations = {{"softmax by MPSCNNSoftMax", "the process was ended by signal 6: assertion"},
                               {"activation mish", "all results are zero"}};
    remember("GPU", verdict);
    const auto found = verdict_on_record("GPU");
    CHECK(found && found->refused.empty() && found->implementations == verdict.implementations);
    const fs::path record = cache.records().at(0);
    const std::string text = text_of(record);
    // A truncated record is not accepted, because it would list fewer implementations. Only the identity
    // alone is a complete record: that of a device without wrong implementations.
    const std::size_t identity = mpscnn::engine::check_record_of("GPU").size();
    for (std::size_t kept = 0; kept < text.size(); ++kept) {
        write(record, text.substr(0, kept));
        CHECK(kept == identity || !verdict_on_record("GPU"));
    }
    verdict.refused = "no answer came: 'the last words'";
    remember("GPU", verdict);
    const auto refused = verdict_on_record("GPU");
    CHECK(refused && refused->refused == verdict.refused && refused->implementations.empty());
}
