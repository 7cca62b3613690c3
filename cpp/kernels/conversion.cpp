#include "kernels/conversion.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/text.h"

namespace mpscnn::kernels {

namespace {

/// The smallest alpha that premultiplied colours are divided by: the smallest normal number. It avoids 0 / 0
/// where alpha and colours are 0.
constexpr float min_alpha = 0x1p-126f;
/// The weights of linear red, green and blue in the luminance of sRGB, which has the primaries of ITU-R
/// BT.709.
constexpr float red_luminance = 0.2126f, green_luminance = 0.7152f, blue_luminance = 0.0722f;
constexpr float gray_gamma = 2.2f;

/// A transfer curve that is linear up to `limit` and a power beyond it (IEC 61966-2-1).
struct Curve {
    float limit, slope;           ///< slope * x up to the limit
    float scale, shift, exponent; ///< for x above the limit: (scale * x + shift)^exponent
    float factor, constant;       ///< then the power is multiplied by `factor`, and `constant` is added
};
constexpr Curve srgb_to_linear{0.04045f, 1.0f / 12.92f, 1.0f / 1.055f, 0.055f / 1.055f, 2.4f, 1.0f, 0.0f};
constexpr Curve linear_to_srgb{0.0031308f, 12.92f, 1.0f, 0.0f, 1.0f / 2.4f, 1.055f, -0.055f};

bool is_gray(ColorSpace space) {
    return space == ColorSpace::gray_gamma_2_2 || space == ColorSpace::linear_gray;
}
bool has_alpha(std::int64_t channels) { return channels % 2 == 0; }
std::int64_t colors_of(std::int64_t channels) { return has_alpha(channels) ? channels - 1 : channels; }

/// Builds the operations of one conversion.
class ConversionGraph {
public:
    /// Begin with a source that has this many colour channels.
    ConversionGraph(EncodingBuilder &builder, std::int64_t colors)
        : builder_(builder), colors_(colors), source_(builder.pixels()) {}

    int source() const { return source_; }
    int colors() { return colors_ < builder_.channels() ? part(source_, 0, colors_) : source_; }
    int alpha() {
        if (!alpha_) alpha_ = part(source_, colors_, 1);
        return *alpha_;
    }

    int add(ops::Operation operation, std::vector<int> inputs) {
        return builder_.add(std::move(operation), std::move(inputs));
    }
    int part(int value, std::int64_t front, std::int64_t channels) {
        return add(ops::Slice{.front = front, .channels = channels}, {value});
    }
    /// Return colours multiplied by alpha.
    int multiplied(int colors) {
        ops::Multiplication operation;
        operation.secondary_stride_channels = 0;
        return add(operation, {colors, alpha()});
    }
    int divided(int colors) {
        ops::Division operation;
        operation.secondary_stride_channels = 0;
        return add(operation, {colors, clamp_min(alpha(), min_alpha)});
    }
    int linear(int value, float factor, float constant) {
        return add(ops::Neuron{.kind = ops::NeuronKind::linear, .a = factor, .b = constant}, {value});
    }
    int power(int value, float scale, float shift, float exponent) {
        return add(ops::Neuron{.kind = ops::NeuronKind::power, .a = scale, .b = shift, .c = exponent},
                   {value});
    }
    int clamp_min(int value, float limit) {
        return add(
            ops::Neuron{.kind = ops::NeuronKind::clamp, .a = limit, .b = std::numeric_limits<float>::max()},
            {value});
    }
    /// Return premultiplied colours over a background: colours + (1 - alpha) * background.
    int over(int colors, const std::vector<double> &background);
    int curved(int value, const Curve &curve);
    int decoded(int colors, ColorSpace space);
    int encoded(int colors, ColorSpace space);
    /// Return the luminance of linear colours.
    int luminance(int colors);

private:
    EncodingBuilder &builder_;
    std::int64_t colors_;
    int source_;
    std::optional<int> alpha_;
};

int ConversionGraph::over(int colors, const std::vector<double> &background) {
    if (std::all_of(background.begin(), background.end(), [](double shade) { return shade == 0.0; }))
        return colors;
    std::vector<int> behind;
    for (const double number : background) {
        const auto shade = static_cast<float>(number);
        behind.push_back(linear(alpha(), -shade, shade));
    }
    return add(ops::Addition{}, {colors, add(ops::Concatenation{}, std::move(behind))});
}

int ConversionGraph::curved(int value, const Curve &curve) {
    const ops::Neuron positive{.kind = ops::NeuronKind::relu};
    const int beyond = add(positive, {linear(value, 1.0f, -curve.limit)});
    int upper = power(value, curve.scale, curve.shift, curve.exponent);
    if (curve.factor != 1.0f) upper = linear(upper, curve.factor, curve.constant);
    const int lower = linear(value, curve.slope, 0.0f);
    return add(ops::Addition{}, {add(ops::Mask{}, {beyond, upper}), add(ops::MaskOut{}, {beyond, lower})});
}

int ConversionGraph::decoded(int colors, ColorSpace space) {
    if (space == ColorSpace::srgb) return curved(colors, srgb_to_linear);
    if (space == ColorSpace::gray_gamma_2_2) return power(clamp_min(colors, 0.0f), 1.0f, 0.0f, gray_gamma);
    return colors;
}

int ConversionGraph::encoded(int colors, ColorSpace space) {
    if (space == ColorSpace::srgb) return curved(colors, linear_to_srgb);
    if (space == ColorSpace::gray_gamma_2_2)
        return power(clamp_min(colors, 0.0f), 1.0f, 0.0f, 1.0f / gray_gamma);
    return colors;
}

int ConversionGraph::luminance(int colors) {
    ops::Addition first, second;
    first.primary_scale = red_luminance;
    first.secondary_scale = green_luminance;
    second.secondary_scale = blue_luminance;
    const int both = add(first, {part(colors, 0, 1), part(colors, 1, 1)});
    return add(second, {both, part(colors, 2, 1)});
}

} // namespace

void Conversion::check(const std::string &kernel) const {
    if ((source_color_space == ColorSpace::none) != (destination_color_space == ColorSpace::none))
        fail(ErrorKind::parameter,
             {kernel, ": source_color_space and destination_color_space must be given both, or none, got ",
              ops::name_of(source_color_space), " and ", ops::name_of(destination_color_space)});
    for (const double value : background_color)
        if (!std::isfinite(static_cast<float>(value)))
            fail(ErrorKind::parameter, {kernel, ": background_color must be finite, got ", value});
}

std::int64_t Conversion::destination_colors(std::int64_t source_channels) const {
    if (destination_color_space == ColorSpace::none) return colors_of(source_channels);
    return is_gray(destination_color_space) ? 1 : 3;
}

std::int64_t Conversion::output_channels(ChannelCounts sources) const {
    return destination_colors(sources[0]) + (has_alpha(sources[0]) ? 1 : 0);
}

std::int64_t Conversion::written_channels(ChannelCounts sources, std::int64_t room) const {
    const std::int64_t colors = destination_colors(sources[0]);
    return room > colors ? colors + 1 : colors;
}

int Conversion::build(EncodingBuilder &builder) const {
    const std::int64_t channels = builder.channels();
    if (channels > 4)
        builder.refuse(ErrorKind::shape,
                       concat({"the source must have 1 to 4 feature channels (gray or RGB, and alpha), got ",
                               channels, ": source_feature_channel_max_count may choose"}));
    const std::int64_t colors = colors_of(channels);
    if (source_color_space != ColorSpace::none && colors != (is_gray(source_color_space) ? 1 : 3))
        builder.refuse(ErrorKind::shape, concat({"a source in ", ops::name_of(source_color_space), " has ",
                                                 is_gray(source_color_space) ? "1 or 2" : "3 or 4",
                                                 " feature channels, got ", channels}));
    if (!background_color.empty() && static_cast<std::int64_t>(background_color.size()) != colors)
        builder.refuse(ErrorKind::parameter,
                       concat({"background_color must have a number for each of the source's ", colors,
                               " colour channels, got ", background_color.size()}));
    const std::int64_t counts[] = {channels};
    const bool writes_alpha =
        written_channels(counts, builder.destination_channels()) > destination_colors(channels);
    if (!writes_alpha && destination_alpha != AlphaType::alpha_is_one)
        builder.refuse(ErrorKind::shape,
                       concat({"destination_alpha must be alpha_is_one for a destination of ",
                               builder.destination_channels(), " feature channels, which has no alpha, got ",
                               ops::name_of(destination_alpha)}));

    // An alpha that is always 1 is not read, because it changes nothing.
    const bool reads_alpha = has_alpha(channels) && source_alpha != AlphaType::alpha_is_one;
    const bool flattens = reads_alpha && destination_alpha == AlphaType::alpha_is_one;
    const bool wants_multiplied = reads_alpha && destination_alpha == AlphaType::premultiplied;
    const bool converts = source_color_space != destination_color_space;
    bool is_multiplied = reads_alpha && source_alpha == AlphaType::premultiplied;

    ConversionGraph graph(builder, colors);
    if (reads_alpha && !converts && source_alpha == destination_alpha)
        return graph.add(ops::Padding{}, {graph.source()}); // a padding without borders copies the source
    int value = graph.colors();
    if (flattens) {
        value = graph.over(is_multiplied ? value : graph.multiplied(value), background_color);
        is_multiplied = false;
    }
    if (is_multiplied) value = graph.divided(value);
    if (converts) {
        value = graph.decoded(value, source_color_space);
        if (is_gray(source_color_space) && !is_gray(destination_color_space))
            value = graph.add(ops::Tile{.channels = 3}, {value});
        if (!is_gray(source_color_space) && is_gray(destination_color_space)) value = graph.luminance(value);
        value = graph.encoded(value, destination_color_space);
    }
    if (wants_multiplied) value = graph.multiplied(value);
    if (!writes_alpha) return graph.add(ops::Padding{}, {value});
    if (flattens || !reads_alpha) return graph.add(ops::Padding{.back = 1, .value = 1.0f}, {value});
    return graph.add(ops::Concatenation{}, {value, graph.alpha()});
}

} // namespace mpscnn::kernels
