#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "metal/layers/layer.h"

namespace mpscnn::metal {

/// A layer's weights as numbers of the GPU's type: halves in float16 networks, floats in float32 ones.
class DeviceWeights {
public:
    DeviceWeights() = default;
    DeviceWeights(const std::vector<float> &values, engine::Precision precision);

    void *data() { return halves_.empty() ? static_cast<void *>(floats_.data()) : halves_.data(); }
    std::size_t bytes() const {
        return halves_.size() * sizeof(std::uint16_t) + floats_.size() * sizeof(float);
    }
    bool empty() const { return halves_.empty() && floats_.empty(); }

private:
    std::vector<std::uint16_t> halves_;
    std::vector<float> floats_;
};

/// Throws WeightsError, with the layer's name, for a weight that float16 cannot hold in a network of that
/// precision.
void require_weights_fit(const std::vector<float> &values, engine::Precision precision,
                         const std::string &layer);

/// The buffers that a convolution's shader reads. The weights of the four output channels of a slice are
/// adjacent.
struct SliceWeights {
    /// [slice][product][lane], in the network's precision; a lane is one of four output channels.
    objc_ptr<id<MTLBuffer>> weights;
    objc_ptr<id<MTLBuffer>> terms; ///< biases and then the slopes of a PReLU

    /// Make the buffers. `values` are [output channel][product]. Throws WeightsError for a weight that does
    /// not fit the precision.
    SliceWeights(const std::vector<float> &values, std::int64_t outputs, const LayerSource &source,
                 Device &device);
};

} // namespace mpscnn::metal
