#pragma once

#include <atomic>
#include <cstdio>
#include <exception>
#include <string_view>
#include <vector>

#include "core/error.h"

/// The test framework. TEST(name) { ... } defines a test; CHECK and CHECK_THROWS check conditions. The test
/// files of a folder are one program (check_main.cpp).
namespace check {

struct Test {
    std::string_view file;
    const char *name;
    void (*run)();
};

inline std::vector<Test> tests;
inline std::atomic<int> checks = 0, failures = 0; // counts of the running test; its threads may check as well
inline const char *skip_reason = nullptr;

inline bool add(std::string_view file, const char *name, void (*run)()) {
    tests.push_back({file, name, run});
    return true;
}

inline void that(bool holds, const char *file, int line, const char *expression, const char *outcome) {
    ++checks;
    if (holds) return;
    ++failures;
    std::printf("%s:%d: %s: %s\n", file, line, expression, outcome);
}

template <class Action>
void throws(Action action, mpscnn::ErrorKind kind, std::string_view part, const char *file, int line,
            const char *expression) {
    try {
        action();
        that(false, file, line, expression, "nothing was thrown");
    } catch (const mpscnn::Error &error) {
        that(error.kind() == kind, file, line, expression, "thrown with another ErrorKind");
        that(std::string_view(error.what()).find(part) != std::string_view::npos, file, line, expression,
             error.what());
    }
}

} // namespace check

#define TEST(name)                                                                                           \
    static void name();                                                                                      \
    [[maybe_unused]] static const bool name##_added = check::add(__FILE__, #name, name);                     \
    static void name()

#define CHECK(...) check::that(static_cast<bool>(__VA_ARGS__), __FILE__, __LINE__, #__VA_ARGS__, "is false")

/// Check that the statement throws an mpscnn::Error of this kind with a message that contains `part`.
#define CHECK_THROWS(statement, kind, part)                                                                  \
    check::throws([&] { static_cast<void>(statement); }, kind, part, __FILE__, __LINE__, #statement)

/// End a test that cannot run here.
#define SKIP(reason) return static_cast<void>(check::skip_reason = reason)
