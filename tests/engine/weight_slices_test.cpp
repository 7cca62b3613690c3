// Compares weights that are packed in slices with the same weights packed at once, for each instruction set
// of this processor.

#include <cstring>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "cpu/machine/thread_pool.h"
#include "cpu/plan/weight_slices.h"
#include "tests/cpp/check.h"
#include "tests/cpp/kernel_memory.h"

using namespace kernel_test;
using engine::Precision;
using engine::WeightTensor;

namespace {

const std::string layer = "dense";

/// Return weights with random bits, a third of which are exact halves and bfloat16 numbers.
WeightTensor random_weights(Random &random, const Shape &shape) {
    std::vector<float> values(static_cast<std::size_t>(shape.elements()));
    for (float &value : values)
        value = random() % 3 ? uniform(random) : static_cast<float>(pick(random, -8, 8));
    return WeightTensor::from_floats(shape, std::move(values));
}

PackedConvolution packed_at_once(const KernelTable &table, WeightMemory &memory, const LayerWeights &weights,
                                 const ConvolutionShape &shape) {
    AlignedBuffer<float> unpacked;
    const auto count = static_cast<std::size_t>(weights.tensor.elements());
    return table.pack_convolution(memory, weights.read(0, count, unpacked).data(), nullptr, shape);
}

/// Return nothing if the layer is not divided.
std::optional<PackedConvolution> packed_in_slices(const KernelTable &table, WeightMemory &memory,
                                                  const LayerWeights &weights,
                                                  const ConvolutionShape &shape) {
    PackedConvolution packed = unpacked_convolution(table, memory, nullptr, shape);
    WeightSlices slices;
    if (!slices.add(weights, shape, packed)) return std::nullopt;
    ThreadPool pool(3);
    std::vector<PackingMemory> own(3);
    pool.run(static_cast<std::int64_t>(slices.size()), [&](int worker, std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
            slices.pack(table, static_cast<std::size_t>(i), own[static_cast<std::size_t>(worker)]);
    });
    return packed;
}

bool same_bits(const PackedConvolution &one, const PackedConvolution &other) {
    return one.weights.size() == other.weights.size() &&
           std::memcmp(one.weights.data(), other.weights.data(), one.weights.size() * sizeof(float)) == 0;
}

void check_slices(Random &random, const Shape &weight_shape, Precision precision, Element element) {
    for (const KernelTable *table : available_kernels()) {
        const WeightTensor tensor = random_weights(random, weight_shape);
        const LayerWeights weights{tensor, precision, layer};
        ConvolutionShape shape = plain_convolution(*table, weight_shape, 1, element);
        shape.half_weights = precision == Precision::float16 && can_keep_halves(*table, shape);
        WeightMemory memory(0);
        const auto sliced = packed_in_slices(*table, memory, weights, shape);
        CHECK(sliced && same_bits(*sliced, packed_at_once(*table, memory, weights, shape)));
    }
}

} // namespace

TEST(slices_give_the_bits_of_whole_layers) {
    Random random(1);
    // The numbers of outputs around multiples of a panel leave last panels of every width.
    for (const std::int64_t outputs : {1001, 1024, 1000, 961, 970, 985, 1280})
        check_slices(random, {outputs, 1, 1, 700}, Precision::float32, Element::float32);
    check_slices(random, {399, 3, 3, 100}, Precision::float32, Element::float32);
}

TEST(weights_are_rounded_in_slices) {
    Random random(2);
    for (const std::int64_t outputs : {1001, 1024, 970})
        for (const std::int64_t inputs : {700, 701}) {
            check_slices(random, {outputs, 1, 1, inputs}, Precision::float16, Element::float32);
            check_slices(random, {outputs, 1, 1, inputs}, Precision::bfloat16, Element::bfloat16);
            check_slices(random, {outputs, 1, 1, inputs}, Precision::bfloat16, Element::float32);
        }
    check_slices(random, {399, 3, 3, 97}, Precision::bfloat16, Element::bfloat16);
}

TEST(small_layers_and_other_orders_are_packed_at_once) {
    Random random(3);
    for (const KernelTable *table : available_kernels())
        for (const Shape &shape :
             {Shape{96, 1, 1, 64}, Shape{2, 1, 1, 1 << 18}}) { // the latter: Algorithm::dot
            const WeightTensor tensor = random_weights(random, shape);
            WeightMemory memory(0);
            CHECK(!packed_in_slices(*table, memory, {tensor, Precision::float32, layer},
                                    plain_convolution(*table, shape, 1)));
        }
}

TEST(a_weight_that_is_too_large_is_named) {
    const Shape shape{1024, 1, 1, 700};
    std::vector<float> values(static_cast<std::size_t>(shape.elements()), 1.0f);
    const std::size_t last = values.size() - 3;
    for (const auto &[precision, large, text] :
         {std::tuple{Precision::float16, 65520.0f, "layer 'dense': weight 65520 does not fit into float16"},
          std::tuple{Precision::bfloat16, 3.4e38f, "does not fit into bfloat16"}}) {
        values[last] = large;
        const WeightTensor tensor = WeightTensor::from_floats(shape, values);
        const LayerWeights weights{tensor, precision, layer};
        for (const KernelTable *table : available_kernels()) {
            WeightMemory memory(0);
            CHECK_THROWS(packed_in_slices(*table, memory, weights, plain_convolution(*table, shape, 1)),
                         mpscnn::ErrorKind::weights, text);
        }
    }
}
