// Gradient kernels. Each builds the encoding of its forward kernel and differentiates it.

#include <algorithm>
#include <optional>
#include <utility>

#include "kernels/kernel.h"

namespace mpscnn::kernels {

namespace {

/// Reach (extent with dilation) and stride of a window along one axis.
struct Steps {
    std::int64_t reach = 1, stride = 1;
};

struct WindowSteps {
    Steps x, y;
};

WindowSteps steps_of(const Family &family) {
    return family.visit([]<class T>(const T &entry) -> WindowSteps {
        if constexpr (requires { entry.taps(); }) {
            const ops::Window taps = entry.taps();
            const ops::WindowAxis rows{taps.kernel_height, taps.stride_y, taps.dilation_y};
            const ops::WindowAxis columns{taps.kernel_width, taps.stride_x, taps.dilation_x};
            return {{columns.reach(), columns.stride}, {rows.reach(), rows.stride}};
        }
        return {};
    });
}

std::int64_t scale_of(const Family &family) {
    return family.visit([]<class T>(const T &entry) -> std::int64_t {
        if constexpr (requires { entry.sub_pixel_scale_factor; }) return entry.sub_pixel_scale_factor;
        return 1;
    });
}

/// Return the image region that holds a weight's gradient.
ImageRegion region_of(const Shape &weight) {
    ImageRegion region;
    region.channels = weight.back();
    if (weight.rank() == 4) {
        region.images = weight[0];
        region.height = weight[1];
        region.width = weight[2];
    }
    return region;
}

/// Make the weights of the nodes sources of the encoding, so that gradients can pass through them.
void make_variables(Encoding &encoding) {
    const int first = static_cast<int>(encoding.sources.size());
    for (EncodedNode &node : encoding.nodes)
        for (WeightUse &use : std::exchange(node.weights, {})) {
            node.variables.emplace_back(use.role, static_cast<int>(encoding.sources.size()));
            encoding.sources.push_back({EncodedSource::weight, {}, use.shape, {}, use.kernel_role});
        }
    // Add 1 for the gradient of the result, which becomes a source, too.
    const int more = static_cast<int>(encoding.sources.size()) - first + 1;
    for (EncodedNode &node : encoding.nodes)
        for (int &value : node.inputs)
            if (value >= first) value += more;
}

} // namespace

void Kernel::check_gradient() const {
    require_range(name(), "kernel_offset_x", properties.kernel_offset_x, -ops::largest_size);
    require_range(name(), "kernel_offset_y", properties.kernel_offset_y, -ops::largest_size);
    if (properties.gradient_of == KernelProperties::source_gradient) return;
    std::string known = KernelProperties::source_gradient;
    for (const ops::WeightSpec &spec : weights()) {
        if (spec.role == properties.gradient_of) return;
        known += ", " + spec.role;
    }
    fail(ErrorKind::parameter,
         {name(), ": gradient_of must be one of ", known, ", got ", quoted(properties.gradient_of)});
}

Family Kernel::forward_family(const ImageRegion &gradient) const {
    Family forward = family;
    if (auto *reshape = forward.get_if<Reshape>()) {
        reshape->reshaped_width = gradient.width;
        reshape->reshaped_height = gradient.height;
        reshape->reshaped_feature_channels = gradient.channels;
    }
    if (auto *transposed = forward.get_if<ConvolutionTranspose>()) {
        // The gradient of a transposed convolution's source is a strided convolution of the gradient of its
        // result. A window of even size reaches one pixel further to the left than to the right.
        const Offset &from = properties.sources[0].offset, &read = properties.sources[1].offset;
        const ImageSize reach = transposed->reach();
        transposed->kernel_offset_x =
            1 - reach.width % 2 - properties.kernel_offset_x - from.x + read.x * transposed->stride_x;
        transposed->kernel_offset_y =
            1 - reach.height % 2 - properties.kernel_offset_y - from.y + read.y * transposed->stride_y;
    }
    return forward;
}

Offset Kernel::forward_offset() const {
    if (family.is<ConvolutionTranspose>())
        // forward_family has put the offsets of x and y into the kernel offsets.
        return {0, 0, properties.sources[1].offset.z};
    const WindowSteps steps = steps_of(family);
    const Offset &from = properties.sources[0].offset, &read = properties.sources[1].offset;
    if (scale_of(family) != 1 && (from.x != 0 || from.y != 0))
        fail(ErrorKind::parameter,
             {name(), ": primary_offset must be (0, 0, z) for a sub-pixel convolution"});
    // A window of even size reaches one pixel further to the left than to the right.
    return {1 - steps.x.reach % 2 - properties.kernel_offset_x - from.x * steps.x.stride + read.x,
            1 - steps.y.reach % 2 - properties.kernel_offset_y - from.y * steps.y.stride + read.y, read.z};
}

Encoding Kernel::encode_gradient(std::span<const ImageDescriptor> sources,
                                 const ImageDescriptor &destination) const {
    const bool of_source = properties.gradient_of == KernelProperties::source_gradient;
    ImageRegion gradient = readable(name(), sources, 0, properties.sources[0], false);
    const ImageRegion image = readable(name(), sources, 1, properties.sources[1], any_edge_mode());
    const EncodingOptions options{any_edge_mode(), false, false, true};
    std::optional<EncodingBuilder> target; // the written region of the destination
    if (of_source) target.emplace(name(), properties, sources, destination, options);
    gradient.images = target ? target->images() : std::min(gradient.images, image.images);

    KernelProperties forward = properties;
    forward.sources[0] = properties.sources[1];
    forward.sources[0].offset = forward_offset();
    forward.clip_rect = {};
    forward.destination_feature_channel_offset = 0;
    ImageDescriptor result = sources[0];
    result.number_of_images = gradient.images;
    result.feature_channels = gradient.channels;
    EncodingBuilder builder(name(), forward, sources.subspan(1), result, options);
    const Family forward_kernel = forward_family(gradient);
    forward_kernel.visit([&](const auto &entry) { entry.build(builder); });
    const std::int64_t read[] = {builder.channels()};
    const std::int64_t channels =
        forward_kernel.visit([&](const auto &entry) { return entry.output_channels(read); });
    if (gradient.channels < channels)
        fail(ErrorKind::shape, {name(), ": the source gradient must have ", channels,
                                " feature channels behind its offset, got ", gradient.channels});
    gradient.channels = channels;
    Encoding encoding = std::move(builder).finish(channels);
    for (EncodedSource &source : encoding.sources) source.image = 1;

    make_variables(encoding);
    const int gradient_value = static_cast<int>(encoding.sources.size());
    encoding.sources.push_back({0, gradient});
    encoding.sources.back().is_flat = family.is<FullyConnected>();
    encoding.derivative = EncodedDerivative{gradient_value, 0, {}};
    if (!target) {
        for (std::size_t i = 0; i < encoding.sources.size(); ++i)
            if (encoding.sources[i].role == properties.gradient_of)
                encoding.derivative->wanted = static_cast<int>(i);
        encoding.destination = region_of(gradient_shape());
        ImageDescriptor given = destination, wanted = make_gradient_destination(sources);
        given.format = wanted.format;
        if (!(given == wanted))
            fail(ErrorKind::shape, {name(), ": the destination for ", properties.gradient_of, " must be ",
                                    wanted.text(), ", got ", destination.text()});
        return encoding;
    }
    const ImageRegion &from = encoding.sources[0].region;
    const Offset &origin = properties.sources[1].offset;
    ops::Padding place;
    place.top = from.y - origin.y;
    place.left = from.x - origin.x;
    place.bottom = origin.y + target->height() - (from.y + from.height);
    place.right = origin.x + target->width() - (from.x + from.width);
    if (place.top != 0 || place.left != 0 || place.bottom != 0 || place.right != 0)
        encoding.derivative->then.emplace_back(place);
    encoding.destination = target->written(from.channels);
    return encoding;
}

Shape Kernel::gradient_shape() const {
    for (const ops::WeightSpec &spec : weights()) {
        if (spec.role != properties.gradient_of) continue;
        const Shape &shape = spec.shape;
        const auto *convolution = family.get_if<Convolution>();
        const bool depthwise = convolution && convolution->depthwise && shape.rank() == 4;
        return depthwise ? Shape{shape[0] * shape[1], shape[2], shape[3], 1} : shape;
    }
    return {};
}

ImageDescriptor Kernel::make_gradient_destination(std::span<const ImageDescriptor> sources) const {
    const ImageRegion image = readable(name(), sources, 1, properties.sources[1], any_edge_mode());
    ImageDescriptor destination = sources[1];
    if (properties.gradient_of == KernelProperties::source_gradient) {
        destination.feature_channels = require_channel_offset(name(), "destination_feature_channel_offset",
                                                              properties.destination_feature_channel_offset) +
                                       image.channels;
        destination.number_of_images = image.images;
        return destination;
    }
    const ImageRegion region = region_of(gradient_shape());
    return {region.width, region.height, region.channels, region.images, ImageFormat::float32};
}

} // namespace mpscnn::kernels
