#include "metal/layers/weights.h"

#include <cmath>

#include "core/half.h"
#include "core/json.h"

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
            fail(ErrorKind::weights, {"layer ", quoted(layer), ": weight ", weight, " does not fit into float16, whose largest number is 65504; use float32 "
                     "precision (batch normalization is folded into the weights)"});
}

} // namespace mpscnn::metal
