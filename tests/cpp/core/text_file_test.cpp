// Tests reading and writing whole text files.

#include "core/text_file.h"

#include <filesystem>

#include <stdlib.h>

#include <unistd.h> // mkdtemp on macOS

#include "tests/cpp/check.h"

using mpscnn::read_text_file;
using mpscnn::write_text_file;

TEST(text_comes_back_whole) {
    std::string directory = (std::filesystem::temp_directory_path() / "mpscnn-XXXXXX").string();
    CHECK(mkdtemp(directory.data()) != nullptr);
    const std::string file = directory + "/file";
    CHECK(!read_text_file(file).has_value());
    for (const std::string &text : {std::string("one\0two\r\n", 9), std::string(), std::string(10000, 'x')}) {
        CHECK(write_text_file(file, text));
        CHECK(read_text_file(file) == text);
    }
    CHECK(!read_text_file(directory).has_value());
    CHECK(!write_text_file(directory, "text") && !write_text_file(directory + "/none/file", "text"));
    std::filesystem::remove_all(directory);
}

#if defined(__linux__)
TEST(files_that_do_not_know_their_size_are_read) {
    const auto text = read_text_file("/proc/self/status");
    CHECK(text && text->find("Name:") != text->npos);
}

TEST(a_full_disk_is_noticed) { CHECK(!write_text_file("/dev/full", "text")); }
#endif
