// mpscnn-check [DEVICE] compares the results of a Metal device with the results of the CPU engine.
//
// The library runs it, with a request as a second argument, before it uses a device for the first time. If a
// framework ends the process or a driver hangs, the user's process goes on. People may run it, too. The exit
// status is 0 for a device that may be used, whose verdict is then recorded, 1 for a fault, and 2 for wrong
// usage.

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include <mpscnn/mpscnn.hpp>

namespace {

/// Write a line in one piece and flush it, because the process may end with the next step.
void write_line(const char *line, void *) {
    const std::string text = std::string(line) + "\n";
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
}

/// Return whether the argument is a request of the library: for cases, for a network, or for a check in the
/// background.
bool is_request(const std::string &text) {
    return text.starts_with("cases") || text.starts_with("network ") || text.starts_with("background\n");
}

int run_request(const char *device, const char *request) {
    if (mpscnn_check_cases(device, request, write_line, nullptr) == MPSCNN_OK) return 0;
    std::fprintf(stderr, "mpscnn-check: %s\n", mpscnn_last_error());
    return 1;
}

} // namespace

int main(int count, char **arguments) {
    if (count == 3 && is_request(arguments[2])) return run_request(arguments[1], arguments[2]);
    if (count > 2 || (count == 2 && arguments[1][0] == '-')) {
        std::fprintf(
            stderr,
            "usage: mpscnn-check [DEVICE]\n"
            "Compares the answers of a Metal device (\"metal\", \"metal:Apple M2\") with the CPU's.\n");
        return 2;
    }
    try {
        const std::string text = mpscnn::check_device(count == 2 ? arguments[1] : "metal");
        std::fputs(text.c_str(), stdout);
        return std::fflush(stdout) == 0 ? 0 : 1;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "mpscnn-check: %s\n", error.what());
        return 1;
    }
}
