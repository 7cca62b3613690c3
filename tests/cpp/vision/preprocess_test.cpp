// Tests the preprocessing of photos in memory: strides, parts, limits, and exact results.
// tests/python/photos/ test_preprocess.py compares photos of every kind with the definition.

#include "vision/preprocess.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "tests/cpp/check.h"
#include "tests/cpp/vision/photo.h"

using namespace mpscnn::vision;
using mpscnn::ErrorKind;
using test::Photo;

namespace {

constexpr std::array all_filters{Filter::bilinear_antialias, Filter::bilinear, Filter::nearest,
                                 Filter::bicubic_antialias, Filter::bicubic};
constexpr std::array all_fits{Fit::stretch, Fit::center_crop, Fit::letterbox};

std::vector<float> run(const ImageView &image, const Preprocess &options, int height, int width) {
    const int channels = options.channels();
    std::vector<float> result(static_cast<std::size_t>(height * width * channels), -1e9f);
    preprocess(image, options, height, width, channels, result.data(), channels,
               std::ptrdiff_t{width} * channels);
    return result;
}

/// Return the largest difference; it is infinite if only one of two values is NaN.
double difference(const std::vector<float> &got, const std::vector<double> &expected) {
    double largest = got.size() == expected.size() ? 0.0 : HUGE_VAL;
    for (std::size_t i = 0; i < std::min(got.size(), expected.size()); ++i) {
        const double difference = std::abs(got[i] - expected[i]);
        largest = std::max(largest, std::isnan(difference) ? HUGE_VAL : difference);
    }
    return largest;
}

} // namespace

/// Torchvision: Resize(256), CenterCrop(224).
TEST(whole_pixels_are_those_of_torchvision) {
    const Photo photo(PixelFormat::gray8, 451, 300, 1);
    const Preprocess options = Preprocess::named("torchvision");
    const Transform transform = output_to_photo(photo.view(), options, 224, 224);
    // 451 x 300 becomes 384 x 256, of which the columns from 80 on and the rows from 16 on are taken.
    CHECK(std::abs(transform.photo_x(0) - 80 * (451.0 / 384)) < 1e-9);
    CHECK(std::abs(transform.photo_y(0) - 16 * (300.0 / 256)) < 1e-9);
    CHECK(std::abs(transform.photo_x(224) - 304 * (451.0 / 384)) < 1e-9);
    CHECK(std::abs(transform.photo_y(224) - 240 * (300.0 / 256)) < 1e-9);
}

TEST(the_photos_own_size_only_normalises) {
    for (int format = 0; format < test::plain_formats; ++format)
        for (int orientation = 1; orientation <= 8; ++orientation)
            for (const Filter filter : all_filters)
                for (const Fit fit : all_fits) {
                    const Photo photo(static_cast<PixelFormat>(format), 6, 4, orientation);
                    if (format_info(photo.view().format).alpha) continue;
                    Preprocess options = Preprocess::named("caffe");
                    options.filter = filter;
                    options.fit = fit;
                    const ImageView image = photo.view();
                    const auto got = run(image, options, image.oriented_height(), image.oriented_width());
                    bool exact = true;
                    std::size_t index = 0;
                    for (int y = 0; y < image.oriented_height(); ++y)
                        for (int x = 0; x < image.oriented_width(); ++x)
                            for (const std::size_t color : {2u, 1u, 0u}) {
                                const auto value = static_cast<float>(test::seen_color(image, x, y)[color]);
                                exact &= got[index++] == (value - options.mean[color]) * options.scale[color];
                            }
                    CHECK(exact);
                }
}

TEST(a_part_of_the_outputs_size_is_only_normalised) {
    for (int format = 0; format < test::plain_formats; ++format)
        for (int orientation = 1; orientation <= 8; ++orientation)
            for (const ChannelOrder order : {ChannelOrder::rgb, ChannelOrder::bgr}) {
                const Photo photo(static_cast<PixelFormat>(format), 13, 7, orientation);
                if (format_info(photo.view().format).alpha) continue;
                Preprocess options = Preprocess::named("torch");
                options.order = order;
                options.fit = Fit::center_crop;
                const ImageView image = photo.view();
                const auto got = run(image, options, 7, 7);
                bool exact = true;
                for (int i = 0; i < 7 * 7 * 3; ++i) {
                    const int x = i / 3 % 7 + (image.transposed() ? 0 : 3),
                              y = i / 21 + (image.transposed() ? 3 : 0);
                    const auto c = static_cast<std::size_t>(order == ChannelOrder::bgr ? 2 - i % 3 : i % 3);
                    const auto value = static_cast<float>(test::seen_color(image, x, y)[c]);
                    exact &= got[static_cast<std::size_t>(i)] == (value - options.mean[c]) * options.scale[c];
                }
                CHECK(exact);
            }
}

TEST(opaque_pixels_equal_those_without_alpha_and_clear_ones_are_white) {
    const Photo rgb(PixelFormat::rgb8, 8, 5, 1);
    Photo rgba(PixelFormat::rgba8, 8, 5, 1);
    for (int y = 0; y < 5; ++y)
        for (int x = 0; x < 8; ++x) {
            std::copy_n(rgb.pixel(x, y), 3, rgba.pixel(x, y));
            rgba.pixel(x, y)[3] = std::byte{255};
        }
    CHECK(run(rgba.view(), {}, 3, 4) == run(rgb.view(), {}, 3, 4));
    for (int y = 0; y < 5; ++y)
        for (int x = 0; x < 8; ++x) rgba.pixel(x, y)[3] = std::byte{0};
    CHECK(run(rgba.view(), {}, 5, 8) == std::vector<float>(5 * 8 * 3, 255.0f));
}

TEST(a_flat_photo_stays_flat) {
    const std::vector<std::uint8_t> pixels(37 * 23, 200);
    const ImageView image{pixels.data(), 37, 23, 37, PixelFormat::gray8, 1};
    for (const Filter filter : all_filters) {
        Preprocess options;
        options.filter = filter;
        options.order = ChannelOrder::gray;
        for (const float value : run(image, options, 5, 60)) CHECK(std::abs(value - 200.0f) < 1e-4f);
    }
}

TEST(row_padding_direction_and_alignment_do_not_matter) {
    for (int format = 0; format < test::plain_formats; ++format) {
        const Photo photo(static_cast<PixelFormat>(format), 11, 8, 1);
        const ImageView image = photo.view();

        const auto pixel_row = static_cast<std::size_t>(11 * format_info(image.format).pixel_bytes());
        std::vector<std::byte> bottom_up(8 * pixel_row + 1);
        for (int y = 0; y < 8; ++y)
            std::copy_n(photo.pixel(0, y), pixel_row,
                        bottom_up.data() + 1 + static_cast<std::size_t>(7 - y) * pixel_row);
        ImageView moved = image;
        moved.row_bytes = -static_cast<std::ptrdiff_t>(pixel_row);
        moved.pixels = bottom_up.data() + 1 + 7 * pixel_row;
        CHECK(run(moved, {}, 5, 5) == run(image, {}, 5, 5));
        CHECK(run(moved, {}, 8, 11) == run(image, {}, 8, 11));
    }
}

TEST(rows_made_in_parts_have_the_same_bits) {
    const auto backwards = [](std::int64_t items, std::int64_t, const mpscnn::RangeWork &work) {
        constexpr std::int64_t part = 5;
        for (std::int64_t begin = (items - 1) / part * part; begin >= 0; begin -= part)
            work(begin, std::min(items, begin + part));
    };
    for (int format = 0; format <= static_cast<int>(PixelFormat::i420); ++format)
        for (int orientation = 1; orientation <= 8; ++orientation)
            for (const Filter filter : {Filter::bilinear_antialias, Filter::bicubic_antialias})
                for (const int height : {9, 21}) { // copied or resized
                    const Photo photo(static_cast<PixelFormat>(format), 9, 9, orientation);
                    ImageView image = photo.view();
                    image.chroma = {photo.pixel(0, 0), photo.pixel(0, 0), 10};
                    Preprocess options;
                    options.filter = filter;
                    options.fit = Fit::letterbox;
                    std::vector<float> shared(static_cast<std::size_t>(height * 9 * 3), -1e9f);
                    preprocess(image, options, height, 9, 3, shared.data(), 3, 9 * 3, backwards);
                    CHECK(shared == run(image, options, height, 9));
                }
}

TEST(only_the_output_pixels_are_written) {
    const Photo photo(PixelFormat::rgb8, 9, 9, 5);
    Preprocess options;
    options.fit = Fit::letterbox;
    const auto dense = run(photo.view(), options, 4, 6);
    constexpr int pixel_pitch = 5, row_pitch = 40;
    std::vector<float> sparse(4 * row_pitch, -7.0f);
    preprocess(photo.view(), options, 4, 6, 3, sparse.data(), pixel_pitch, row_pitch);
    for (int i = 0; i < 4 * row_pitch; ++i) {
        const int row = i / row_pitch, column = i % row_pitch / pixel_pitch,
                  channel = i % row_pitch % pixel_pitch;
        const bool inside = column < 6 && channel < 3;
        const auto index = static_cast<std::size_t>((row * 6 + column) * 3 + channel);
        CHECK(sparse[static_cast<std::size_t>(i)] == (inside ? dense[index] : -7.0f));
    }
}

TEST(nan_reaches_only_the_outputs_that_cover_it) {
    std::vector<float> pixels(8 * 8, 0.5f);
    pixels[3 * 8 + 5] = std::numeric_limits<float>::quiet_NaN();
    const ImageView image{pixels.data(), 8, 8, 8 * 4, PixelFormat::gray32f, 1};
    Preprocess options;
    options.order = ChannelOrder::gray;
    options.filter = Filter::nearest;
    const auto same = run(image, options, 8, 8);
    for (std::size_t i = 0; i < same.size(); ++i) CHECK(std::isnan(same[i]) == (i == 3 * 8 + 5));
    options.filter = Filter::bilinear_antialias;
    const auto half = run(image, options, 4, 4);
    // Output k covers the open interval (2k - 1, 2k + 3). Pixel centre 3.5 is inside that of 1 and 2, 5.5
    // inside that of 2 and 3.
    for (std::size_t i = 0; i < half.size(); ++i) {
        const std::size_t row = i / 4, column = i % 4;
        CHECK(std::isnan(half[i]) == ((row == 1 || row == 2) && column >= 2));
    }
    options.filter = Filter::bicubic_antialias;   // output k covers (2k - 3, 2k + 5)
    const auto cubic = run(image, options, 4, 4); // columns first
    for (std::size_t i = 0; i < cubic.size(); ++i) CHECK(std::isnan(cubic[i]) == (i % 4 >= 1));
}

TEST(extreme_sizes) {
    const Photo wide(PixelFormat::gray8, 20000, 1, 1);
    const Photo dot(PixelFormat::rgb16, 1, 1, 3);
    const auto broadcast = run(dot.view(), {}, 1, largest_output_side);
    for (const std::size_t c : {0u, 1u, 2u})
        CHECK(std::abs(broadcast[broadcast.size() - 3 + c] - test::seen_color(dot.view(), 0, 0)[c]) < 1e-4);
    Preprocess letterbox;
    letterbox.fit = Fit::letterbox;
    const auto line = run(wide.view(), letterbox, 3, 5);
    CHECK(line[0] == 0.0f && line[5 * 3] > 0.0f && line[2 * 5 * 3] == 0.0f);
}

TEST(transform_leads_from_output_to_photo) {
    const Photo photo(PixelFormat::gray8, 200, 100, 6); // 100 x 200 when upright
    Preprocess options;
    Transform stretch = output_to_photo(photo.view(), options, 50, 50);
    CHECK(stretch.photo_x(50) == 100 && stretch.photo_y(50) == 200 && stretch.photo_x(0) == 0);
    options.fit = Fit::center_crop;
    options.crop_fraction = 0.5;
    const Transform crop = output_to_photo(photo.view(), options, 50, 50);
    CHECK(crop.photo_x(0) == 25 && crop.photo_x(50) == 75 && crop.photo_y(0) == 75 &&
          crop.photo_y(50) == 125);
    options.fit = Fit::letterbox;
    options.crop_fraction = 1.0;
    const Transform bars = output_to_photo(photo.view(), options, 50, 50);
    CHECK(bars.photo_x(12) == 0 && bars.photo_x(37) == 100 && bars.photo_y(0) == 0 &&
          bars.photo_y(50) == 200);
    options.letterbox_position = LetterboxPosition::top_left;
    const Transform corner = output_to_photo(photo.view(), options, 50, 50);
    CHECK(corner.photo_x(0) == 0 && corner.photo_x(25) == 100 && corner.photo_y(50) == 200);
}

TEST(presets) {
    const std::vector<std::uint8_t> pixel{255, 0, 100};
    const ImageView image{pixel.data(), 1, 1, 3, PixelFormat::rgb8, 1};
    const auto is_near = [&](const char *name, std::array<double, 3> expected) {
        const auto got = run(image, Preprocess::named(name), 1, 1);
        return difference(got, {expected.begin(), expected.end()}) < 1e-6;
    };
    CHECK(is_near("none", {255, 0, 100}));
    CHECK(is_near("unit", {1, 0, 100 / 255.0}));
    CHECK(is_near("tensorflow", {1, -1, 100 / 127.5 - 1}));
    CHECK(is_near("caffe", {(100 - 103.94) * 0.017, -116.78 * 0.017, (255 - 123.68) * 0.017}));
    CHECK(is_near("torch", {(1 - 0.485) / 0.229, -0.456 / 0.224, (100 / 255.0 - 0.406) / 0.225}));
    CHECK(is_near("torchvision", {(1 - 0.485) / 0.229, -0.456 / 0.224, (100 / 255.0 - 0.406) / 0.225}));
    const auto gray = run(image, Preprocess::named("unit", 1), 1, 1);
    CHECK(difference(gray, {(0.299 * 255 + 0.114 * 100) / 255}) < 1e-6);
    CHECK_THROWS(Preprocess::named("imagenet"), ErrorKind::parameter, "'imagenet'");
    CHECK_THROWS(Preprocess::named("torch", 1), ErrorKind::parameter, "3 channels");
    CHECK_THROWS(Preprocess::named("unit", 4), ErrorKind::parameter, "4 channels");
}

TEST(bad_photos_are_refused) {
    const Photo photo(PixelFormat::rgb8, 4, 4, 1);
    const auto refused = [&](auto change, ErrorKind kind, const char *part) {
        ImageView image = photo.view();
        change(image);
        CHECK_THROWS(run(image, {}, 2, 2), kind, part);
        CHECK_THROWS(output_to_photo(image, {}, 2, 2), kind, part);
    };
    refused([](ImageView &v) { v.pixels = nullptr; }, ErrorKind::parameter, "null");
    refused([](ImageView &v) { v.width = 0; }, ErrorKind::shape, "0x4");
    refused([](ImageView &v) { v.height = -3; }, ErrorKind::shape, "4x-3");
    refused([](ImageView &v) { v.row_bytes = 11; }, ErrorKind::shape, "takes 12");
    refused([](ImageView &v) { v.row_bytes = -11; }, ErrorKind::shape, "takes 12");
    refused([](ImageView &v) { v.row_bytes = 0; }, ErrorKind::shape, "takes 12");
    refused([](ImageView &v) { v.orientation = 0; }, ErrorKind::parameter, "orientation is 0");
    refused([](ImageView &v) { v.orientation = 9; }, ErrorKind::parameter, "orientation is 9");
    refused([](ImageView &v) { v.format = static_cast<PixelFormat>(17); }, ErrorKind::parameter, "number 17");
    refused([](ImageView &v) { v.format = static_cast<PixelFormat>(-1); }, ErrorKind::parameter, "number -1");
    constexpr auto far = std::numeric_limits<std::ptrdiff_t>::max();
    refused([](ImageView &v) { v.row_bytes = far; }, ErrorKind::shape, "address space");
    refused([](ImageView &v) { v.row_bytes = -far; }, ErrorKind::shape, "address space");
}

TEST(bad_colour_differences_are_refused) {
    const std::vector<std::uint8_t> samples(5 * 4, 128); // luma of 5 x 3 and chroma of 3 x 2
    const auto refused = [&](PixelFormat format, auto change, ErrorKind kind, const char *part) {
        ImageView image{samples.data(), 5, 3, 5, format, 1};
        image.chroma = {samples.data(), samples.data(), format == PixelFormat::nv12 ? 6 : 3};
        CHECK(run(image, {}, 1, 1).size() == 3);
        change(image.chroma);
        CHECK_THROWS(run(image, {}, 2, 2), kind, part);
    };
    for (const PixelFormat format : {PixelFormat::nv12, PixelFormat::i420}) {
        refused(
            format, [](Chroma &c) { c.blue = nullptr; }, ErrorKind::parameter, "is null");
        refused(
            format, [](Chroma &c) { c.row_bytes = 2; }, ErrorKind::shape, "a row of 3 pixels takes");
        refused(
            format, [](Chroma &c) { c.row_bytes = -2; }, ErrorKind::shape, "a row of 3 pixels takes");
        refused(
            format, [](Chroma &c) { c.row_bytes = std::numeric_limits<std::ptrdiff_t>::max(); },
            ErrorKind::shape, "address space");
        refused(
            format, [](Chroma &c) { c.matrix = static_cast<YuvMatrix>(2); }, ErrorKind::parameter,
            "matrix number 2");
        refused(
            format, [](Chroma &c) { c.range = static_cast<YuvRange>(-1); }, ErrorKind::parameter,
            "range number -1");
        refused(
            format, [](Chroma &c) { c.siting = static_cast<ChromaSiting>(2); }, ErrorKind::parameter,
            "siting number 2");
    }
    refused(
        PixelFormat::i420, [](Chroma &c) { c.red = nullptr; }, ErrorKind::parameter, "is null");
}

TEST(bad_options_are_refused) {
    const Photo photo(PixelFormat::rgb8, 4, 4, 1);
    const auto refused = [&](auto change, const char *part) {
        Preprocess options;
        change(options);
        CHECK_THROWS(run(photo.view(), options, 2, 2), ErrorKind::parameter, part);
    };
    refused([](Preprocess &o) { o.crop_fraction = 0; }, "crop_fraction");
    refused([](Preprocess &o) { o.crop_fraction = 1.01; }, "crop_fraction");
    refused([](Preprocess &o) { o.crop_fraction = NAN; }, "crop_fraction");
    refused([](Preprocess &o) { o.mean[2] = NAN; }, "mean");
    refused([](Preprocess &o) { o.scale[0] = INFINITY; }, "scale");
    refused([](Preprocess &o) { o.letterbox_value[1] = NAN; }, "letterbox_value");
    const auto whole = [&](auto change, const char *part) {
        refused(
            [&](Preprocess &o) {
                o.whole_pixels = true;
                change(o);
            },
            part);
    };
    whole([](Preprocess &o) { o.crop_fraction = 17; }, "at most 16");
    whole([](Preprocess &o) { o.letterbox_position = LetterboxPosition::top_left; }, "whole_pixels");
    refused([](Preprocess &o) { o.fit = static_cast<Fit>(4); }, "fit number 4");
    refused([](Preprocess &o) { o.filter = static_cast<Filter>(-1); }, "filter number -1");
    refused([](Preprocess &o) { o.order = static_cast<ChannelOrder>(3); }, "order number 3");
    refused([](Preprocess &o) { o.letterbox_position = static_cast<LetterboxPosition>(2); },
            "position number 2");
}

TEST(bad_outputs_are_refused) {
    const Photo photo(PixelFormat::rgb8, 4, 4, 1);
    std::vector<float> room(64);
    const auto into = [&](int height, int width, int channels, float *out, int pixel_pitch, int row_pitch) {
        preprocess(photo.view(), {}, height, width, channels, out, pixel_pitch, row_pitch);
    };
    CHECK_THROWS(into(0, 2, 3, room.data(), 3, 6), ErrorKind::shape, "0x2");
    CHECK_THROWS(into(2, -2, 3, room.data(), 3, 6), ErrorKind::shape, "2x-2");
    CHECK_THROWS(into(2, 16385, 3, room.data(), 3, 49155), ErrorKind::shape, "16384");
    CHECK_THROWS(into(2, 2, 4, room.data(), 4, 8), ErrorKind::shape, "4 channels");
    CHECK_THROWS(into(2, 2, 1, room.data(), 1, 2), ErrorKind::parameter, "1 channels");
    CHECK_THROWS(into(2, 2, 3, nullptr, 3, 6), ErrorKind::parameter, "null");
    CHECK_THROWS(into(2, 2, 3, room.data(), 2, 6), ErrorKind::shape, "pixel_pitch 2");
    CHECK_THROWS(into(2, 2, 3, room.data(), 3, 5), ErrorKind::shape, "row_pitch 5");
}
