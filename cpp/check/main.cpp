// mpscnn-check [DEVICE]: whether a Metal device answers as the CPU engine does.
//
// The library runs it before "auto" chooses a device for the first time, so that a framework that ends the
// process or a driver that hangs takes this process, not the user's. People may run it too. Ends with 0 for
// right answers, which are then on record, 1 for anything wrong, and 2 for wrong usage.

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include <mpscnn/mpscnn.hpp>

int main(int count, char **arguments) {
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
