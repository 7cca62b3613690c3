// Tests of the choice of the number of threads, which is based on the times of runs.

#include "cpu/runtime/thread_choice.h"

#include <map>

#include "tests/cpp/check.h"
#include "tests/engine/small_network.h"

using namespace small;
using cpu::ThreadChoice;

namespace {

/// Simulate runs whose time in microseconds depends on the number of threads. Returns how often each number
/// was chosen.
std::map<int, int> run(ThreadChoice &choice, int runs, std::map<int, double> times) {
    std::map<int, int> counted;
    for (int i = 0; i < runs; ++i) {
        const int threads = choice.threads();
        ++counted[threads];
        choice.took(times.at(threads));
    }
    return counted;
}

} // namespace

TEST(halves_are_tried) {
    CHECK(ThreadChoice(1).counts() == std::vector<int>{1});
    CHECK(ThreadChoice(2).counts() == (std::vector<int>{2, 1}));
    CHECK(ThreadChoice(6).counts() == (std::vector<int>{6, 3, 1}));
    CHECK(ThreadChoice(16).counts() == (std::vector<int>{16, 8, 4, 2, 1}));
}

TEST(a_number_that_was_asked_for_is_kept) {
    ThreadChoice choice = ThreadChoice::exactly(4);
    CHECK(choice.counts() == std::vector<int>{4});
    CHECK(choice.is_settled());
    CHECK(run(choice, 200, {{4, 1000}}).at(4) == 200); // another number would throw
}

TEST(runs_begin_with_all_threads) {
    ThreadChoice choice(4);
    CHECK(choice.threads() == 4);
    CHECK(run(choice, 2, {{4, 10}})[4] == 2);
}

TEST(the_fastest_number_is_found) {
    for (int best : {4, 2, 1}) {
        ThreadChoice choice(4);
        std::map<int, double> times{{4, 100}, {2, 100}, {1, 100}};
        times[best] = 80;
        run(choice, 2 + 15 + 15 + 3, times);
        CHECK(choice.threads() == best);
        const auto counted = run(choice, 1000, times);
        CHECK(counted.at(best) >= 800); // few runs are spent on trials
    }
}

TEST(threads_that_gain_little_are_left_out) {
    ThreadChoice choice(4);
    const std::map<int, double> times{{4, 100}, {2, 101}, {1, 110}};
    run(choice, 35, times);
    CHECK(choice.threads() == 2);
}

TEST(some_slow_runs_do_not_matter) {
    ThreadChoice choice(2);
    run(choice, 2, {{2, 50}});
    for (int i = 0; i < 18; ++i)
        choice.took(i == 1 || i % 3 == 0 ? 1000.0 : choice.threads() == 2 ? 50.0 : 90.0);
    CHECK(choice.threads() == 2);
}

TEST(what_has_changed_is_noticed) {
    ThreadChoice choice(2);
    run(choice, 500, {{2, 50}, {1, 90}});
    CHECK(choice.threads() == 2);
    run(choice, 4000, {{2, 120}, {1, 90}});
    CHECK(choice.threads() == 1);
    run(choice, 4000, {{2, 50}, {1, 90}});
    CHECK(choice.threads() == 2);
}

TEST(runs_that_take_longer_are_looked_into_at_once) {
    ThreadChoice choice(2);
    run(choice, 3000, {{2, 1500}, {1, 2900}});
    CHECK(choice.threads() == 2);
    // A neighbour takes one of the cores: a run in two waits for it.
    for (int i = 0; i < 40; ++i) choice.took(choice.threads() == 2 ? 4100 : 3000);
    CHECK(choice.threads() == 1);
    run(choice, 200, {{2, 1500}, {1, 2900}}); // it has gone
    CHECK(choice.threads() == 2);
}

TEST(single_late_runs_are_not) {
    ThreadChoice choice(2);
    run(choice, 500, {{2, 50}, {1, 90}});
    int others = 0;
    for (int i = 0; i < 90; ++i) {
        if (choice.threads() != 2) ++others;
        choice.took(i % 3 == 0 ? 500 : 50);
    }
    CHECK(others <= 3);
}

TEST(long_runs_are_not_tried_with_fewer_threads) {
    ThreadChoice choice(2);
    const auto counted = run(choice, 1000, {{2, 20000}, {1, 39000}});
    CHECK(counted.count(1) == 0);
}

TEST(long_runs_with_a_neighbour_are) {
    ThreadChoice choice(2);
    run(choice, 300, {{2, 20000}, {1, 39000}});
    run(choice, 40, {{2, 42000}, {1, 39000}});
    CHECK(choice.threads() == 1);
    run(choice, 60, {{2, 20000}, {1, 39000}}); // it has gone
    CHECK(choice.threads() == 2);
}

TEST(more_threads_come_back_soon_after_a_neighbour_that_stayed_long) {
    ThreadChoice choice(2);
    run(choice, 500, {{2, 3700}, {1, 7100}});
    const std::map<int, double> beside{{2, 8000}, {1, 7200}};
    run(choice, 5000, beside);
    const auto counted = run(choice, 5000, beside);
    CHECK(counted.at(2) * (8000 - 7200) < 0.012 * 5000 * 7200); // trials cost little
    run(choice, 200, {{2, 3700}, {1, 7100}});
    CHECK(choice.threads() == 2);
}

TEST(numbers_that_cannot_be_best_are_left_out) {
    ThreadChoice choice(16);
    const auto counted = run(choice, 40, {{16, 100}, {8, 190}, {4, 400}, {2, 800}, {1, 1600}});
    CHECK(choice.threads() == 16);
    CHECK(counted.at(8) == 15);
    CHECK(counted.count(4) == 0);
}

TEST(results_are_the_same_while_numbers_are_tried) {
    Network network;
    ValueId x = network.input({Shape::any, 30, 30, 8});
    for (int i = 0; i < 3; ++i) x = network.add(convolution(24, window(3)), {x}, relu6);
    network.output(network.add(ops::FullyConnected{10}, {x}));
    const std::vector<Shape> shapes{{1, 30, 30, 8}};
    Arrays inputs = random_inputs(shapes);
    const Arrays expected = run(*cpu::make_cpu_backend(), network.graph, inputs);
    const auto lowered = cpu::make_cpu_backend()->lower(network.graph, {});
    const auto plan = lowered->plan(shapes);
    const auto executor = lowered->executor({0});
    for (int i = 0; i < 30; ++i) {
        Arrays outputs = arrays_for_outputs(network.graph, shapes);
        executor->run(*plan, views_of(inputs), views_of(outputs));
        CHECK(same_bits(outputs[0].values, expected[0].values));
    }
}
