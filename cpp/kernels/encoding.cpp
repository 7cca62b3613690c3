#include "kernels/encoding.h"

#include <algorithm>
#include <utility>

#include "kernels/neuron_descriptor.h"

namespace mpscnn::kernels {

namespace {

std::int64_t require_offset(const EncodingBuilder &builder, const char *name, std::int64_t offset) {
    if (offset < 0 || offset % ImageDescriptor::slice_channels != 0)
        builder.refuse(ErrorKind::parameter, std::string(name) +
                                                 " must be a multiple of 4 and not negative, got " +
                                                 std::to_string(offset));
    return offset;
}

} // namespace

void require_range(const std::string &kernel, const char *name, std::int64_t value, std::int64_t least) {
    if (value < least || value > ops::largest_size)
        fail(ErrorKind::parameter, kernel + ": " + name + " must be " + std::to_string(least) + " to " +
                                       std::to_string(ops::largest_size) + ", got " + std::to_string(value));
}

EncodingBuilder::EncodingBuilder(std::string kernel, const KernelProperties &properties,
                                 std::span<const ImageDescriptor> sources, const ImageDescriptor &destination)
    : kernel_(std::move(kernel)), properties_(properties), sources_(sources),
      destination_channels_(destination.feature_channels) {
    place_destination(destination);
    for (std::size_t i = 0; i < sources.size(); ++i) place_source(i);
}

void EncodingBuilder::refuse(ErrorKind kind, const std::string &message) const {
    fail(kind, kernel_ + ": " + message);
}

void EncodingBuilder::place_destination(const ImageDescriptor &destination) {
    const ClipRect &clip = properties_.clip_rect;
    const auto cut = [&](const char *axis, std::int64_t begin, std::int64_t size, std::int64_t extent) {
        if (begin < 0 || size < 0)
            refuse(ErrorKind::parameter, std::string("clip_rect must not be negative, got ") +
                                             std::to_string(begin < 0 ? begin : size) + " for its " + axis);
        const std::int64_t inside = std::min(size, extent - std::min(begin, extent));
        if (inside < 1)
            refuse(ErrorKind::parameter, std::string("clip_rect leaves no ") + axis +
                                             " of the destination: it begins at " + std::to_string(begin) +
                                             " and takes " + std::to_string(size) + " of " +
                                             std::to_string(extent));
        return inside;
    };
    written_ = {clip.origin.z, clip.origin.y, clip.origin.x, 0};
    written_.width = cut("columns", clip.origin.x, clip.width, destination.width);
    written_.height = cut("rows", clip.origin.y, clip.height, destination.height);
    written_.images = cut("images", clip.origin.z, clip.depth, destination.number_of_images);
    written_.channel = require_offset(*this, "destination_feature_channel_offset",
                                      properties_.destination_feature_channel_offset);
}

void EncodingBuilder::place_source(std::size_t source) {
    const SourceProperties &given = properties_.sources[source];
    const ImageDescriptor &image = sources_[source];
    ImageRegion range;
    range.image = given.offset.z;
    range.images = written_.images;
    if (range.image < 0 || range.images > image.number_of_images - range.image)
        refuse(ErrorKind::parameter, "offset.z and the images written must stay within the " +
                                         std::to_string(image.number_of_images) +
                                         " images of the source, got " + std::to_string(range.image) +
                                         " and " + std::to_string(range.images));
    range.channel = require_offset(*this, "source_feature_channel_offset", given.feature_channel_offset);
    range.channels = std::min(given.feature_channel_max_count, image.feature_channels - range.channel);
    if (range.channels < 1)
        refuse(ErrorKind::parameter,
               "source_feature_channel_offset and source_feature_channel_max_count leave no channel of " +
                   std::to_string(image.feature_channels) + ", got " + std::to_string(range.channel) +
                   " and " + std::to_string(given.feature_channel_max_count));
    range.height = image.height;
    range.width = image.width;
    ranges_.push_back(range);
}

int EncodingBuilder::add_source(std::size_t source, const ImageRegion &region) {
    inputs_.push_back({source, region});
    return static_cast<int>(inputs_.size()) - 1;
}

int EncodingBuilder::whole(std::size_t source) { return add_source(source, ranges_[source]); }

int EncodingBuilder::pixels(std::size_t source) {
    const Offset &offset = properties_.sources[source].offset;
    ImageRegion region = ranges_[source];
    const bool inside = offset.x >= 0 && written_.width <= region.width - offset.x && offset.y >= 0 &&
                        written_.height <= region.height - offset.y;
    if (!inside) return edged(place({}, source), source);
    region.x = offset.x;
    region.y = offset.y;
    region.width = written_.width;
    region.height = written_.height;
    return add_source(source, region);
}

int EncodingBuilder::add(ops::Operation operation, std::vector<int> inputs, std::vector<WeightUse> weights,
                         std::optional<ops::Neuron> activation) {
    nodes_.push_back({std::move(operation), std::move(inputs), activation, std::move(weights)});
    return static_cast<int>(inputs_.size() + nodes_.size()) - 1;
}

ops::Window EncodingBuilder::place(ops::Window taps, std::size_t source) const {
    const SourceProperties &given = properties_.sources[source];
    const ops::WindowAxis rows = ops::placed_window({taps.kernel_height, taps.stride_y, taps.dilation_y},
                                                    given.offset.y, written_.height, sources_[source].height);
    const ops::WindowAxis columns =
        ops::placed_window({taps.kernel_width, taps.stride_x, taps.dilation_x}, given.offset.x,
                           written_.width, sources_[source].width);
    taps.padding = ops::PaddingPolicy::explicit_;
    taps.pad_top = rows.before;
    taps.pad_bottom = rows.after;
    taps.pad_left = columns.before;
    taps.pad_right = columns.after;
    return taps;
}

int EncodingBuilder::edged(const ops::Window &window, std::size_t source) {
    static_cast<void>(window);
    refuse(ErrorKind::unsupported, "reads outside the source; edge mode " +
                                       std::string(ops::name_of(properties_.sources[source].edge_mode)) +
                                       " is not known to this engine");
}

int EncodingBuilder::widened(ops::Window &window, std::size_t source) {
    if (properties_.sources[source].edge_mode == EdgeMode::zero) return whole(source);
    if (std::max({window.pad_top, window.pad_bottom, window.pad_left, window.pad_right}) <= 0)
        return whole(source);
    ops::Window border;
    border.padding = ops::PaddingPolicy::explicit_;
    for (auto side :
         {&ops::Window::pad_top, &ops::Window::pad_bottom, &ops::Window::pad_left, &ops::Window::pad_right})
        border.*side = std::exchange(window.*side, 0);
    return edged(border, source);
}

int EncodingBuilder::add_neuron(const std::optional<ops::Neuron> &neuron, int value, std::int64_t channels) {
    if (!neuron || neuron->kind == ops::NeuronKind::none) return value;
    std::vector<WeightUse> uses;
    if (neuron->kind == ops::NeuronKind::prelu) uses = {{"slope", NeuronDescriptor::data_role, {channels}}};
    return add(*neuron, {value}, std::move(uses));
}

Encoding EncodingBuilder::finish(std::int64_t channels) && {
    if (channels > destination_channels_ - written_.channel)
        refuse(ErrorKind::shape,
               "the destination must have at least " + std::to_string(written_.channel + channels) +
                   " feature channels (" + std::to_string(channels) +
                   " behind destination_feature_channel_offset " + std::to_string(written_.channel) +
                   "), got " + std::to_string(destination_channels_));
    written_.channels = channels;
    return {std::move(inputs_), std::move(nodes_), written_};
}

} // namespace mpscnn::kernels
