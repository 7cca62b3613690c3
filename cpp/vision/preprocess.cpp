#include "vision/preprocess.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "core/error.h"
#include "vision/digit.h"
#include "vision/row_sums.h"

namespace mpscnn::vision {

namespace {

/// One axis of the photo as seen, and the first output that it fills (letterbox bars come before).
struct Placement {
    Axis axis;
    int first_output;
};

struct Layout {
    Placement across, down;
};

struct Output {
    float *data;
    std::ptrdiff_t pixel_pitch, row_pitch;
};

void check_output_size(int height, int width) {
    if (height < 1 || width < 1 || height > largest_output_side || width > largest_output_side)
        fail(ErrorKind::shape, "preprocess: output height x width is " + std::to_string(height) + "x" +
                                   std::to_string(width) + ", each must be 1.." +
                                   std::to_string(largest_output_side));
}

void check_output(const Preprocess &options, int width, int channels, const Output &output) {
    if (channels != 1 && channels != 3)
        fail(ErrorKind::shape,
             "preprocess: output has " + std::to_string(channels) + " channels, expected 1 (gray) or 3");
    if (channels != options.channels())
        fail(ErrorKind::parameter, "preprocess: output has " + std::to_string(channels) +
                                       " channels, the channel order makes " +
                                       std::to_string(options.channels()));
    if (output.data == nullptr) fail(ErrorKind::parameter, "preprocess: the output pointer is null");
    if (output.pixel_pitch < channels || output.row_pitch / width < output.pixel_pitch)
        fail(ErrorKind::shape, "preprocess: pixel_pitch " + std::to_string(output.pixel_pitch) +
                                   " and row_pitch " + std::to_string(output.row_pitch) +
                                   " do not hold rows of " + std::to_string(width) + " pixels of " +
                                   std::to_string(channels) + " channels");
}

void check_normalisation(float value, const char *name) {
    if (!std::isfinite(value))
        fail(ErrorKind::parameter, std::string("preprocess: ") + name + " is " + std::to_string(value) +
                                       ", expected a finite number");
}

/// Where a character lies and what it is resampled with follow from MNIST, not from options.
void check_digit(const Preprocess &options) {
    if (options.fit != Fit::digit) return;
    if (options.order != ChannelOrder::gray || options.filter != Filter::bilinear_antialias ||
        options.crop_fraction != 1.0)
        fail(ErrorKind::parameter, "preprocess: fit 'digit' goes with order 'gray', filter "
                                   "'bilinear_antialias' and crop_fraction 1 only");
}

Axis centred_axis(int inputs, double extent, int outputs) {
    return {inputs, (inputs - extent) / 2, extent, outputs};
}

/// round(length * numerator / denominator), at least 1. The arguments are below 2^31 and 2^14 and above 0.
int scaled_length(int length, int numerator, int denominator) {
    const std::int64_t product = std::int64_t{length} * numerator;
    return static_cast<int>(std::max<std::int64_t>(1, (2 * product + denominator) / (2LL * denominator)));
}

Layout lay_out(const ImageView &image, const Preprocess &options, int out_height, int out_width) {
    const int width = image.oriented_width(), height = image.oriented_height();
    // Wider or narrower than the output: width / height against out_width / out_height.
    const std::int64_t wide = std::int64_t{width} * out_height, narrow = std::int64_t{height} * out_width;
    double used_width = width, used_height = height;
    int inner_width = out_width, inner_height = out_height;
    if (options.fit == Fit::center_crop && wide > narrow)
        used_width = static_cast<double>(narrow) / out_height;
    else if (options.fit == Fit::center_crop)
        used_height = static_cast<double>(wide) / out_width;
    else if (options.fit == Fit::letterbox && wide > narrow)
        inner_height = scaled_length(height, out_width, width);
    else if (options.fit == Fit::letterbox)
        inner_width = scaled_length(width, out_height, height);
    return {
        {centred_axis(width, used_width * options.crop_fraction, inner_width), (out_width - inner_width) / 2},
        {centred_axis(height, used_height * options.crop_fraction, inner_height),
         (out_height - inner_height) / 2}};
}

/// From the resampled colours of a photo's pixel to the output's channels.
class PixelWriter {
public:
    PixelWriter(const FormatInfo &format, const Preprocess &options)
        : colors_(format.colors), blue_first_(format.blue_first),
          luma_(format.colors == 3 && options.order == ChannelOrder::gray), channels_(options.channels()) {
        // Whole numbers, so that the largest sample becomes exactly 255.
        if (format.sample == SampleType::uint16) range_divisor_ = 257.0f;
        if (format.sample == SampleType::float32) range_factor_ = 255.0f;
        for (int i = 0; i < channels_; ++i) {
            const int color = options.order == ChannelOrder::bgr ? 2 - i : i;
            const auto index = static_cast<std::size_t>(color);
            const int source = colors_ == 1 ? 0 : blue_first_ ? 2 - color : color;
            channel_[static_cast<std::size_t>(i)] = {source, options.mean[index], options.scale[index]};
        }
    }

    /// `pixels`: interleaved colours; written to out, out + pitch, ...
    void write(const float *pixels, int count, float *out, std::ptrdiff_t pitch) const {
        for (int i = 0; i < count; ++i, pixels += colors_, out += pitch) {
            if (luma_)
                *out = normalise(luma(pixels), channel_[0]);
            else
                for (int c = 0; c < channels_; ++c) {
                    const Channel &channel = channel_[static_cast<std::size_t>(c)];
                    out[c] = normalise(pixels[channel.source], channel);
                }
        }
    }

    /// One output pixel of a letterbox bar; `value` is in 0..255.
    void write_bar(float value, float *out) const {
        for (int c = 0; c < channels_; ++c) {
            const Channel &channel = channel_[static_cast<std::size_t>(c)];
            out[c] = (value - channel.mean) * channel.scale;
        }
    }

private:
    struct Channel {
        int source;
        float mean, scale;
    };

    float luma(const float *pixel) const {
        const float red = pixel[blue_first_ ? 2 : 0], blue = pixel[blue_first_ ? 0 : 2];
        return 0.299f * red + 0.587f * pixel[1] + 0.114f * blue;
    }

    float normalise(float sample, const Channel &channel) const {
        return (sample * range_factor_ / range_divisor_ - channel.mean) * channel.scale;
    }

    int colors_;
    bool blue_first_, luma_;
    int channels_;
    float range_factor_ = 1.0f, range_divisor_ = 1.0f;
    std::array<Channel, 3> channel_{};
};

void fill_with_bars(const PixelWriter &writer, float value, int height, int width, const Output &output) {
    for (int row = 0; row < height; ++row)
        for (int column = 0; column < width; ++column)
            writer.write_bar(value, output.data + row * output.row_pitch + column * output.pixel_pitch);
}

/// Works in the stored photo's coordinates, whose rows and columns the orientation leads to other places of
/// the output: the photo is read in the order of its memory whatever its orientation.
void resize(const ImageView &image, const Layout &layout, Filter filter, const PixelWriter &writer,
            const Output &output) {
    float *const first = output.data + layout.across.first_output * output.pixel_pitch +
                         layout.down.first_output * output.row_pitch;
    const Axis &columns = image.transposed() ? layout.down.axis : layout.across.axis;
    const Axis &rows = image.transposed() ? layout.across.axis : layout.down.axis;
    const std::ptrdiff_t column_pitch = image.transposed() ? output.row_pitch : output.pixel_pitch;
    const std::ptrdiff_t row_pitch = image.transposed() ? output.pixel_pitch : output.row_pitch;

    const TapTable column_taps(columns, filter, image.columns_reversed());
    RowSums row_sums(image, column_taps.first_input(), column_taps.end_input());
    const int colors = format_info(image.format).colors;
    std::vector<float> pixels(static_cast<std::size_t>(columns.outputs) * static_cast<std::size_t>(colors));
    Taps taps;
    for (int row = 0; row < rows.outputs; ++row) {
        compute_taps(rows, filter, row, taps);
        if (image.rows_reversed()) mirror(rows, taps);
        column_taps.resample(row_sums.sum(taps), colors, pixels.data());
        writer.write(pixels.data(), columns.outputs, first + row * row_pitch, column_pitch);
    }
}

/// More are not needed to find a character and to draw its strokes.
constexpr double most_gray_pixels = 1 << 20;

/// The photo as seen, in 0..255, made smaller where it is large.
GrayPlane gray_plane(const ImageView &image) {
    const double width = image.oriented_width(), height = image.oriented_height();
    const double reduction = std::max({1.0, std::sqrt(width / most_gray_pixels * height),
                                       width / largest_output_side, height / largest_output_side});
    const auto reduced = [&](double side) {
        return std::max(1, static_cast<int>(std::lround(side / reduction)));
    };
    GrayPlane plane(reduced(width), reduced(height));
    Preprocess gray;
    gray.order = ChannelOrder::gray;
    preprocess(image, gray, plane.height, plane.width, 1, plane.values.data(), 1, plane.width);
    return plane;
}

void write_digit(const ImageView &image, const Preprocess &options, int height, int width,
                 const Output &output) {
    const std::vector<float> digit = placed_digit(gray_plane(image), height, width);
    for (int row = 0; row < height; ++row)
        for (int column = 0; column < width; ++column) {
            const auto index = static_cast<std::size_t>(row) * static_cast<std::size_t>(width) +
                               static_cast<std::size_t>(column);
            output.data[row * output.row_pitch + column * output.pixel_pitch] =
                (digit[index] - options.mean[0]) * options.scale[0];
        }
}

double pixels_per_output(const Axis &axis) { return axis.extent / axis.outputs; }

double offset(const Placement &placement) {
    return placement.axis.start - placement.first_output * pixels_per_output(placement.axis);
}

} // namespace

Preprocess Preprocess::named(std::string_view name, int channels) {
    if (channels != 1 && channels != 3)
        fail(ErrorKind::parameter,
             "preprocess: a network input of " + std::to_string(channels) + " channels, expected 1 or 3");
    Preprocess result;
    if (channels == 1) result.order = ChannelOrder::gray;
    if (name == "none") return result;
    if (name == "unit") {
        result.scale.fill(1.0f / 255.0f);
        return result;
    }
    if (name == "tensorflow") {
        result.mean.fill(127.5f);
        result.scale.fill(1.0f / 127.5f);
        return result;
    }
    if (name == "mnist" && channels == 1) {
        result.fit = Fit::digit;
        result.scale[0] = 1.0f / 255.0f;
        return result;
    }
    if (name == "mnist")
        fail(ErrorKind::parameter, "preprocessing 'mnist' is for 1 channel, got " + std::to_string(channels));
    if (name != "caffe" && name != "torch")
        fail(ErrorKind::parameter, "unknown preprocessing '" + std::string(name) +
                                       "', expected tensorflow, caffe, torch, unit, none or mnist");
    if (channels != 3)
        fail(ErrorKind::parameter,
             "preprocessing '" + std::string(name) +
                 "' is for 3 channels, a gray input takes tensorflow, unit, none or mnist");
    if (name == "caffe") {
        result.order = ChannelOrder::bgr;
        result.mean = {123.68f, 116.78f, 103.94f};
        result.scale.fill(0.017f);
    } else {
        // torchvision: (x / 255 - mean) / deviation.
        constexpr std::array<double, 3> mean{0.485, 0.456, 0.406}, deviation{0.229, 0.224, 0.225};
        for (std::size_t i = 0; i < 3; ++i) {
            result.mean[i] = static_cast<float>(255.0 * mean[i]);
            result.scale[i] = static_cast<float>(1.0 / (255.0 * deviation[i]));
        }
    }
    return result;
}

void check(const Preprocess &options) {
    if (options.fit < Fit::stretch || options.fit > Fit::digit)
        fail(ErrorKind::parameter,
             "preprocess: unknown fit number " + std::to_string(static_cast<int>(options.fit)));
    if (options.filter < Filter::bilinear_antialias || options.filter > Filter::nearest)
        fail(ErrorKind::parameter,
             "preprocess: unknown filter number " + std::to_string(static_cast<int>(options.filter)));
    if (options.order < ChannelOrder::rgb || options.order > ChannelOrder::gray)
        fail(ErrorKind::parameter,
             "preprocess: unknown channel order number " + std::to_string(static_cast<int>(options.order)));
    if (!(options.crop_fraction > 0.0 && options.crop_fraction <= 1.0))
        fail(ErrorKind::parameter, "preprocess: crop_fraction is " + std::to_string(options.crop_fraction) +
                                       ", expected above 0 and at most 1");
    check_digit(options);
    for (const float mean : options.mean) check_normalisation(mean, "mean");
    for (const float scale : options.scale) check_normalisation(scale, "scale");
    check_normalisation(options.letterbox_value, "letterbox_value");
}

Transform output_to_photo(const ImageView &image, const Preprocess &options, int out_height, int out_width) {
    check_image(image);
    check(options);
    check_output_size(out_height, out_width);
    if (options.fit == Fit::digit)
        fail(ErrorKind::parameter,
             "preprocess: with fit 'digit' the place in the photo depends on what it shows");
    const Layout layout = lay_out(image, options, out_height, out_width);
    return {pixels_per_output(layout.across.axis), pixels_per_output(layout.down.axis), offset(layout.across),
            offset(layout.down)};
}

void preprocess(const ImageView &image, const Preprocess &options, int out_height, int out_width,
                int out_channels, float *out, std::ptrdiff_t pixel_pitch, std::ptrdiff_t row_pitch) {
    const Output output{out, pixel_pitch, row_pitch};
    check_image(image);
    check(options);
    check_output_size(out_height, out_width);
    check_output(options, out_width, out_channels, output);

    if (options.fit == Fit::digit) return write_digit(image, options, out_height, out_width, output);
    const Layout layout = lay_out(image, options, out_height, out_width);
    const PixelWriter writer(format_info(image.format), options);
    if (options.fit == Fit::letterbox)
        fill_with_bars(writer, options.letterbox_value, out_height, out_width, output);
    resize(image, layout, options.filter, writer, output);
}

} // namespace mpscnn::vision
