#include "metal/run/image_step.h"

#include <algorithm>

#include "core/json.h"
#include "metal/device/image.h"

namespace mpscnn::metal {

namespace {

Operands operands_of(const std::vector<StoredValue> &values, const std::vector<Shape> &shapes) {
    Operands operands;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const Operand operand{static_cast<engine::ValueId>(i), values[i].layout, shapes[i]};
        if (i + 1 < values.size())
            operands.sources.push_back(operand);
        else
            operands.destination = operand;
    }
    return operands;
}

} // namespace

ImageStep::ImageStep(const LoweredLayer &layer, const std::vector<Port> &sources, const Port &result,
                     ShaderLibrary &shaders)
    : name_(layer.name) {
    std::vector<Shape> shapes;
    const auto add = [&](const Port &port) {
        values_.push_back({port.shape, image_layout(port.image, port.precision), 1});
        shapes.push_back(port.shape);
    };
    for (const Port &source : sources) add(source);
    add(result);
    const std::int64_t batch = result.shape[0];
    std::int64_t images = batch;
    for (const StoredValue &value : values_) images = std::min(images, value.layout.max_images());
    if (images > 0) images = std::min(images, layer.layer->max_images(operands_of(values_, shapes)));
    const auto is_shared = [&](const StoredValue &value) { return value.shape[0] != batch; };
    if (images < 1)
        fail(ErrorKind::shape,
             {"layer ", quoted(name_), ": the Metal engine has no images as large as ", result.shape.text()});
    for (StoredValue &value : values_) value.layout.images = is_shared(value) ? value.shape[0] : images;
    passes_ = passes_over(batch, images);
    for (std::size_t i = 0; i < values_.size(); ++i)
        transfers_.emplace_back(i + 1 < values_.size() ? Transfer::Direction::to_image
                                                       : Transfer::Direction::to_array,
                                values_[i].layout, shaders);
    step_ = layer.layer->bind(operands_of(values_, shapes));
}

/// Return the part of an array that a pass uses. A value whose batch differs from the result's is used whole
/// in each pass.
ArrayView ImageStep::part(const ArrayView &array, std::size_t port, std::int64_t first_image) const {
    const ImageLayout &layout = values_[port].layout;
    ArrayView view = array;
    view.pitches = Pitches::dense(layout);
    const bool moves = values_[port].shape[0] == values_.back().shape[0];
    if (moves) view.offset += static_cast<std::size_t>(first_image * view.pitches.image) * size_of(view.type);
    return view;
}

void ImageStep::encode(id<MTLCommandBuffer> command_buffer, std::span<const ArrayView> arrays) const {
    const std::size_t result = values_.size() - 1;
    for (const std::int64_t first_image : passes_) {
        Encoding encoding(command_buffer, values_, first_image);
        for (std::size_t i = 0; i < result; ++i)
            transfers_[i].encode(command_buffer, name_, encoding.create(static_cast<engine::ValueId>(i)),
                                 part(arrays[i], i, first_image));
        step_->encode(encoding);
        const auto value = static_cast<engine::ValueId>(result);
        transfers_[result].encode(command_buffer, name_, encoding.image(value),
                                  part(arrays[result], result, first_image));
        encoding.was_read_by_shader(value);
    }
}

std::size_t ImageStep::bytes() const {
    std::size_t bytes = step_->scratch_bytes();
    for (const StoredValue &value : values_) bytes += value.layout.bytes();
    return bytes;
}

} // namespace mpscnn::metal
