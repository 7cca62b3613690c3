#include "engine/run/fingerprint.h"

#include <bit>
#include <cmath>

#include "engine/trust/self_check.h"

namespace mpscnn::engine {

namespace {

/// Hashes numbers byte by byte, the lowest byte first on every machine.
class Hash {
public:
    template <class Number> void add(Number number) {
        for (std::size_t byte = 0; byte < sizeof(Number); ++byte) {
            value_ ^= static_cast<std::uint8_t>(number >> (8 * byte));
            value_ *= 0x100000001b3;
        }
    }
    std::uint64_t value() const { return value_; }

private:
    std::uint64_t value_ = 0xcbf29ce484222325;
};

constexpr std::uint32_t not_a_number = 0x7fc00000;

} // namespace

std::uint64_t fingerprint(const std::shared_ptr<Program> &program, const std::vector<Shape> &input_shapes,
                          int threads) {
    const auto planned = program->plan_for(input_shapes);
    std::vector<std::vector<float>> memory;
    std::vector<TensorView> inputs, outputs;
    for (std::size_t i = 0; i < input_shapes.size(); ++i) {
        const Shape &shape = input_shapes[i];
        std::vector<float> &values =
            memory.emplace_back(self_check_noise(shape.elements(), static_cast<std::uint32_t>(i + 1)));
        if (program->inputs()[i].name.starts_with(self_check_positive))
            for (float &value : values) value = std::fabs(value);
        inputs.push_back(TensorView::dense(values.data(), DType::float32, shape));
    }
    for (const Shape &shape : planned->output_shapes) {
        std::vector<float> &values = memory.emplace_back(static_cast<std::size_t>(shape.elements()));
        outputs.push_back(TensorView::dense(values.data(), DType::float32, shape));
    }
    Session(program, {.threads = threads}).run(inputs, outputs);

    Hash hash;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        const Shape &shape = planned->output_shapes[i];
        for (int axis = 0; axis < shape.rank(); ++axis) hash.add(static_cast<std::uint64_t>(shape[axis]));
        for (const float value : memory[inputs.size() + i])
            hash.add(std::isnan(value) ? not_a_number : std::bit_cast<std::uint32_t>(value));
    }
    return hash.value();
}

} // namespace mpscnn::engine
