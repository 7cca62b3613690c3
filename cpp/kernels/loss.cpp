#include "kernels/loss.h"

#include "core/text.h"

namespace mpscnn::kernels {

namespace {

/// Check the parameters whose ranges do not depend on images.
void check_loss(const ops::LossFields &loss, const std::string &kernel) {
    const Shape one{1, 1, 1, 1};
    ops::OperationInfo info = ops::Loss::info;
    info.name = kernel.c_str();
    loss.check(info, {&one, 1});
}

void require_like_prediction(const EncodingBuilder &builder, std::size_t source) {
    ImageDescriptor given = builder.image(source);
    given.format = builder.image(0).format;
    if (!(given == builder.image(0)))
        builder.refuse(ErrorKind::shape,
                       concat({source == 1 ? "labels" : "weights", " must have the size of the prediction, ",
                               builder.image(0).text(), ", got ", given.text()}));
}

} // namespace

void Loss::check(const std::string &kernel) const { check_loss(loss, kernel); }

ImageDescriptor Loss::destination(std::span<const ImageDescriptor> sources) const {
    if (loss.reduction == ops::LossReduction::none) return sources[0];
    return {1, 1, 1, loss.reduce_across_batch ? 1 : sources[0].number_of_images, ImageFormat::float32};
}

int Loss::build(EncodingBuilder &builder) const {
    std::vector<int> inputs;
    for (std::size_t i = 0; i < builder.sources(); ++i) {
        require_like_prediction(builder, i);
        inputs.push_back(builder.everything(i));
    }
    return builder.add(ops::Loss{loss, false}, std::move(inputs));
}

void LossGradient::check(const std::string &kernel) const { check_loss(loss, kernel); }

int LossGradient::build(EncodingBuilder &builder) const {
    constexpr std::size_t last = 2; // index of the source gradient
    std::vector<int> inputs;
    for (std::size_t i = 0; i < builder.sources(); ++i) {
        if (has_source_gradient && i == last) continue;
        require_like_prediction(builder, i);
        inputs.push_back(builder.everything(i));
    }
    const int gradient = builder.add(ops::LossGradient{loss, false}, std::move(inputs));
    if (!has_source_gradient) return gradient;
    const ImageDescriptor &given = builder.image(last), &prediction = builder.image(0);
    const bool single = given.width == 1 && given.height == 1 && given.feature_channels == 1;
    ImageDescriptor like = given;
    like.format = prediction.format;
    if (single && given.number_of_images == 1) // one number for all images
        return builder.add(ops::OptimizerGradient{}, {gradient, gradient, builder.row(last)});
    ops::Multiplication product;
    if (!(like == prediction)) {
        if (!single || given.number_of_images != prediction.number_of_images)
            builder.refuse(ErrorKind::shape,
                           concat({"the source gradient must have one number, one for each image, or the "
                                   "size of the prediction, ",
                                   prediction.text(), ", got ", given.text()}));
        product.secondary_stride_y = product.secondary_stride_x = product.secondary_stride_channels = 0;
    }
    return builder.add(product, {gradient, builder.everything(last)});
}

int InitialGradient::build(EncodingBuilder &builder) const {
    const ImageDescriptor &image = builder.image(0);
    const int ones =
        builder.numbers(std::vector<float>(static_cast<std::size_t>(image.number_of_images), 1.0f),
                        {image.number_of_images, 1, 1, 1});
    ops::Tile copies;
    copies.rows = image.height;
    copies.columns = image.width;
    copies.channels = image.feature_channels;
    return builder.add(copies, {ones});
}

} // namespace mpscnn::kernels
