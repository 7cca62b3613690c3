#include "metal/layers/steps.h"
#include "shaders/matrix_product_params.h"

namespace mpscnn::metal {

static_assert(sizeof(MatrixProductParams) == 19 * sizeof(int));

std::unique_ptr<Layer> make_layer(const ops::MatrixProduct &product, const LayerSource &source,
                                  Device &device) {
    const auto bind = [product](const Operands &operands) {
        const ImageLayout &first = operands.sources[0].layout, &second = operands.sources[1].layout;
        const std::int64_t depth = product.transpose_first ? first.width : first.channels;
        return ShaderArguments(
            MatrixProductParams{first.params(), second.params(), operands.destination.layout.params(),
                                static_cast<unsigned int>(depth), product.transpose_first ? 1 : 0,
                                product.transpose_second ? 1 : 0, product.scale});
    };
    return shader_layer(source, device, "matrix_product", bind);
}

} // namespace mpscnn::metal
