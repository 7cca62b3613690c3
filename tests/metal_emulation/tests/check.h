#pragma once

#include <atomic>
#include <cstdio>
#include <vector>

/// The test framework. TEST(name) { ... } defines a test, and CHECK checks a condition. check_main.cpp runs
/// all tests of a program.
namespace check {

struct Test {
    const char *name;
    void (*run)();
};

inline std::vector<Test> tests;
inline std::atomic<int> checks = 0, failures = 0; // counts of the running test; its threads may check as well

inline bool add(const char *name, void (*run)()) {
    tests.push_back({name, run});
    return true;
}

inline void that(bool holds, const char *file, int line, const char *expression, const char *outcome) {
    ++checks;
    if (holds) return;
    ++failures;
    std::printf("%s:%d: %s: %s\n", file, line, expression, outcome);
}

} // namespace check

#define TEST(name)                                                                                           \
    static void name();                                                                                      \
    [[maybe_unused]] static const bool name##_added = check::add(#name, name);                               \
    static void name()

#define CHECK(...) check::that(static_cast<bool>(__VA_ARGS__), __FILE__, __LINE__, #__VA_ARGS__, "is false")
