#pragma once

// Checks of kernels: every element of the result, the memory around it, and equal bits for any number of
// threads.

#include <string>

#include "tests/cpp/check.h"
#include "tests/cpp/kernel_memory.h"

namespace kernel_test {

inline Size random_size(Random &random) {
    return {pick(random, 1, 3), pick(random, 1, 9), pick(random, 1, 12),
            pick(random, 1, random() % 3 ? 40 : 150)};
}

/// Print the case that failed, and count it.
inline void check_kernel(bool right, const KernelTable &table, const std::string &what) {
    if (!right) std::printf("%s: %s\n", table.name, what.c_str());
    CHECK(right);
}

inline std::string text(const View &view) {
    return "(" + std::to_string(view.batch) + ", " + std::to_string(view.height) + ", " +
           std::to_string(view.width) + ", " + std::to_string(view.channels) + "), pitch " +
           std::to_string(view.pixel_stride) + ", writable " + std::to_string(view.writable_channels);
}

/// Run a task. Require agrees(value, n, y, x, channel) for every element, unchanged memory around the result,
/// and equal bits for any number of threads.
template <class Task, class Agrees>
void check_task(Random &random, const KernelTable &table, const char *name, const Task &task,
                const Memory &destination, Agrees agrees) {
    const Kernel<Task> &kernel = table.kernel<Task>();
    bool right = run_items(random, task, kernel, 1) && destination.guarded();
    destination.each_pixel([&](std::int64_t n, std::int64_t y, std::int64_t x) {
        for (std::int64_t channel = 0; channel < destination.view.channels; ++channel)
            right = right && agrees(destination.at(n, y, x)[channel], n, y, x, channel);
    });
    right = right && same_for_any_threads(random, task, destination, kernel);
    check_kernel(right, table, std::string(name) + " of " + text(destination.view));
}

template <class Body> void for_each_table(int repetitions, Body body) {
    for (const KernelTable *table : available_kernels()) {
        Random random(7);
        for (int i = 0; i < repetitions; ++i) body(random, *table);
    }
}

} // namespace kernel_test
