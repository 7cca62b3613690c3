#include "vision/pixel_writer.h"

#include "vision/row_kernels.h"

namespace mpscnn::vision {

namespace {

Float4 swapped(Float4 color) { return Float4{color[2], color[1], color[0], color[3]}; }

Float4 vector_of(const std::array<float, 3> &values) { return Float4{values[0], values[1], values[2], 0.0f}; }

} // namespace

PixelWriter::PixelWriter(const ImageView &image, const Preprocess &options)
    : kind_(format_info(image.format).chroma != ChromaPlanes::none ? Kind::yuv
            : format_info(image.format).colors == 1                ? Kind::gray
                                                                   : Kind::color),
      swap_to_rgb_(format_info(image.format).blue_first), bgr_(options.order == ChannelOrder::bgr),
      channels_(options.channels()), yuv_(yuv_to_rgb(image.chroma.matrix, image.chroma.range)) {
    // The factors that scale samples to 0..255, or their inverses, are integers. So the largest sample
    // becomes exactly 255.
    const SampleType sample = format_info(image.format).sample;
    if (sample == SampleType::uint16) range_divisor_ = 257.0f;
    if (sample == SampleType::float16 || sample == SampleType::float32) range_factor_ = 255.0f;
    mean_ = vector_of(options.mean);
    scale_ = vector_of(options.scale);
    bar_ = vector_of(options.letterbox_value);
    if (bgr_) {
        mean_ = swapped(mean_);
        scale_ = swapped(scale_);
        bar_ = swapped(bar_);
    }
}

PixelWriter::FromYuv::FromYuv(const YuvToRgb &conversion)
    : black(conversion.black), luma_factor(conversion.luma_factor),
      blue_factors(vector_of(conversion.blue_factors)), red_factors(vector_of(conversion.red_factors)) {}

Float4 PixelWriter::FromYuv::rgb(float luma, float blue, float red) const {
    const Float4 color = splat((luma - black) * luma_factor) + splat(blue - 128.0f) * blue_factors +
                         splat(red - 128.0f) * red_factors;
    return minimum(maximum(color, splat(0.0f)), splat(255.0f));
}

float PixelWriter::luma(Float4 rgb) const { return 0.299f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2]; }

/// Write pixels with a function `color(i)` that returns red, green and blue of pixel i in the photo's units.
template <class Color>
void PixelWriter::write_pixels(Color color, std::size_t count, float *out, std::ptrdiff_t pitch) const {
    // Copy the members, because the compiler would read them again after every store.
    const Float4 factor = splat(range_factor_), divisor = splat(range_divisor_), mean = mean_, scale = scale_;
    const bool divides = range_divisor_ != 1.0f, bgr = bgr_;
    const auto normalised = [=](Float4 x) {
        x = x * factor;
        if (divides) x = x / divisor;
        return (x - mean) * scale;
    };
    if (channels_ == 1) {
        for (std::size_t i = 0; i < count; ++i, out += pitch) {
            const Float4 pixel = color(i);
            *out = normalised(splat(kind_ == Kind::gray ? pixel[0] : luma(pixel)))[0];
        }
        return;
    }
    std::size_t i = 0;
    const auto pixel = [&](std::size_t index) {
        const Float4 rgb = color(index);
        return normalised(bgr ? swapped(rgb) : rgb);
    };
    if (pitch == 3) // store whole vectors, because the next pixel overwrites the last lane
        for (; i + 1 < count; ++i, out += 3) store(out, pixel(i));
    for (; i < count; ++i, out += pitch) store_partial(out, pixel(i), 3);
}

/// True if each sample of a row becomes one output at the same position.
bool PixelWriter::keeps_samples(const ResizedSamples &color, std::ptrdiff_t pitch) const {
    return kind_ == Kind::color && channels_ == 3 && swap_to_rgb_ == bgr_ && range_divisor_ == 1.0f &&
           color.pitch == 3 && pitch == 3;
}

/// Write pixels as groups of three vectors, which hold four pixels. Return the number of pixels written;
/// fewer than four of `count` remain.
std::size_t PixelWriter::write_whole_vectors(const float *samples, std::size_t count, float *out) const {
    const Float4 factor = splat(range_factor_), mean = mean_, scale = scale_;
    const auto repeated = [](Float4 x) {
        return std::array{Float4{x[0], x[1], x[2], x[0]}, Float4{x[1], x[2], x[0], x[1]},
                          Float4{x[2], x[0], x[1], x[2]}};
    };
    const std::array means = repeated(mean), scales = repeated(scale);
    const std::size_t whole = count / lanes * lanes;
    for (std::size_t i = 0; i < 3 * whole; i += 3 * lanes)
#pragma GCC unroll 3
        for (std::size_t v = 0; v < 3; ++v)
            store(out + i + v * lanes, (load(samples + i + v * lanes) * factor - means[v]) * scales[v]);
    return whole;
}

void PixelWriter::write(const ResizedRow &row, std::size_t count, float *out, std::ptrdiff_t pitch) const {
    ResizedSamples color = row.color;
    const ResizedSamples blue = row.blue, red = row.red;
    if (keeps_samples(color, pitch)) {
        const std::size_t written = write_whole_vectors(color.first, count, out);
        color.first += 3 * written;
        out += 3 * written;
        count -= written;
    }
    switch (kind_) {
    case Kind::gray:
        return write_pixels([=](std::size_t i) { return splat(*color.at(i)); }, count, out, pitch);
    case Kind::color:
        if (swap_to_rgb_)
            return write_pixels([=](std::size_t i) { return swapped(load(color.at(i))); }, count, out, pitch);
        return write_pixels([=](std::size_t i) { return load(color.at(i)); }, count, out, pitch);
    case Kind::yuv:
        return write_pixels(
            [=, yuv = yuv_](std::size_t i) { return yuv.rgb(*color.at(i), *blue.at(i), *red.at(i)); }, count,
            out, pitch);
    }
}

void PixelWriter::write_bar(float *out) const {
    store_partial(out, (bar_ - mean_) * scale_, static_cast<std::size_t>(channels_));
}

} // namespace mpscnn::vision
