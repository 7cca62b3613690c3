// Runs the tests of a program: those of one file (`cpu_tests kernels_test`), or all. The exit status is 1 if
// a test fails or checks nothing, or if there is no such file.

#include <cstdio>
#include <exception>
#include <filesystem>
#include <string_view>

#include "tests/cpp/check.h"

namespace {

enum class Outcome { passed, failed, skipped };

Outcome run(const check::Test &test) {
    check::checks = check::failures = 0;
    check::skip_reason = nullptr;
    try {
        test.run();
    } catch (const std::exception &error) {
        check::that(false, test.name, 0, "unexpected exception", error.what());
    }
    if (check::skip_reason) std::printf("SKIPPED %s: %s\n", test.name, check::skip_reason);
    const bool checked = check::checks > 0 || check::skip_reason;
    if (check::failures == 0 && checked) return check::skip_reason ? Outcome::skipped : Outcome::passed;
    std::printf("FAILED %s (%d of %d checks)\n", test.name, check::failures.load(), check::checks.load());
    return Outcome::failed;
}

} // namespace

int main(int count, char **arguments) {
    const std::string_view wanted = count > 1 ? arguments[1] : "";
    int found[3] = {};
    for (const check::Test &test : check::tests)
        if (wanted.empty() || std::filesystem::path(test.file).stem() == wanted)
            ++found[static_cast<int>(run(test))];
    const auto [passed, failed, skipped] = found;
    std::printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed == 0 && passed + skipped > 0 ? 0 : 1;
}
