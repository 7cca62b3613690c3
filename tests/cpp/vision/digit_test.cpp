// Tests the preparation of a photo of a digit: finding, cropping, scaling and centring it as in MNIST.

#include "vision/digit.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "tests/cpp/check.h"
#include "vision/preprocess.h"

using namespace mpscnn::vision;
using mpscnn::ErrorKind;

namespace {

constexpr int side = 28;

struct Bar {
    double x, y, width, height;
};

/// Return the share of pixel (x, y) that a bar covers.
double covered(const Bar &bar, int x, int y) {
    const double across = std::min(x + 1.0, bar.x + bar.width) - std::max<double>(x, bar.x);
    const double down = std::min(y + 1.0, bar.y + bar.height) - std::max<double>(y, bar.y);
    return std::max(0.0, across) * std::max(0.0, down);
}

/// Return a seven of two bars, `unit` pixels thick, 8 units wide and 14 high.
std::vector<Bar> seven(double x, double y, double unit) {
    return {{x, y, 8 * unit, unit}, {x + 7 * unit, y + unit, unit, 13 * unit}};
}

void draw(GrayPlane &plane, const std::vector<Bar> &bars, float color) {
    for (int y = 0; y < plane.height; ++y)
        for (int x = 0; x < plane.width; ++x)
            for (const Bar &bar : bars) {
                float &value = plane.values[plane.index(x, y)];
                value += static_cast<float>(covered(bar, x, y)) * (color - value);
            }
}

GrayPlane ground(int width, int height, float color) {
    GrayPlane plane(width, height);
    std::fill(plane.values.begin(), plane.values.end(), color);
    return plane;
}

GrayPlane seven_on(int width, int height, double x, double y, double unit, float paper = 230.0f,
                   float ink = 40.0f) {
    GrayPlane plane = ground(width, height, paper);
    draw(plane, seven(x, y, unit), ink);
    return plane;
}

double largest_difference(const std::vector<float> &a, const std::vector<float> &b) {
    double largest = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(double{a[i]} - b[i]));
    return largest;
}

std::vector<float> placed(const GrayPlane &photo) { return placed_digit(photo, side, side); }

const std::vector<float> &expected() {
    static const std::vector<float> digit = placed(seven_on(200, 300, 60, 80, 10));
    return digit;
}

/// The largest difference of two renderings of one drawing, which differ in the blur of their edges.
constexpr double alike = 30.0;

} // namespace

TEST(white_on_black_in_a_box_of_twenty_around_the_centre_of_mass) {
    const std::vector<float> &digit = expected();
    double mass = 0.0, across = 0.0, down = 0.0;
    int top = side, bottom = 0;
    for (int y = 0; y < side; ++y)
        for (int x = 0; x < side; ++x) {
            const float value = digit[static_cast<std::size_t>(y * side + x)];
            CHECK(value >= 0.0f && value <= 255.0f);
            mass += value;
            across += value * x;
            down += value * y;
            if (value < 100.0f) continue;
            top = std::min(top, y);
            bottom = std::max(bottom, y + 1);
        }
    CHECK(*std::max_element(digit.begin(), digit.end()) == 255.0f);
    CHECK(std::abs(across / mass - 14.0) < 0.05); // as in MNIST
    CHECK(std::abs(down / mass - 14.0) < 0.05);
    CHECK(bottom - top >= 19 && bottom - top <= 21);
}

TEST(dark_on_light_and_light_on_dark_are_the_same) {
    CHECK(largest_difference(expected(), placed(seven_on(200, 300, 60, 80, 10, 20.0f, 210.0f))) < 1e-2);
    CHECK(largest_difference(expected(), placed(seven_on(200, 300, 60, 80, 10, 255.0f, 200.0f))) < 1e-2);
}

TEST(place_and_size_on_the_photo_do_not_matter) {
    CHECK(largest_difference(expected(), placed(seven_on(500, 220, 390.5, 17.25, 10))) < alike);
    CHECK(largest_difference(expected(), placed(seven_on(900, 900, 200, 100, 37.5))) < alike);
    CHECK(largest_difference(expected(), placed(seven_on(90, 84, 0, 0, 6))) < alike);
    CHECK(largest_difference(expected(), placed(seven_on(64, 64, 20, 20, 1.5))) < 2 * alike);
}

TEST(light_that_falls_from_one_side_does_not_matter) {
    GrayPlane photo = seven_on(200, 300, 60, 80, 10, 230.0f, 40.0f);
    for (int y = 0; y < photo.height; ++y)
        for (int x = 0; x < photo.width; ++x)
            photo.values[photo.index(x, y)] -=
                0.35f * static_cast<float>(x) + 0.2f * static_cast<float>(y) - 20.0f;
    CHECK(largest_difference(expected(), placed(photo)) < alike);
}

TEST(noise_dust_and_the_shadow_of_an_edge_do_not_matter) {
    GrayPlane photo = seven_on(200, 300, 60, 80, 10);
    draw(photo, {{15, 270, 3, 3}, {180, 20, 2, 2}, {0, 0, 4, 300}}, 30.0f);
    std::mt19937 random(1);
    std::normal_distribution<float> noise(0.0f, 6.0f);
    for (float &value : photo.values) value += noise(random);
    CHECK(largest_difference(expected(), placed(photo)) < alike);
}

TEST(pieces_of_one_digit_stay_together) {
    GrayPlane photo = ground(200, 300, 230.0f);
    const std::vector<Bar> bars = seven(60, 80, 10);
    draw(photo, {bars[0], {bars[1].x, bars[1].y + 6, bars[1].width, bars[1].height - 6}}, 40.0f);
    const std::vector<float> digit = placed(photo);
    float strongest = 0.0f; // the largest value left of the stroke, where only the top bar is
    for (int y = 0; y < side / 2; ++y)
        for (int x = 0; x < side / 2; ++x)
            strongest = std::max(strongest, digit[static_cast<std::size_t>(y * side + x)]);
    CHECK(strongest > 200.0f);
}

TEST(the_whole_image_may_be_the_digit) {
    GrayPlane photo(8, 14);
    draw(photo, seven(0, 0, 1), 255.0f);
    CHECK(largest_difference(expected(), placed(photo)) < 3 * alike);
}

TEST(photos_without_a_digit_are_refused) {
    const auto refused = [](const GrayPlane &photo, const char *part) {
        CHECK_THROWS(placed(photo), ErrorKind::parameter, part);
    };
    refused(ground(1, 1, 128.0f), "1x1 pixels shows no digit");
    refused(ground(300, 1, 255.0f), "nothing stands out");
    refused(ground(50, 60, 0.0f), "by 0 of 255, at least 20 and 5 times its noise of 0 are needed");
    refused(seven_on(200, 300, 60, 80, 10, 200.0f, 190.0f), "by 10 of 255");
    GrayPlane noise = ground(200, 200, 128.0f);
    std::mt19937 random(1);
    for (float &value : noise.values) value += std::normal_distribution<float>(0.0f, 20.0f)(random);
    refused(noise, "shows no digit");
    GrayPlane dot = ground(40, 40, 255.0f);
    draw(dot, {{20, 20, 2, 3}}, 0.0f);
    refused(dot, "2x3 pixels, the longer side of a digit needs 5");
    GrayPlane line = ground(4000, 40, 255.0f);
    draw(line, {{100, 20, 3000, 4}}, 0.0f);
    refused(line, "3000x4 pixels, no digit is more than 3 times as wide");
    GrayPlane infinite = ground(20, 20, 255.0f);
    infinite.values[7] = std::numeric_limits<float>::infinity();
    refused(infinite, "not finite");
    infinite.values[7] = std::numeric_limits<float>::quiet_NaN();
    refused(infinite, "not finite");
}

TEST(extreme_aspect_ratios) {
    GrayPlane narrow(9, 20000), wide(20000, 20);
    draw(narrow, seven(0, 9000, 1), 255.0f);
    draw(wide, seven(4000, 3, 1), 255.0f);
    CHECK(largest_difference(expected(), placed(narrow)) < 3 * alike);
    CHECK(largest_difference(expected(), placed(wide)) < 3 * alike);
    GrayPlane stroke(40, 12000); // the stroke covers almost half of this plane
    draw(stroke, {{10, 100, 20, 11800}}, 255.0f);
    CHECK(placed(stroke)[14 * side + 14] > 250.0f);
}

TEST(as_preprocessing) {
    std::vector<std::uint8_t> pixels(600 * 400 * 3, 240);
    for (int y = 150; y < 290; ++y)
        for (int x = 200; x < 280; ++x)
            if (y < 160 || x >= 270)
                for (int c = 0; c < 3; ++c) pixels[static_cast<std::size_t>((y * 600 + x) * 3 + c)] = 30;
    ImageView image{pixels.data(), 600, 400, std::ptrdiff_t{600} * 3, PixelFormat::rgb8};
    const Preprocess options = Preprocess::named("mnist", 1);
    std::vector<float> output(side * side * 2, -1.0f);
    preprocess(image, options, side, side, 1, output.data(), 2, std::ptrdiff_t{side} * 2);
    std::vector<float> digit;
    for (std::size_t i = 0; i < output.size(); i += 2) {
        digit.push_back(output[i] * 255.0f);
        CHECK(output[i + 1] == -1.0f);
    }
    CHECK(largest_difference(expected(), digit) < alike);

    // The stored pixels are rotated, and the orientation turns them upright.
    std::vector<std::uint8_t> turned(pixels.size());
    for (int y = 0; y < 400; ++y)
        for (int x = 0; x < 600; ++x)
            for (int c = 0; c < 3; ++c)
                turned[static_cast<std::size_t>(((599 - x) * 400 + y) * 3 + c)] =
                    pixels[static_cast<std::size_t>((y * 600 + x) * 3 + c)];
    image = {turned.data(), 400, 600, std::ptrdiff_t{400} * 3, PixelFormat::rgb8, 6};
    preprocess(image, options, side, side, 1, output.data(), 2, std::ptrdiff_t{side} * 2);
    for (std::size_t i = 0; i < digit.size(); ++i) digit[i] -= output[2 * i] * 255.0f;
    CHECK(largest_difference(digit, std::vector<float>(digit.size(), 0.0f)) < 1e-2);
}

TEST(what_does_not_go_with_it) {
    CHECK_THROWS(Preprocess::named("mnist"), ErrorKind::parameter, "'mnist' is for 1 channel, got 3");
    const Preprocess mnist = Preprocess::named("mnist", 1);
    const auto refused = [&](auto change) {
        Preprocess options = mnist;
        change(options);
        CHECK_THROWS(mpscnn::vision::check(options), ErrorKind::parameter,
                     "fit 'digit' goes with order 'gray'");
    };
    refused([](Preprocess &o) { o.order = ChannelOrder::rgb; });
    refused([](Preprocess &o) { o.filter = Filter::nearest; });
    refused([](Preprocess &o) { o.crop_fraction = 0.5; });
    const std::uint8_t pixel = 0;
    const ImageView image{&pixel, 1, 1, 1, PixelFormat::gray8};
    CHECK_THROWS(output_to_photo(image, mnist, side, side), ErrorKind::parameter, "depends on what it shows");
}
