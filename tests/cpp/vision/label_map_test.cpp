// Tests what only C++ can give to label maps: grids of scores without points or with other numbers of
// classes. tests/python/photos/test_segmentation.py compares the labels of photos with the definition.

#include "vision/label_map.h"

#include <cstdint>
#include <vector>

#include "tests/cpp/check.h"
#include "tests/cpp/vision/photo.h"

using namespace mpscnn::vision;
using mpscnn::ErrorKind;

TEST(grids_that_hold_no_classes_are_refused) {
    const test::Photo photo(PixelFormat::rgb8, 2, 2, 1);
    const std::vector<float> scores(1024);
    std::vector<std::uint8_t> labels(4);
    const auto run = [&](const ImageView &image, int height, int width, int classes) {
        label_photo({scores.data(), height, width, classes}, image, {}, 4, 4, labels.data(), nullptr);
    };
    run(photo.view(), 1, 1, 255);
    CHECK_THROWS(run(photo.view(), 0, 1, 2), ErrorKind::shape, "0 x 1 points");
    CHECK_THROWS(run(photo.view(), 1, 0, 2), ErrorKind::shape, "1 x 0 points");
    CHECK_THROWS(run(photo.view(), 1, 1, 1), ErrorKind::shape, "1 classes, expected 2 to 255");
    CHECK_THROWS(run(photo.view(), 1, 1, 256), ErrorKind::shape, "256 classes");
    ImageView broken = photo.view();
    broken.pixels = nullptr;
    CHECK_THROWS(run(broken, 1, 1, 2), ErrorKind::parameter, "null");
}
