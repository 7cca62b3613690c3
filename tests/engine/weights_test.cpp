// Tests of weights in their stored types and as float32.

#include "engine/graph/weights.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "core/half.h"
#include "engine/graph/graph.h"
#include "tests/cpp/check.h"
#include "tests/engine/small_network.h"

using namespace small;
using engine::WeightTensor;
using engine::WeightType;

namespace {

/// Return values in memory that begins `offset` bytes after an aligned address.
template <class T> std::shared_ptr<const std::byte> stored(const std::vector<T> &values, std::size_t offset) {
    const std::shared_ptr<std::byte[]> memory(new std::byte[values.size() * sizeof(T) + offset]);
    std::memcpy(memory.get() + offset, values.data(), values.size() * sizeof(T));
    return {memory, memory.get() + offset};
}

std::vector<float> read(const WeightTensor &tensor, std::size_t first, std::size_t count) {
    std::vector<float> values(count);
    tensor.read(first, values);
    return values;
}

} // namespace

TEST(values_are_found_where_they_lie) {
    const std::vector<float> values{1.5f, -2.0f, 0.25f, 8.0f};
    const WeightTensor tensor({4}, WeightType::float32, stored(values, 0));
    CHECK(tensor.in_place(WeightType::float32) == tensor.data());
    CHECK(tensor.in_place(WeightType::float16) == nullptr);
    CHECK(tensor.scaled({2.0, 2.0, 2.0, 2.0})->in_place(WeightType::float32) == nullptr);
    CHECK(tensor.values() == values);
    CHECK(read(tensor, 1, 2) == std::vector<float>({-2.0f, 0.25f}));
}

TEST(floats_between_boundaries_are_copied) {
    const std::vector<float> values{1.5f, -2.0f, 0.25f};
    const WeightTensor tensor({3}, WeightType::float32, stored(values, 2));
    CHECK(tensor.in_place(WeightType::float32) == nullptr);
    CHECK(tensor.values() == values);
    CHECK(read(tensor, 2, 1) == std::vector<float>({0.25f}));
}

TEST(halves_become_floats_from_any_position) {
    const std::vector<std::uint16_t> halves{half_from_float(1.0f), half_from_float(-0.5f),
                                            half_from_float(3.0f)};
    const WeightTensor tensor({3}, WeightType::float16, stored(halves, 1));
    CHECK(tensor.values() == std::vector<float>({1.0f, -0.5f, 3.0f}));
    CHECK(read(tensor, 1, 2) == std::vector<float>({-0.5f, 3.0f}));
}

TEST(bytes_take_the_scale_of_their_channel) {
    const std::vector<std::uint8_t> bytes{0, 1, 2, 3, 4, 5};
    WeightTensor tensor({3, 2}, WeightType::uint8, stored(bytes, 0));
    tensor.set_quantization({1.0f, 10.0f, 100.0f}, {0.0f, 1.0f, 5.0f});
    CHECK(tensor.values() == std::vector<float>({0, 1, 10, 20, -100, 0}));
    CHECK(read(tensor, 1, 4) == std::vector<float>({1, 10, 20, -100}));
    tensor.set_quantization({2.0f}, {1.0f});
    CHECK(read(tensor, 3, 3) == std::vector<float>({4, 6, 8}));
}

TEST(values_are_scaled_in_double_and_rounded_once) {
    const std::vector<float> values{1.0f / 3.0f, 7.0f, -1e-3f, 5.0f};
    const std::vector<double> factors{0.1, -1.0 / 7.0};
    const auto product = [&](std::size_t i) { return static_cast<float>(values[i] * factors[i / 2]); };
    const WeightTensor tensor({2, 2}, WeightType::float32, stored(values, 0));
    const auto scaled = tensor.scaled(factors);
    CHECK(scaled->values() == std::vector<float>({product(0), product(1), product(2), product(3)}));
    CHECK(read(*scaled, 1, 2) == std::vector<float>({product(1), product(2)}));
    CHECK(tensor.values() == values);
    const auto twice = scaled->scaled({3.0, 3.0});
    CHECK(twice->values()[2] == static_cast<float>(product(2) * 3.0));

    const std::vector<std::uint16_t> halves{half_from_float(3.0f), half_from_float(-0.5f)};
    const WeightTensor small({2}, WeightType::float16, stored(halves, 0));
    CHECK(small.scaled({0.1, 2.0})->values() == std::vector<float>({static_cast<float>(3.0 * 0.1), -1.0f}));
    WeightTensor bytes({2}, WeightType::uint8, stored(std::vector<std::uint8_t>{4, 9}, 0));
    bytes.set_quantization({0.5f}, {5.0f});
    CHECK(bytes.scaled({10.0, 0.25})->values() == std::vector<float>({-5.0f, 0.5f}));
}

TEST(values_that_scaling_would_make_infinite_are_refused) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    const WeightTensor floats = WeightTensor::from_floats({2}, {1e30f, -2.0f});
    CHECK(!floats.scaled({1e9, 1.0}) && !floats.scaled({1.0, 2e38}));
    CHECK(floats.scaled({1e8, 1e38}).has_value());
    CHECK(!floats.scaled({infinity, 1.0}) && !floats.scaled({1.0, std::nan("")}));
    // Only the actual values matter, and not the largest value of their type.
    const WeightTensor halves({1}, WeightType::float16, stored<std::uint16_t>({half_from_float(2.0f)}, 1));
    CHECK(halves.scaled({1.5e38}).has_value() && !halves.scaled({1.8e38}));
    WeightTensor bytes({1}, WeightType::uint8, stored(std::vector<std::uint8_t>{9}, 0));
    bytes.set_quantization({1.0f}, {5.0f});
    CHECK(bytes.scaled({8e37}).has_value() && !bytes.scaled({9e37}));
}

TEST(the_first_forbidden_value_is_named_wherever_it_is) {
    constexpr std::int64_t inputs = 3001;
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity()})
        for (const std::size_t element : {0, 1, 2047, 2048, 4096, 6001}) {
            Network network;
            const ValueId input = network.input({-1, 1, 1, inputs});
            const ValueId convolved = network.add(convolution(2, window(1)), {input});
            const std::string layer = network.graph.value_name(convolved);
            std::vector<float> values(2 * inputs, std::numeric_limits<float>::lowest());
            values[element] = bad;
            if (element < 6001) values[6001] = bad;
            const auto set = [&] {
                network.graph.set_weight(layer, "weight",
                                         WeightTensor::from_floats({2, 1, 1, inputs}, values));
            };
            CHECK_THROWS(set(), ErrorKind::weights, "element " + std::to_string(element) + " is ");
        }
}
