#include "api/stored_weight.h"

#include "api/guard.h"
#include "api/tensors.h"

namespace mpscnn::c_api {

engine::WeightTensor weight_of(const mpscnn_tensor &tensor, const float *scales, const float *zero_points,
                               std::int64_t quantization_count, const std::string &what) {
    require_array(scales, quantization_count, "scales");
    require_array(zero_points, quantization_count, "zero_points");
    const bool has_integers = tensor.dtype == MPSCNN_UINT8 || tensor.dtype == MPSCNN_INT32;
    if (has_integers != (quantization_count > 0))
        fail(ErrorKind::weights,
             "uint8 and int32 weights need scales and zero points, and only they have them");
    engine::WeightTensor weight = weight_of(tensor, what);
    if (quantization_count > 0)
        weight.set_quantization({scales, scales + quantization_count},
                                {zero_points, zero_points + quantization_count});
    return weight;
}

mpscnn_tensor tensor_of(const engine::WeightTensor &weight) {
    mpscnn_tensor tensor{};
    // The C struct has a pointer to writable memory, because it is also used for outputs. The documentation
    // says that a weight may only be read.
    tensor.data = const_cast<std::byte *>(weight.data());
    switch (weight.type()) {
    case engine::WeightType::float32:
        tensor.dtype = MPSCNN_FLOAT32;
        break;
    case engine::WeightType::float16:
        tensor.dtype = MPSCNN_FLOAT16;
        break;
    case engine::WeightType::uint8:
        tensor.dtype = MPSCNN_UINT8;
        break;
    case engine::WeightType::int32:
        tensor.dtype = MPSCNN_INT32;
        break;
    }
    give_shape(weight.shape(), tensor.shape, &tensor.rank);
    return tensor;
}

} // namespace mpscnn::c_api
