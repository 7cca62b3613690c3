// Runs the tests of a program. The exit status is 1 if a test fails or checks nothing, or if there is no
// test.

#include "check.h"

#include <exception>

namespace {

bool passes(const check::Test &test) {
    check::checks = check::failures = 0;
    try {
        test.run();
    } catch (const std::exception &error) {
        check::that(false, test.name, 0, "unexpected exception", error.what());
    }
    if (check::failures == 0 && check::checks > 0) return true;
    std::printf("FAILED %s (%d of %d checks)\n", test.name, check::failures.load(), check::checks.load());
    return false;
}

} // namespace

int main() {
    int passed = 0, failed = 0;
    for (const check::Test &test : check::tests) ++(passes(test) ? passed : failed);
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 && passed > 0 ? 0 : 1;
}
