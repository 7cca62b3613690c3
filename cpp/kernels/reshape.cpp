#include "kernels/reshape.h"

namespace mpscnn::kernels {

void Reshape::check(const std::string &kernel) const {
    require_range(kernel, "reshaped_width", reshaped_width, 1);
    require_range(kernel, "reshaped_height", reshaped_height, 1);
    require_range(kernel, "reshaped_feature_channels", reshaped_feature_channels, 1);
}

int Reshape::build(EncodingBuilder &builder) const {
    builder.require_no_offset("the whole source is reshaped");
    builder.require_written({reshaped_width, reshaped_height}, "the reshaped image is written whole");
    ops::Reshape reshape;
    reshape.shape = {reshaped_height, reshaped_width, reshaped_feature_channels};
    const int source = builder.whole();
    return builder.add(reshape, {source});
}

void Pad::check(const std::string &kernel) const {
    for (const auto &[name, size] : {std::pair{"padding_size_before", padding_size_before},
                                     std::pair{"padding_size_after", padding_size_after}})
        for (std::int64_t amount : {size.x, size.y, size.z}) require_range(kernel, name, amount, 0);
}

int Pad::build(EncodingBuilder &builder) const {
    const SourceProperties &given = builder.properties().sources[0];
    const ImageDescriptor &image = builder.image();
    ops::Padding padding;
    padding.left = -given.offset.x;
    padding.right = given.offset.x + builder.width() - image.width;
    padding.top = -given.offset.y;
    padding.bottom = given.offset.y + builder.height() - image.height;
    padding.front = padding_size_before.z;
    padding.back = padding_size_after.z;
    switch (given.edge_mode) {
    case EdgeMode::zero:
        break;
    case EdgeMode::clamp:
        padding.mode = ops::PaddingMode::clamp;
        break;
    case EdgeMode::mirror:
        padding.mode = ops::PaddingMode::mirror;
        break;
    case EdgeMode::mirror_with_edge:
        padding.mode = ops::PaddingMode::mirror_with_edge;
        break;
    case EdgeMode::constant:
        padding.values = fill_values;
        padding.value = fill_values.empty() ? fill_value : 0.0f;
        break;
    }
    const int source = builder.whole();
    return builder.add(std::move(padding), {source});
}

} // namespace mpscnn::kernels
