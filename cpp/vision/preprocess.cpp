#include "vision/preprocess.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/json.h"
#include "vision/columns_first.h"
#include "vision/digit_input.h"
#include "vision/pixel_writer.h"
#include "vision/placement.h"
#include "vision/plane_resampler.h"

namespace mpscnn::vision {

namespace {

struct Output {
    float *data;
    std::ptrdiff_t pixel_pitch, row_pitch;
};

void check_output_size(int height, int width) {
    if (height < 1 || width < 1 || height > largest_output_side || width > largest_output_side)
        fail(ErrorKind::shape, {"preprocess: output height x width is ", height, "x", width,
                                ", each must be 1..", largest_output_side});
}

void check_output(const Preprocess &options, int width, int channels, const Output &output) {
    if (channels != 1 && channels != 3)
        fail(ErrorKind::shape, {"preprocess: output has ", channels, " channels, expected 1 (gray) or 3"});
    if (channels != options.channels())
        fail(ErrorKind::parameter, {"preprocess: output has ", channels,
                                    " channels, the channel order makes ", options.channels()});
    if (output.data == nullptr) fail(ErrorKind::parameter, "preprocess: the output pointer is null");
    if (output.pixel_pitch < channels || output.row_pitch / width < output.pixel_pitch)
        fail(ErrorKind::shape,
             {"preprocess: pixel_pitch ", output.pixel_pitch, " and row_pitch ", output.row_pitch,
              " do not hold rows of ", width, " pixels of ", channels, " channels"});
}

void check_normalisation(float value, const char *name) {
    if (!std::isfinite(value))
        fail(ErrorKind::parameter, {"preprocess: ", name, " is ", value, ", expected a finite number"});
}

/// Throw an error for options that Fit::digit does not allow: MNIST determines the position and the filter.
void check_digit(const Preprocess &options) {
    if (options.fit != Fit::digit) return;
    if (options.order != ChannelOrder::gray || options.filter != Filter::bilinear_antialias ||
        options.crop_fraction != 1.0)
        fail(ErrorKind::parameter, "preprocess: fit 'digit' goes with order 'gray', filter "
                                   "'bilinear_antialias' and crop_fraction 1 only");
}

/// Throw an error for options that do not go with whole_pixels.
void check_whole_pixels(const Preprocess &options) {
    if (options.whole_pixels &&
        (options.fit == Fit::digit || options.letterbox_position != LetterboxPosition::center))
        fail(ErrorKind::parameter, "preprocess: whole_pixels does not go with fit 'digit' or "
                                   "letterbox_position 'top_left'");
}

void fill_with_bars(const PixelWriter &writer, int height, int width, const Output &output) {
    for (int row = 0; row < height; ++row)
        for (int column = 0; column < width; ++column)
            writer.write_bar(output.data + row * output.row_pitch + column * output.pixel_pitch);
}

/// True if a part of the output does not show the photo.
bool has_bars(const Placement &placement, int height, int width) {
    return placement.across.axis.outputs < width || placement.down.axis.outputs < height;
}

Plane plane_of(const ImageView &image, const void *samples, int per_pixel) {
    const FormatInfo &format = format_info(image.format);
    return {static_cast<const std::byte *>(samples),
            image.row_bytes,
            image.height,
            format.sample,
            per_pixel,
            format.alpha};
}

Plane chroma_plane(const ImageView &image, const void *samples, int per_pixel) {
    return {static_cast<const std::byte *>(samples),
            image.chroma.row_bytes,
            chroma_extent(image.height),
            SampleType::uint8,
            per_pixel,
            false};
}

/// Resizes all planes of a photo with one Resampler for each. Copies are independent, so each thread uses
/// one.
template <class Resampler> class Resizer {
public:
    static constexpr int band_rows = Resampler::band_rows;

    template <class... Limits>
    Resizer(const ImageView &image, const StoredAxis &columns, const StoredAxis &rows, Filter filter,
            Limits... limits)
        : chroma_(format_info(image.format).chroma) {
        planes_.reserve(3);
        planes_.emplace_back(plane_of(image, image.pixels, format_info(image.format).samples), columns, rows,
                             filter, limits...);
        if (chroma_ == ChromaPlanes::none) return;
        // Chroma is shifted along the rows of the stored photo only.
        const StoredAxis across{
            chroma_axis(columns.axis, chroma_shift(image.chroma.siting), columns.reversed), columns.reversed};
        const StoredAxis down{chroma_axis(rows.axis, 0.0, rows.reversed), rows.reversed};
        const int per_pixel = chroma_ == ChromaPlanes::interleaved ? 2 : 1;
        planes_.emplace_back(chroma_plane(image, image.chroma.blue, per_pixel), across, down, filter,
                             limits...);
        if (chroma_ == ChromaPlanes::separate)
            planes_.emplace_back(chroma_plane(image, image.chroma.red, per_pixel), across, down, filter,
                                 limits...);
    }

    void resample(int first, int count) {
        for (Resampler &plane : planes_) plane.resample(first, count);
    }

    ResizedRow row(int index) const {
        const ResizedSamples color = planes_[0].samples(index, 0);
        switch (chroma_) {
        case ChromaPlanes::none:
            return {color};
        case ChromaPlanes::interleaved:
            return {color, planes_[1].samples(index, 0), planes_[1].samples(index, 1)};
        case ChromaPlanes::separate:
            return {color, planes_[1].samples(index, 0), planes_[2].samples(index, 0)};
        }
        return {};
    }

private:
    ChromaPlanes chroma_;
    std::vector<Resampler> planes_;
};

/// The largest crop_fraction with whole_pixels. Above 1 the photo is smaller than the output, with bars.
constexpr double largest_crop_fraction = 16.0;

/// The number of output rows that a thread takes at a time.
constexpr std::int64_t rows_at_once = 28;

/// Resize a photo into its part of the output. The photo is always read in the order of its memory. The
/// orientation determines where the stored rows and columns are in the output.
void resize(const ImageView &image, const Placement &placement, Filter filter, const PixelWriter &writer,
            const Output &output, const WorkSharing &share) {
    float *const first = output.data + placement.across.first_output * output.pixel_pitch +
                         placement.down.first_output * output.row_pitch;
    const bool transposed = image.transposed();
    const StoredAxis columns{transposed ? placement.down.axis : placement.across.axis,
                             image.columns_reversed()};
    const StoredAxis rows{transposed ? placement.across.axis : placement.down.axis, image.rows_reversed()};
    const std::ptrdiff_t column_pitch = transposed ? output.row_pitch : output.pixel_pitch;
    const std::ptrdiff_t row_pitch = transposed ? output.pixel_pitch : output.row_pitch;

    const auto resize_with = [&](const auto &unused) {
        share(rows.axis.outputs, rows_at_once, [&](std::int64_t begin, std::int64_t end) {
            auto resizer = unused;
            for (std::int64_t row = begin; row < end; row += resizer.band_rows) {
                const auto count = static_cast<int>(std::min<std::int64_t>(resizer.band_rows, end - row));
                resizer.resample(static_cast<int>(row), count);
                for (int i = 0; i < count; ++i)
                    writer.write(resizer.row(i), static_cast<std::size_t>(columns.axis.outputs),
                                 first + (row + i) * row_pitch, column_pitch);
            }
        });
    };
    const bool limits_each = filter == Filter::bicubic_antialias;
    if (limits_each && columns_come_first(placement) != transposed)
        return resize_with(Resizer<ColumnsFirstResampler>(image, columns, rows, filter));
    resize_with(Resizer<PlaneResampler>(image, columns, rows, filter,
                                        Limits{.sums = limits_each, .results = overshoots(filter)}));
}

double pixels_per_output(const Axis &axis) { return axis.extent / axis.outputs; }

double offset(const AxisPlacement &placement) {
    return placement.axis.start - placement.first_output * pixels_per_output(placement.axis);
}

} // namespace

Preprocess Preprocess::named(std::string_view name, int channels) {
    if (channels != 1 && channels != 3)
        fail(ErrorKind::parameter,
             {"preprocess: a network input of ", channels, " channels, expected 1 or 3"});
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
        fail(ErrorKind::parameter, {"preprocessing 'mnist' is for 1 channel, got ", channels});
    if (name != "caffe" && name != "torch" && name != "torchvision")
        fail(ErrorKind::parameter, {"unknown preprocessing ", quoted(name),
                                    ", expected tensorflow, caffe, torch, torchvision, unit, none or mnist"});
    if (channels != 3)
        fail(ErrorKind::parameter,
             {"preprocessing '", name,
              "' is for 3 channels, a gray input takes tensorflow, unit, none or mnist"});
    if (name == "caffe") {
        result.order = ChannelOrder::bgr;
        result.mean = {123.68f, 116.78f, 103.94f};
        result.scale.fill(0.017f);
    } else {
        if (name == "torchvision") {
            result.fit = Fit::center_crop;
            result.crop_fraction = 0.875; // Resize(256), CenterCrop(224)
            result.whole_pixels = true;
        }
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
        fail(ErrorKind::parameter, {"preprocess: unknown fit number ", static_cast<int>(options.fit)});
    if (options.filter < Filter::bilinear_antialias || options.filter > Filter::bicubic)
        fail(ErrorKind::parameter, {"preprocess: unknown filter number ", static_cast<int>(options.filter)});
    if (options.order < ChannelOrder::rgb || options.order > ChannelOrder::gray)
        fail(ErrorKind::parameter,
             {"preprocess: unknown channel order number ", static_cast<int>(options.order)});
    const double largest = options.whole_pixels ? largest_crop_fraction : 1.0;
    if (!(options.crop_fraction > 0.0 && options.crop_fraction <= largest))
        fail(ErrorKind::parameter, {"preprocess: crop_fraction is ", options.crop_fraction,
                                    ", expected above 0 and at most ", largest});
    if (options.letterbox_position < LetterboxPosition::center ||
        options.letterbox_position > LetterboxPosition::top_left)
        fail(ErrorKind::parameter, {"preprocess: unknown letterbox position number ",
                                    static_cast<int>(options.letterbox_position)});
    check_digit(options);
    check_whole_pixels(options);
    for (const float mean : options.mean) check_normalisation(mean, "mean");
    for (const float scale : options.scale) check_normalisation(scale, "scale");
    for (const float value : options.letterbox_value) check_normalisation(value, "letterbox_value");
}

Transform output_to_photo(const ImageView &image, const Preprocess &options, int out_height, int out_width) {
    check_image(image);
    check(options);
    check_output_size(out_height, out_width);
    if (options.fit == Fit::digit)
        fail(ErrorKind::parameter,
             "preprocess: with fit 'digit' the place in the photo depends on what it shows");
    const Placement placement = place(image, options, out_height, out_width);
    return {pixels_per_output(placement.across.axis), pixels_per_output(placement.down.axis),
            offset(placement.across), offset(placement.down)};
}

void preprocess(const ImageView &image, const Preprocess &options, int out_height, int out_width,
                int out_channels, float *out, std::ptrdiff_t pixel_pitch, std::ptrdiff_t row_pitch,
                const WorkSharing &share) {
    const Output output{out, pixel_pitch, row_pitch};
    check_image(image);
    check(options);
    check_output_size(out_height, out_width);
    check_output(options, out_width, out_channels, output);

    if (options.fit == Fit::digit)
        return write_digit_input(image, options, out_height, out_width, out, pixel_pitch, row_pitch);
    const Placement placement = place(image, options, out_height, out_width);
    const PixelWriter writer(image, options);
    if (has_bars(placement, out_height, out_width)) fill_with_bars(writer, out_height, out_width, output);
    resize(image, placement, options.filter, writer, output, share);
}

} // namespace mpscnn::vision
