#include "kernels/gram_matrix.h"

namespace mpscnn::kernels {

int GramMatrix::build(EncodingBuilder &builder) const {
    const std::int64_t channels = builder.channels();
    builder.require_no_offset("all pixels of the source are read");
    builder.require_written({channels, 1},
                            "the result has a column for each feature channel, and is written whole");
    ops::Reshape rows;
    rows.shape = {1, builder.image().height * builder.image().width, channels};
    const int source = builder.whole();
    const int pixels = builder.add(rows, {source});
    ops::MatrixProduct product;
    product.transpose_first = true;
    product.scale = alpha;
    return builder.add(product, {pixels, pixels});
}

} // namespace mpscnn::kernels
