#include "metal/layers/weights.h"

#include <cmath>

#include "core/half.h"
#include "core/json.h"
#include "metal/layers/neuron.h"

namespace mpscnn::metal {

DeviceWeights::DeviceWeights(const std::vector<float> &values, engine::Precision precision) {
    if (precision == engine::Precision::float32) {
        floats_ = values;
        return;
    }
    halves_.resize(values.size());
    halves_from_floats(values, halves_);
}

void require_weights_fit(const std::vector<float> &values, engine::Precision precision,
                         const std::string &layer) {
    if (precision == engine::Precision::float32) return;
    for (float weight : values)
        if (!std::isfinite(round_to_half(weight)))
            fail(ErrorKind::weights,
                 {"layer ", quoted(layer), ": weight ", weight,
                  " does not fit into float16, whose largest number is 65504; use float32 "
                  "precision (batch normalization is folded into the weights)"});
}

namespace {

std::vector<float> weights_in_slices(const std::vector<float> &values, std::size_t outputs) {
    const std::size_t products = values.size() / outputs, slices = (outputs + 3) / 4;
    std::vector<float> result(slices * products * 4, 0.0f);
    for (std::size_t output = 0; output < outputs; ++output)
        for (std::size_t i = 0; i < products; ++i)
            result[(output / 4 * products + i) * 4 + output % 4] = values[output * products + i];
    return result;
}

} // namespace

SliceWeights::SliceWeights(const std::vector<float> &values, std::int64_t outputs, const LayerSource &source,
                           Device &device) {
    const auto count = static_cast<std::size_t>(outputs);
    require_weights_fit(values, source.precision, source.name());
    DeviceWeights packed(weights_in_slices(values, count), source.precision);
    weights = device.make_constants(packed.data(), packed.bytes());
    std::vector<float> numbers = in_slices(source.node.weight_or("bias", count, 0.0f));
    const std::vector<float> slopes = slopes_in_slices(source);
    numbers.insert(numbers.end(), slopes.begin(), slopes.end());
    terms = device.make_constants(numbers);
}

} // namespace mpscnn::metal
