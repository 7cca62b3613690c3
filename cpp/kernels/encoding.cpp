#include "kernels/encoding.h"

#include <algorithm>
#include <utility>

#include "core/text.h"
#include "kernels/neuron_descriptor.h"

namespace mpscnn::kernels {

namespace {

/// Return the name of a source's property. Kernels with two sources have it twice, with a prefix.
std::string property_name(std::size_t source, std::size_t sources, const char *name) {
    return std::string(sources == 1 ? "" : source == 0 ? "primary_" : "secondary_") + name;
}

} // namespace

std::int64_t require_channel_offset(const std::string &kernel, const std::string &name, std::int64_t offset) {
    if (offset < 0 || offset > ops::largest_size || offset % ImageDescriptor::slice_channels != 0)
        fail(ErrorKind::parameter, {kernel, ": ", name, " must be a multiple of 4 from 0 to ",
                                    ops::largest_size, ", got ", offset});
    return offset;
}

ImageRegion readable(const std::string &kernel, std::span<const ImageDescriptor> sources, std::size_t source,
                     const SourceProperties &given, bool any_channel) {
    const auto name = [&](const char *property) { return property_name(source, sources.size(), property); };
    const ImageDescriptor &image = sources[source];
    ImageRegion range{given.offset.z, 0, 0, given.feature_channel_offset};
    range.images = image.number_of_images - range.image;
    if (range.image < 0 || range.images < 1)
        fail(ErrorKind::parameter, {kernel, ": ", name("offset"), ".z must be an image of the source, 0 to ",
                                    image.number_of_images - 1, ", got ", range.image});
    if (!any_channel) require_channel_offset(kernel, name("source_feature_channel_offset"), range.channel);
    if (range.channel >= 0)
        range.channels = std::min(given.feature_channel_max_count, image.feature_channels - range.channel);
    if (range.channel < 0 || range.channels < 1)
        fail(ErrorKind::parameter,
             {kernel, ": ", name("source_feature_channel_offset"), " and ",
              name("source_feature_channel_max_count"), " leave no channel of ", image.feature_channels,
              ", got ", range.channel, " and ", given.feature_channel_max_count});
    range.height = image.height;
    range.width = image.width;
    return range;
}

void require_range(const std::string &kernel, const char *name, std::int64_t value, std::int64_t minimum) {
    if (value < minimum || value > ops::largest_size)
        fail(ErrorKind::parameter,
             {kernel, ": ", name, " must be ", minimum, " to ", ops::largest_size, ", got ", value});
}

EncodingBuilder::EncodingBuilder(std::string kernel, const KernelProperties &properties,
                                 std::span<const ImageDescriptor> sources, const ImageDescriptor &destination,
                                 EncodingOptions options)
    : kernel_(std::move(kernel)), properties_(properties), sources_(sources),
      destination_size_{destination.width, destination.height},
      destination_channels_(destination.feature_channels), options_(options) {
    place_destination(destination);
    for (std::size_t i = 0; i < sources.size(); ++i) place_source(i);
}

void EncodingBuilder::refuse(ErrorKind kind, const std::string &message) const {
    fail(kind, {kernel_, ": ", message});
}

void EncodingBuilder::place_destination(const ImageDescriptor &destination) {
    const ClipRect &clip = properties_.clip_rect;
    const auto cut = [&](const char *axis, std::int64_t begin, std::int64_t size, std::int64_t extent) {
        if (begin < 0 || size < 0)
            refuse(ErrorKind::parameter, concat({"clip_rect must not be negative, got ",
                                                 begin < 0 ? begin : size, " for its ", axis}));
        const std::int64_t inside = std::min(size, extent - std::min(begin, extent));
        if (inside < 1)
            refuse(ErrorKind::parameter,
                   concat({"clip_rect leaves no ", axis, " of the destination: it begins at ", begin,
                           " and takes ", size, " of ", extent}));
        return inside;
    };
    written_ = {clip.origin.z, clip.origin.y, clip.origin.x, 0};
    written_.width = cut("columns", clip.origin.x, clip.width, destination.width);
    written_.height = cut("rows", clip.origin.y, clip.height, destination.height);
    written_.images = cut("images", clip.origin.z, clip.depth, destination.number_of_images);
    written_.channel = require_channel_offset(kernel_, "destination_feature_channel_offset",
                                              properties_.destination_feature_channel_offset);
}

void EncodingBuilder::place_source(std::size_t source) {
    ImageRegion range =
        readable(kernel_, sources_, source, properties_.sources[source], options_.any_source_channel);
    if (options_.whole_images) {
        ranges_.push_back(range);
        return;
    }
    if (written_.images > range.images)
        refuse(ErrorKind::parameter,
               concat({property_name(source, sources_.size(), "offset"),
                       ".z and the images written must stay within the ", sources_[source].number_of_images,
                       " images of the source, got ", range.image, " and ", written_.images}));
    range.images = written_.images;
    ranges_.push_back(range);
}

int EncodingBuilder::add_source(std::size_t source, const ImageRegion &region) {
    inputs_.push_back({source, region});
    return -static_cast<int>(inputs_.size());
}

int EncodingBuilder::statistics(std::int64_t channels) {
    return add_source(EncodedSource::statistics, statistics_region(written_.images, channels));
}

int EncodingBuilder::everything(std::size_t source) {
    const ImageDescriptor &image = sources_[source];
    const ImageRegion region{
        0, 0, 0, 0, image.number_of_images, image.height, image.width, image.feature_channels};
    return add_source(source, region);
}

int EncodingBuilder::tensor(std::size_t source) {
    const int value = everything(source);
    inputs_.back().variable = inputs_.back().region.shape();
    return value;
}

int EncodingBuilder::row(std::size_t source) {
    const int value = everything(source);
    inputs_.back().variable = Shape{1, sources_[source].feature_channels};
    return value;
}

int EncodingBuilder::destination(std::int64_t channels) {
    return add_source(EncodedSource::destination, written(channels));
}

int EncodingBuilder::numbers(std::vector<float> values, const Shape &shape) {
    inputs_.push_back({EncodedSource::numbers, {}, shape, std::move(values)});
    return -static_cast<int>(inputs_.size());
}

int EncodingBuilder::weight(std::string role, const Shape &shape) {
    inputs_.push_back({EncodedSource::weight, {}, shape, {}, std::move(role)});
    return -static_cast<int>(inputs_.size());
}

int EncodingBuilder::statistics_of_batch(std::int64_t channels) {
    const int value = add_source(EncodedSource::statistics, statistics_region(1, channels));
    inputs_.back().variable = inputs_.back().region.shape();
    return value;
}

void EncodingBuilder::differentiate(int gradient, int wanted, std::vector<ops::Operation> then) {
    derivative_ = EncodedDerivative{gradient, wanted, std::move(then)};
}

int EncodingBuilder::whole(std::size_t source) { return add_source(source, ranges_[source]); }

int EncodingBuilder::pixels(std::size_t source, std::int64_t stride_x, std::int64_t stride_y) {
    const Offset &offset = properties_.sources[source].offset;
    ImageRegion region = ranges_[source];
    const std::int64_t width = (written_.width - 1) * stride_x + 1;
    const std::int64_t height = (written_.height - 1) * stride_y + 1;
    const bool inside = offset.x >= 0 && width <= region.width - offset.x && offset.y >= 0 &&
                        height <= region.height - offset.y;
    if (!inside) {
        ops::Padding border;
        border.top = -offset.y;
        border.bottom = offset.y + height - region.height;
        border.left = -offset.x;
        border.right = offset.x + width - region.width;
        return bordered(std::move(border), source);
    }
    region.x = offset.x;
    region.y = offset.y;
    region.width = width;
    region.height = height;
    return add_source(source, region);
}

int EncodingBuilder::part(const ClipRect &clip, ImageSize &size, std::size_t source) {
    ImageRegion region = ranges_[source];
    const auto inside = [&](const char *axis, std::int64_t begin, std::int64_t wanted, std::int64_t extent) {
        const std::int64_t found = begin < 0 ? 0 : std::min(wanted, extent - std::min(begin, extent));
        if (found < 1)
            refuse(ErrorKind::parameter,
                   concat({"the source's clip rectangle leaves no ", axis, " of the source: it begins at ",
                           begin, " and takes ", wanted, " of ", extent}));
        return found;
    };
    region.x = clip.origin.x;
    region.y = clip.origin.y;
    region.width = size.width = inside("columns", clip.origin.x, clip.width, region.width);
    region.height = size.height = inside("rows", clip.origin.y, clip.height, region.height);
    return add_source(source, region);
}

void EncodingBuilder::require_written(const ImageSize &size, const char *why) const {
    if (written_.width != size.width || written_.height != size.height)
        refuse(ErrorKind::shape,
               concat({why, ": ", size.width, " x ", size.height, "; ",
                       options_.is_gradient ? "its gradient has " : "clip_rect and destination take ",
                       written_.width, " x ", written_.height}));
}

void EncodingBuilder::read_channels(std::int64_t count, std::size_t source) {
    if (channels(source) < count)
        refuse(ErrorKind::shape, concat({"the source must have ", count,
                                         " feature channels behind its offset, got ", channels(source)}));
    ranges_[source].channels = count;
}

int EncodingBuilder::add(ops::Operation operation, std::vector<int> inputs, std::vector<WeightUse> weights,
                         std::optional<ops::Neuron> activation) {
    nodes_.push_back({std::move(operation), std::move(inputs), activation, std::move(weights)});
    return static_cast<int>(nodes_.size()) - 1;
}

ops::Window EncodingBuilder::place(ops::Window taps, ImageSize result, std::size_t source) const {
    const SourceProperties &given = properties_.sources[source];
    const ops::WindowAxis rows = ops::placed_window({taps.kernel_height, taps.stride_y, taps.dilation_y},
                                                    given.offset.y, result.height, sources_[source].height);
    const ops::WindowAxis columns = ops::placed_window({taps.kernel_width, taps.stride_x, taps.dilation_x},
                                                       given.offset.x, result.width, sources_[source].width);
    taps.padding = ops::PaddingPolicy::explicit_;
    taps.pad_top = rows.before;
    taps.pad_bottom = rows.after;
    taps.pad_left = columns.before;
    taps.pad_right = columns.after;
    return taps;
}

int EncodingBuilder::bordered(ops::Padding border, std::size_t source) {
    if (properties_.sources[source].edge_mode == EdgeMode::clamp) border.mode = ops::PaddingMode::clamp;
    const int image = whole(source);
    return add(std::move(border), {image});
}

int EncodingBuilder::cut(int value, ImageSize size) {
    if (size.width == written_.width && size.height == written_.height) return value;
    ops::Padding rest;
    rest.bottom = written_.height - size.height;
    rest.right = written_.width - size.width;
    return add(std::move(rest), {value});
}

void EncodingBuilder::require_no_offset(const char *why) const {
    const Offset &offset = properties_.sources[0].offset;
    if (offset.x != 0 || offset.y != 0)
        refuse(ErrorKind::parameter,
               concat({options_.is_gradient ? "primary_offset, secondary_offset and kernel offsets must make "
                                              "an offset (0, 0, z) of the forward kernel: "
                                            : "offset must be (0, 0, z): ",
                       why, ", got (", offset.x, ", ", offset.y, ", ", offset.z, ")"}));
}

int EncodingBuilder::widened(ops::Window &window, std::size_t source) {
    const bool inside = std::max({window.pad_top, window.pad_bottom, window.pad_left, window.pad_right}) <= 0;
    if (inside || properties_.sources[source].edge_mode == EdgeMode::zero) return whole(source);
    ops::Padding border;
    border.top = std::exchange(window.pad_top, 0);
    border.bottom = std::exchange(window.pad_bottom, 0);
    border.left = std::exchange(window.pad_left, 0);
    border.right = std::exchange(window.pad_right, 0);
    return bordered(std::move(border), source);
}

int EncodingBuilder::add_neuron(const std::optional<ops::Neuron> &neuron, int value, std::int64_t channels) {
    if (!neuron || neuron->kind == ops::NeuronKind::none) return value;
    std::vector<WeightUse> uses;
    if (neuron->kind == ops::NeuronKind::prelu) uses = {{"slope", NeuronDescriptor::data_role, {channels}}};
    return add(*neuron, {value}, std::move(uses));
}

ImageRegion EncodingBuilder::written(std::int64_t channels) const {
    if (channels > destination_channels_ - written_.channel)
        refuse(ErrorKind::shape,
               concat({"the destination must have at least ", written_.channel + channels,
                       " feature channels (", channels, " behind destination_feature_channel_offset ",
                       written_.channel, "), got ", destination_channels_}));
    ImageRegion region = written_;
    region.channels = channels;
    return region;
}

Encoding EncodingBuilder::finish(std::int64_t channels) && {
    const int sources = static_cast<int>(inputs_.size());
    const auto number = [&](int &value) { value = value < 0 ? -1 - value : sources + value; };
    for (EncodedNode &node : nodes_) {
        for (int &value : node.inputs) number(value);
        for (auto &[role, value] : node.variables) number(value);
    }
    if (derivative_) {
        number(derivative_->gradient);
        number(derivative_->wanted);
    }
    return {std::move(inputs_), std::move(nodes_), written(channels), std::move(derivative_)};
}

} // namespace mpscnn::kernels
