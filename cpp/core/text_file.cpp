#include "core/text_file.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <system_error>

#include <sys/stat.h>
#include <unistd.h>

#include "core/text.h"

namespace mpscnn {

namespace {

using File = std::unique_ptr<std::FILE, int (*)(std::FILE *)>;

File open_file(const std::string &path, const char *mode) {
    return {std::fopen(path.c_str(), mode), &std::fclose};
}

} // namespace

std::optional<std::string> read_text_file(const std::string &path) {
    const File file = open_file(path, "rb");
    if (!file) return std::nullopt;
    std::string text;
    std::array<char, 4096> part;
    while (const std::size_t count = std::fread(part.data(), 1, part.size(), file.get()))
        text.append(part.data(), count);
    if (std::ferror(file.get())) return std::nullopt;
    return text;
}

std::string file_text(const std::string &path) { return read_text_file(path).value_or(""); }

std::string_view take_until(char separator, std::string_view &text) {
    const std::size_t end = std::min(text.find(separator), text.size());
    const std::string_view taken = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return taken;
}

bool write_text_file(const std::string &path, std::string_view text) {
    File file = open_file(path, "wb");
    if (!file) return false;
    const bool written = std::fwrite(text.data(), 1, text.size(), file.get()) == text.size();
    return std::fclose(file.release()) == 0 && written; // this writes the rest of the buffer
}

namespace {

/// Resolve symbolic links: return the file to which the path leads.
std::string behind_links(const std::string &path) {
    const std::unique_ptr<char, decltype(&std::free)> found(realpath(path.c_str(), nullptr), &std::free);
    return found ? found.get() : path;
}

} // namespace

std::string replace_file(const std::string &path, std::string_view content,
                         const std::function<void(const std::string &)> &check) {
    static std::atomic<unsigned> count{0};
    const std::string target = behind_links(path);
    struct Temporary {
        ~Temporary() { std::remove(name.c_str()); } // has no effect after the file was renamed
        std::string name;
    } const temporary{concat({target, ".", static_cast<std::int64_t>(getpid()), "-", ++count, ".part"})};
    struct stat present;
    if (stat(target.c_str(), &present) == 0 && !S_ISREG(present.st_mode) && !S_ISDIR(present.st_mode))
        return "it is not a regular file";
    errno = 0;
    if (!write_text_file(temporary.name, content)) return std::generic_category().message(errno);
    if (check) check(temporary.name);
    if (std::rename(temporary.name.c_str(), target.c_str()) != 0)
        return std::generic_category().message(errno);
    return {};
}

} // namespace mpscnn
