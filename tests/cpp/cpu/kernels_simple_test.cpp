// Tests sums in place and conversions of halves with every instruction set of this machine, and the
// comparison of tensors in these tests. tests/operations compares the operations of networks with their
// definitions.

#include "cpu/isa/kernels.h"

#include <bit>
#include <string>

#include "core/half.h"
#include "tests/cpp/cpu/kernel_check.h"

using namespace kernel_test;

namespace {

TEST(tensors_have_the_same_bits_up_to_the_sign_of_nan) {
    Random random(7);
    const auto filled = [&](float value) {
        Memory memory(random, {1, 1, 1, 3}, guard);
        memory.each([&](float &element) { element = value; });
        return memory;
    };
    CHECK(filled(std::nanf("")).same_bits(filled(-std::nanf(""))));
    CHECK(!filled(std::nanf("")).same_bits(filled(infinity)));
    CHECK(!filled(0.0f).same_bits(filled(-0.0f)));
    CHECK(!filled(1.0f).same_bits(filled(std::nextafter(1.0f, 2.0f))));
}

TEST(a_destination_may_be_the_source_or_the_residual) {
    for_each_table(100, [](Random &random, const KernelTable &table) {
        const Size size = random_size(random);
        const Memory a = random_source(random, size), separate(random, size, guard);
        Memory in_place = random_source(random, size);
        const Memory b = in_place;
        const ConstView residual = b.view;
        Epilogue epilogue;
        epilogue.activation = {.kind = Activation::Kind::linear, .low = 0.25f, .slope = 2.0f};
        epilogue.residual = &residual;
        ArithmeticTask task{a.view, b.view, separate.view, epilogue};
        bool right = run_items(random, task, table.kernel<ArithmeticTask>(), 2);
        const ConstView own = in_place.view;
        task.second = task.destination = in_place.view;
        task.epilogue.residual = &own;
        right = right && run_items(random, task, table.kernel<ArithmeticTask>(), 2);
        check_kernel(right && separate.same_bits(in_place), table,
                     "addition in place of " + text(in_place.view));
    });
}

TEST(every_half_becomes_the_float_of_core_half) {
    for_each_table(1, [](Random &, const KernelTable &table) {
        std::vector<std::uint16_t> halves(0x10000);
        std::iota(halves.begin(), halves.end(), std::uint16_t{0});
        std::vector<float> floats(halves.size());
        table.floats_from_halves(halves.data(), floats.data(), 0x10000);
        for (const std::uint16_t half : halves)
            CHECK(std::bit_cast<std::uint32_t>(floats[half]) ==
                  std::bit_cast<std::uint32_t>(float_from_half(half)));
    });
}

TEST(floats_become_the_halves_of_core_half) {
    for_each_table(1, [](Random &random, const KernelTable &table) {
        std::vector<float> floats;
        // Floats around every half: its neighbours, and the ties between halves with their neighbours.
        for (std::uint32_t half = 0; half < 0x10000; ++half) {
            const auto bits = std::bit_cast<std::uint32_t>(float_from_half(static_cast<std::uint16_t>(half)));
            for (const int distance : {-1, 0, 1, 0xfff, 0x1000, 0x1001})
                floats.push_back(std::bit_cast<float>(bits + static_cast<std::uint32_t>(distance)));
        }
        for (int i = 0; i < 1 << 18; ++i)
            floats.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(random())));
        std::vector<std::uint16_t> halves(floats.size());
        table.halves_from_floats(floats.data(), halves.data(), static_cast<std::int64_t>(floats.size()));
        for (std::size_t i = 0; i < floats.size(); ++i) CHECK(halves[i] == half_from_float(floats[i]));
    });
}

TEST(half_conversions_of_any_length_touch_nothing_else) {
    for_each_table(40, [](Random &random, const KernelTable &table) {
        const std::int64_t count = pick(random, 0, 40);
        std::vector<float> floats(static_cast<std::size_t>(count));
        std::generate(floats.begin(), floats.end(), [&] { return uniform(random); });
        std::vector<std::uint16_t> halves(floats.size() + 1, 0xabcd);
        std::vector<float> back(floats.size() + 1, guard);
        table.halves_from_floats(floats.data(), halves.data(), count);
        table.floats_from_halves(halves.data(), back.data(), count);
        CHECK(halves.back() == 0xabcd && back.back() == guard);
        for (std::size_t i = 0; i < floats.size(); ++i) CHECK(back[i] == round_to_half(floats[i]));
    });
}

} // namespace
