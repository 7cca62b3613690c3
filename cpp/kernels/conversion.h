#pragma once

#include "kernels/encoding.h"

namespace mpscnn::kernels {

/// The relation of the alpha channel to the colours, as in MPSAlphaType.
enum class AlphaType { non_premultiplied = 0, alpha_is_one = 1, premultiplied = 2 };

/// Colour spaces of CoreGraphics that conversions support. With `none`, colours stay unchanged.
enum class ColorSpace { none, srgb, linear_srgb, gray_gamma_2_2, linear_gray };

} // namespace mpscnn::kernels

namespace mpscnn::ops {

template <> struct EnumNames<kernels::AlphaType> {
    static constexpr std::array<std::pair<const char *, kernels::AlphaType>, 3> values{
        {{"non_premultiplied", kernels::AlphaType::non_premultiplied},
         {"alpha_is_one", kernels::AlphaType::alpha_is_one},
         {"premultiplied", kernels::AlphaType::premultiplied}}};
};

template <> struct EnumNames<kernels::ColorSpace> {
    static constexpr std::array<std::pair<const char *, kernels::ColorSpace>, 5> values{
        {{"none", kernels::ColorSpace::none},
         {"srgb", kernels::ColorSpace::srgb},
         {"linear_srgb", kernels::ColorSpace::linear_srgb},
         {"gray_gamma_2_2", kernels::ColorSpace::gray_gamma_2_2},
         {"linear_gray", kernels::ColorSpace::linear_gray}}};
};

} // namespace mpscnn::ops

namespace mpscnn::kernels {

/// MPSImageConversion. It converts alpha and colour space and, like every kernel, the format. An image's
/// first or first three channels are colours; a second or fourth one is alpha.
struct Conversion {
    AlphaType source_alpha = AlphaType::alpha_is_one, destination_alpha = AlphaType::alpha_is_one;
    std::vector<double> background_color;
    ColorSpace source_color_space = ColorSpace::none, destination_color_space = ColorSpace::none;

    template <class Visitor> void fixed(Visitor &visit) {
        visit("source_alpha", source_alpha,
              "meaning of the source's alpha, and whether its colours are multiplied by it");
        visit("destination_alpha", destination_alpha, "the same of the destination");
        visit("background_color", background_color,
              "behind the source where its alpha becomes one: in its colour space, a number for each colour "
              "channel; none: zeros");
        visit("source_color_space", source_color_space,
              "colour space of the source; none: colours are not converted");
        visit("destination_color_space", destination_color_space,
              "colour space of the destination, if the source has one");
    }
    template <class Visitor> void fields(Visitor &) {}

    void check(const std::string &kernel) const;
    ops::WeightSpecs weights() const { return {}; }
    /// Return the channels of a result that the kernel allocates. They include alpha if the source has it.
    std::int64_t output_channels(ChannelCounts sources) const;
    /// Return the channels that are written to a destination with room for `room` channels. Alpha is left out
    /// if it does not fit.
    std::int64_t written_channels(ChannelCounts sources, std::int64_t room) const;
    int build(EncodingBuilder &builder) const;

private:
    std::int64_t destination_colors(std::int64_t source_channels) const;
};

} // namespace mpscnn::kernels
