#include "kernels/arithmetic_gradient.h"

#include "core/text.h"

namespace mpscnn::kernels {

void ArithmeticGradient::check(const std::string &kernel) const {
    forward.check(kernel);
    const ops::Arithmetic &p = forward.parameters;
    const std::initializer_list<std::pair<const char *, std::int64_t>> strides{
        {"primary_stride_x", p.primary_stride_x},
        {"primary_stride_y", p.primary_stride_y},
        {"secondary_stride_x", p.secondary_stride_x},
        {"secondary_stride_y", p.secondary_stride_y}};
    for (const auto &[name, stride] : strides)
        if (stride > 1) fail(ErrorKind::parameter, {kernel, ": ", name, " must be 0 or 1, got ", stride});
}

std::int64_t ArithmeticGradient::output_channels(ChannelCounts sources) const {
    const ops::Arithmetic &p = forward.parameters;
    return own(p.primary_stride_channels, p.secondary_stride_channels) == 0 ? 1 : sources[0];
}

ImageSize ArithmeticGradient::destination_size(std::span<const ImageDescriptor> sources) const {
    const ops::Arithmetic &p = forward.parameters;
    return {own(p.primary_stride_x, p.secondary_stride_x) == 0 ? 1 : sources[0].width,
            own(p.primary_stride_y, p.secondary_stride_y) == 0 ? 1 : sources[0].height};
}

int ArithmeticGradient::build(EncodingBuilder &builder) const {
    const ops::Arithmetic &p = forward.parameters;
    const auto others = [&](std::int64_t primary, std::int64_t secondary) {
        return is_secondary_source_filter ? primary : secondary;
    };
    const std::int64_t other_channels = others(p.primary_stride_channels, p.secondary_stride_channels);
    if (other_channels == 0)
        builder.read_channels(1, 1);
    else
        builder.read_channels(builder.channels(0), 1);
    // Along an axis where the operand is broadcast, read the whole gradient, because it is summed there.
    const auto extent = [](std::int64_t stride, std::int64_t written) {
        return stride == 0 ? ClipRect::unbounded : written;
    };
    const std::int64_t own_x = own(p.primary_stride_x, p.secondary_stride_x),
                       own_y = own(p.primary_stride_y, p.secondary_stride_y);
    if ((own_x == 0 && builder.width() != 1) || (own_y == 0 && builder.height() != 1))
        builder.refuse(ErrorKind::shape,
                       concat({"one pixel stands for a whole axis; clip_rect and destination take ",
                               builder.width(), " x ", builder.height()}));
    const auto part = [&](std::size_t source, ImageSize wanted, ImageSize &size) {
        const Offset &from = builder.properties().sources[source].offset;
        const int value = builder.part({from, wanted.width, wanted.height}, size, source);
        if ((wanted.width != ClipRect::unbounded && size.width != wanted.width) ||
            (wanted.height != ClipRect::unbounded && size.height != wanted.height))
            builder.refuse(ErrorKind::shape,
                           concat({source == 0 ? "the gradient" : "the other operand", " has ", size.width,
                                   " x ", size.height, " pixels behind its offset, needed are ", wanted.width,
                                   " x ", wanted.height}));
        return value;
    };
    ImageSize size{}, other_size{};
    const int gradient = part(0, {extent(own_x, builder.width()), extent(own_y, builder.height())}, size);
    const std::int64_t other_x = others(p.primary_stride_x, p.secondary_stride_x),
                       other_y = others(p.primary_stride_y, p.secondary_stride_y);
    const int other = part(1, {other_x == 0 ? 1 : size.width, other_y == 0 ? 1 : size.height}, other_size);
    const std::int64_t counts[] = {builder.channels(0), builder.channels(1)};
    const int operand = builder.destination(output_channels(counts));
    const auto add = [&](auto operation) {
        static_cast<ops::Arithmetic &>(operation) = p;
        operation.minimum = ops::Arithmetic{}.minimum; // limits apply to the gradient, after it is computed
        operation.maximum = ops::Arithmetic{}.maximum;
        return is_secondary_source_filter ? builder.add(operation, {other, operand})
                                          : builder.add(operation, {operand, other});
    };
    std::vector<ops::Operation> then;
    if (p.has_minimum() || p.has_maximum())
        then.emplace_back(ops::Neuron{.kind = ops::NeuronKind::clamp, .a = p.minimum, .b = p.maximum});
    builder.differentiate(gradient, operand, std::move(then));
    switch (forward.kind) {
#define MPSCNN_ARITHMETIC(NAME, TYPE, SUMMARY)                                                               \
    case ops::ArithmeticKind::NAME:                                                                          \
        return add(ops::TYPE{});
        FOR_EACH_ARITHMETIC(MPSCNN_ARITHMETIC)
#undef MPSCNN_ARITHMETIC
    }
    fail(ErrorKind::parameter, "unknown elementwise operation");
}

} // namespace mpscnn::kernels
