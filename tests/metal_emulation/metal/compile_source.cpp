// Implements newLibraryWithSource: it runs the same script as the build, and caches the result.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace metal_emulation {
namespace {

namespace fs = std::filesystem;

std::string contents_of(const fs::path &path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

fs::path cache_directory() {
    const fs::path cache = fs::temp_directory_path() / ("metal_emulation_" + std::to_string(getuid()));
    fs::create_directories(cache);
    return cache;
}

std::uint64_t fnv1a(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return hash;
}

std::string name_of(std::string_view contents) {
    char name[40];
    std::snprintf(name, sizeof name, "%016llx-%zu", static_cast<unsigned long long>(fnv1a(contents)),
                  contents.size());
    return name;
}

// Return a key of source, options, flags and the compiler itself. A change of any of them needs another
// library.
std::string key_of(const std::string &source, const std::vector<std::string> &options) {
    std::string all = source + '\0' + METAL_EMULATION_CXX + '\0' + METAL_EMULATION_FLAGS;
    for (const std::string &option : options) all += '\0' + option;
    for (const auto &entry :
         fs::recursive_directory_iterator(fs::path(METAL_EMULATION_COMPILE).parent_path()))
        if (entry.is_regular_file())
            all += entry.path().string() + std::to_string(entry.last_write_time().time_since_epoch().count());
    return name_of(all);
}

int run(const std::vector<std::string> &command, const fs::path &messages) {
    std::vector<char *> arguments;
    for (const std::string &word : command) arguments.push_back(const_cast<char *>(word.c_str()));
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, messages.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                     0600);
    // A preloaded sanitizer would slow down and disturb the compiler.
    std::vector<char *> environment;
    for (char **variable = environ; *variable; ++variable)
        if (std::string(*variable).rfind("LD_PRELOAD=", 0) != 0) environment.push_back(*variable);
    environment.push_back(nullptr);
    pid_t child = 0;
    const int failed =
        posix_spawn(&child, arguments[0], &actions, nullptr, arguments.data(), environment.data());
    posix_spawn_file_actions_destroy(&actions);
    if (failed) return failed;
    int status = 0;
    waitpid(child, &status, 0);
    return status;
}

} // namespace

std::string compile_source(const std::string &source, const std::vector<std::string> &options) {
    const fs::path library = cache_directory() / (key_of(source, options) + ".metallib");
    if (fs::exists(library)) return library;

    // Compile in an empty directory. A Mac would not find included files next to the shader, so such includes
    // must fail here as well.
    char name[] = "/tmp/metal_emulation_XXXXXX";
    if (!mkdtemp(name)) throw std::runtime_error("no temporary directory for the compiler");
    const fs::path work = name;
    fs::create_directory(work / "empty");
    const fs::path file = work / "program_source.metal";
    std::ofstream(file, std::ios::binary) << source;
    std::vector<std::string> command{METAL_EMULATION_PYTHON, METAL_EMULATION_COMPILE, "--lint"};
    command.insert(command.end(), options.begin(), options.end());
    command.insert(command.end(), {std::string("--compiler=") + METAL_EMULATION_CXX, "--directory",
                                   (work / "empty").string(), "--output", library.string(), file.string()});
    std::istringstream flags(METAL_EMULATION_FLAGS);
    for (std::string flag; flags >> flag;) command.push_back("--flag=" + flag);
    const int status = run(command, work / "messages");
    const std::string messages = contents_of(work / "messages");
    fs::remove_all(work);
    if (status)
        throw std::runtime_error(messages.empty() ? "the shader compiler could not be run" : messages);
    return library;
}

std::string library_file(std::span<const std::byte> bytes) {
    const std::string_view contents(reinterpret_cast<const char *>(bytes.data()), bytes.size());
    const fs::path library = cache_directory() / (name_of(contents) + ".metallib");
    if (fs::exists(library)) return library;
    // Rename the file when it is complete: other processes may look for it.
    std::string unfinished = library.string() + "-XXXXXX";
    const int file = mkstemp(unfinished.data());
    if (file < 0) throw std::runtime_error("no temporary file for a library");
    close(file);
    std::ofstream(unfinished, std::ios::binary) << contents;
    fs::rename(unfinished, library);
    return library;
}

} // namespace metal_emulation
