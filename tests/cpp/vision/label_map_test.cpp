// Tests label maps: the class of each pixel of a photo, from a segmenter's grid of scores.

#include "vision/label_map.h"

#include <cmath>
#include <cstdint>
#include <vector>

#include "tests/cpp/check.h"
#include "tests/cpp/vision/photo.h"

using namespace mpscnn::vision;
using mpscnn::ErrorKind;
using test::Photo;

namespace {

struct Result {
    std::vector<std::uint8_t> labels;
    std::vector<float> scores;
};

Result label(const ScoreGrid &grid, const ImageView &image, const Preprocess &options, int input_height,
             int input_width, bool with_scores = true) {
    const auto pixels =
        static_cast<std::size_t>(image.oriented_width()) * static_cast<std::size_t>(image.oriented_height());
    Result result{std::vector<std::uint8_t>(pixels, 77), {}};
    if (with_scores) result.scores.assign(pixels * static_cast<std::size_t>(grid.classes), -1.0f);
    label_photo(grid, image, options, input_height, input_width, result.labels.data(),
                with_scores ? result.scores.data() : nullptr);
    return result;
}

using Labels = std::vector<std::uint8_t>;

} // namespace

TEST(a_grid_of_the_photos_size_is_taken_as_it_is) {
    const Photo photo(PixelFormat::rgb8, 3, 2, 1);
    const std::vector<float> scores{1, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 1, 1, 1, 0, 0, 5, 5};
    const Result result = label({scores.data(), 2, 3, 3}, photo.view(), {}, 2, 3);
    CHECK(result.labels == Labels{0, 1, 2, 1, 0, 1}); // the first one among equal scores
    CHECK(result.scores == scores);
}

TEST(scores_between_points_are_bilinear) {
    const Photo photo(PixelFormat::gray8, 8, 1, 1);
    const std::vector<float> scores{0, 4, 4, 0}; // two points
    const Result result = label({scores.data(), 1, 2, 2}, photo.view(), {}, 1, 2);
    CHECK(result.labels == Labels{1, 1, 1, 1, 0, 0, 0, 0});
    const float expected[] = {0, 0, 0.5f, 1.5f, 2.5f, 3.5f, 4, 4};
    for (std::size_t i = 0; i < 8; ++i) CHECK(std::fabs(result.scores[2 * i] - expected[i]) < 1e-6f);
    CHECK(label({scores.data(), 1, 2, 2}, photo.view(), {}, 1, 2, false).labels == result.labels);
}

TEST(what_was_cropped_away_is_unseen) {
    const Photo photo(PixelFormat::rgb8, 8, 4, 1);
    Preprocess options;
    options.fit = Fit::center_crop;
    const std::vector<float> scores{0, 1};
    const Result result = label({scores.data(), 1, 1, 2}, photo.view(), options, 6, 6);
    for (std::size_t row = 0; row < 4; ++row)
        for (std::size_t column = 0; column < 8; ++column) {
            const bool seen = column >= 2 && column < 6;
            CHECK(result.labels[8 * row + column] == (seen ? 1 : unseen_label));
            CHECK(std::isnan(result.scores[2 * (8 * row + column)]) == !seen);
        }
}

TEST(bars_around_the_photo_do_not_count) {
    const Photo photo(PixelFormat::rgb8, 4, 2, 1);
    Preprocess options;
    options.fit = Fit::letterbox;
    // Rows 0 and 3 of the 4 x 4 grid are in the bars.
    std::vector<float> scores;
    for (int row = 0; row < 4; ++row)
        for (int column = 0; column < 4; ++column) {
            const bool bar = row == 0 || row == 3;
            scores.insert(scores.end(), {bar ? 100.0f : 0.0f, row == 1 ? 2.0f : 1.0f, 1.5f});
        }
    CHECK(label({scores.data(), 4, 4, 3}, photo.view(), options, 4, 4).labels ==
          Labels{1, 1, 1, 1, 2, 2, 2, 2});
    // If the photo is cropped and has bars, the network has seen only its middle.
    options.crop_fraction = 0.5;
    const Labels middle = label({scores.data(), 4, 4, 3}, photo.view(), options, 4, 4).labels;
    CHECK(middle[0] == unseen_label && middle[3] == unseen_label && middle[1] != unseen_label);
}

TEST(a_turned_photo_has_the_labels_of_what_is_seen) {
    const std::vector<float> scores{9, 0, 0, 9, 9, 0}; // 3 rows of one column
    for (int orientation = 1; orientation <= 8; ++orientation) {
        const bool turned = orientation >= 5;
        const Photo photo(PixelFormat::rgb8, turned ? 3 : 1, turned ? 1 : 3, orientation);
        CHECK(label({scores.data(), 3, 1, 2}, photo.view(), {}, 3, 1).labels == Labels{0, 1, 0});
    }
}

TEST(smallest_and_longest_photos) {
    const std::vector<float> scores{1, 2, 3, 0, 4, 5, 7, 6};
    const ScoreGrid grid{scores.data(), 2, 2, 2};
    const Photo one(PixelFormat::rgb8, 1, 1, 1), tall(PixelFormat::gray8, 1, 5000, 1);
    const Result result = label(grid, one.view(), {}, 64, 64);
    CHECK(result.scores == std::vector<float>{3.75f, 3.25f} && result.labels == Labels{0});
    for (const Fit fit : {Fit::stretch, Fit::center_crop, Fit::letterbox}) {
        Preprocess options;
        options.fit = fit;
        for (const std::uint8_t found : label(grid, tall.view(), options, 64, 64, false).labels)
            CHECK(found <= 1 || (found == unseen_label && fit == Fit::center_crop));
    }
}

TEST(labels_do_not_depend_on_whether_scores_are_wanted) {
    const Photo photo(PixelFormat::rgb8, 61, 47, 1);
    std::mt19937 random(1);
    std::vector<float> scores(7 * 5 * 6);
    for (float &score : scores) score = static_cast<float>(random() % 1000) / 999.0f;
    const ScoreGrid grid{scores.data(), 7, 5, 6};
    const Result with = label(grid, photo.view(), {}, 32, 32),
                 without = label(grid, photo.view(), {}, 32, 32, false);
    CHECK(with.labels == without.labels);
}

TEST(grids_that_hold_no_classes_are_refused) {
    const Photo photo(PixelFormat::rgb8, 2, 2, 1);
    const std::vector<float> scores(1024);
    const auto run = [&](int height, int width, int classes) {
        return label({scores.data(), height, width, classes}, photo.view(), {}, 4, 4, false);
    };
    CHECK_THROWS(run(0, 1, 2), ErrorKind::shape, "0 x 1 points");
    CHECK_THROWS(run(1, 0, 2), ErrorKind::shape, "1 x 0 points");
    CHECK_THROWS(run(1, 1, 1), ErrorKind::shape, "1 classes, expected 2 to 255");
    CHECK_THROWS(run(1, 1, 256), ErrorKind::shape, "256 classes");
    ImageView broken = photo.view();
    broken.pixels = nullptr;
    CHECK_THROWS(label({scores.data(), 1, 1, 2}, broken, {}, 4, 4), ErrorKind::parameter, "null");
}
