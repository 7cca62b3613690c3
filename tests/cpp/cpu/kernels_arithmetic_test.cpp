// Arithmetic and dropout kernels of every instruction set of this machine, for any steps, pixel strides and
// numbers of threads.

#include "cpu/isa/kernels.h"

#include <string>

#include "core/philox.h"
#include "tests/cpp/check.h"
#include "tests/cpp/kernel_memory.h"

using namespace kernel_test;

namespace {

Size random_size(Random &random) {
    return {pick(random, 1, 3), pick(random, 1, 5), pick(random, 1, 7),
            pick(random, 1, random() % 3 ? 40 : 150)};
}

/// Return steps of 0 or 1 for channels, and up to 3 for rows and pixels. In half of the cases all steps are
/// 1.
SourceSteps random_steps(Random &random) {
    if (random() % 2) return {};
    return {pick(random, 0, 3), pick(random, 0, 3), pick(random, 0, 1)};
}

/// Return a source of which a destination of `size` reads every element.
Memory source_for(Random &random, const Size &size, const SourceSteps &steps) {
    return random_source(random, {size.batch, (size.height - 1) * steps.y + 1, (size.width - 1) * steps.x + 1,
                                  (size.channels - 1) * steps.channels + 1});
}

double combined(ArithmeticKind kind, double a, double b) {
    switch (kind) {
    case ArithmeticKind::add:
        return a + b;
    case ArithmeticKind::subtract:
        return a - b;
    case ArithmeticKind::multiply:
        return a * b;
    case ArithmeticKind::divide:
        return a / b;
    default: // tests/ops tests all other kinds
        return 0;
    }
}

/// Compare one random task with double arithmetic.
bool arithmetic_agrees(Random &random, const KernelTable &table) {
    const Size size = random_size(random);
    ArithmeticTask task;
    task.kind = static_cast<ArithmeticKind>(random() % 4);
    task.source_steps = random_steps(random);
    task.second_steps = random_steps(random);
    const Memory a = source_for(random, size, task.source_steps),
                 b = source_for(random, size, task.second_steps);
    b.each([](float &value) {
        value = std::copysign(0.5f + std::fabs(value), value);
    }); // divisors must not be near zero
    const Memory destination(random, size, guard);
    const RandomEpilogue epilogue(random, size);
    task.source = a.view, task.second = b.view, task.destination = destination.view;
    task.epilogue = epilogue.epilogue;
    task.low = -infinity, task.high = infinity;
    if (random() % 2) {
        task.scaled = true;
        task.source_scale = uniform(random), task.second_scale = 1.0f + std::fabs(uniform(random));
        task.bias = uniform(random), task.low = -1.0f, task.high = 1.5f;
    }
    const auto &[y1, x1, c1] = task.source_steps;
    const auto &[y2, x2, c2] = task.second_steps;
    bool right = run_items(random, task, table.kernel<ArithmeticTask>(), 1) && destination.guarded();
    destination.each_pixel([&, &y1 = y1, &x1 = x1, &c1 = c1, &y2 = y2, &x2 = x2,
                            &c2 = c2](std::int64_t n, std::int64_t y, std::int64_t x) {
        for (std::int64_t c = 0; c < size.channels; ++c) {
            const double p = static_cast<double>(task.source_scale) * a.at(n, y * y1, x * x1)[c * c1];
            const double q = static_cast<double>(task.second_scale) * b.at(n, y * y2, x * x2)[c * c2];
            const double value = combined(task.kind, p, q) + task.bias;
            const double expected = std::min<double>(std::max<double>(value, task.low), task.high);
            const double error = 0x1p-22 * (std::fabs(p) + std::fabs(q) + std::fabs(expected) + 1) * 2;
            right = right && epilogue.agrees(destination.at(n, y, x)[c], expected, error, n, y, x, c);
        }
    });
    return right && same_for_any_threads(random, task, destination, table.kernel<ArithmeticTask>());
}

bool dropout_agrees(Random &random, const KernelTable &table) {
    const Size size = random_size(random);
    const Memory source = random_source(random, size), destination(random, size, guard);
    DropoutTask task;
    task.source = source.view, task.destination = destination.view;
    task.seed = (std::uint64_t{random()} << 32) | random();
    task.last_kept = static_cast<std::uint32_t>(random());
    task.scale = 1.25f;
    task.varies_y = random() % 4 != 0, task.varies_x = random() % 4 != 0;
    task.varies_channels = random() % 4 != 0;
    bool right = run_items(random, task, table.kernel<DropoutTask>(), 1) && destination.guarded();
    const std::int64_t height = task.varies_y ? size.height : 1, width = task.varies_x ? size.width : 1;
    const std::int64_t channels = task.varies_channels ? size.channels : 1;
    destination.each_pixel([&](std::int64_t n, std::int64_t y, std::int64_t x) {
        for (std::int64_t c = 0; c < size.channels; ++c) {
            const std::int64_t row = n * height + (task.varies_y ? y : 0);
            const std::int64_t pixel = row * width + (task.varies_x ? x : 0);
            const auto index = static_cast<std::uint64_t>(pixel * channels + (task.varies_channels ? c : 0));
            const bool kept = philox(index / 4, task.seed).words[index % 4] <= task.last_kept;
            const float expected = source.at(n, y, x)[c] * (kept ? task.scale : 0.0f);
            right = right && destination.at(n, y, x)[c] == expected;
        }
    });
    return right && same_for_any_threads(random, task, destination, table.kernel<DropoutTask>());
}

template <class Agrees> void check_often(const char *what, Agrees agrees) {
    for (const KernelTable *table : available_kernels()) {
        Random random(7);
        for (int i = 0; i < 400; ++i) {
            const bool right = agrees(random, *table);
            if (!right) std::printf("%s: %s, case %d\n", table->name, what, i);
            CHECK(right);
        }
    }
}

} // namespace

TEST(arithmetic_agrees_with_double) { check_often("arithmetic", arithmetic_agrees); }

TEST(dropout_takes_the_random_word_of_each_element) { check_often("dropout", dropout_agrees); }
