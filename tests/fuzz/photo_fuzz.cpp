// libFuzzer target for photos in memory. README.md in this folder describes how to run it.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <mpscnn/mpscnn.h>

#include "tests/fuzz/choices.h"
#include "tests/fuzz/time_budget.h"

namespace {

/// Bytes of one pixel in the first plane, in the order of mpscnn_pixel_format.
constexpr int pixel_bytes[] = {1, 2, 3, 4, 3, 4, 2, 6, 8, 4, 12, 16, 4, 4, 8, 1, 1};
constexpr int formats = sizeof pixel_bytes / sizeof *pixel_bytes;

/// Rows of pixels. The memory ends with the last pixel, so that a sanitizer finds reads beyond it. If
/// `turned`, the rows are stored from bottom to top.
class Plane {
public:
    Plane(int row, int rows, int gap, bool turned, int fill)
        : pitch_(row + gap), size_(static_cast<std::size_t>(pitch_ * (rows - 1) + row)),
          bytes_(std::make_unique<std::uint8_t[]>(size_)), last_row_(turned ? pitch_ * (rows - 1) : 0) {
        for (std::size_t i = 0; i < size_; ++i) bytes_[i] = static_cast<std::uint8_t>(fill + 37 * i);
        if (turned) pitch_ = -pitch_;
    }

    const std::uint8_t *first() const { return bytes_.get() + last_row_; }
    std::ptrdiff_t pitch() const { return pitch_; }

private:
    std::ptrdiff_t pitch_;
    std::size_t size_;
    std::unique_ptr<std::uint8_t[]> bytes_;
    std::ptrdiff_t last_row_;
};

std::string settings(Choices &decide, int channels) {
    static const char *const fits[] = {"stretch", "center_crop", "letterbox", "digit"};
    static const char *const filters[] = {"bilinear_antialias", "bilinear", "nearest"};
    static const char *const positions[] = {"center", "top_left"};
    const std::string order = channels == 1 ? "gray" : decide.up_to(1) ? "bgr" : "rgb";
    return std::string("{\"fit\": \"") + fits[decide.up_to(3)] + "\", \"filter\": \"" +
           filters[decide.up_to(2)] + "\", \"letterbox_position\": \"" + positions[decide.up_to(1)] +
           "\", \"order\": \"" + order + "\", \"crop_fraction\": " + (decide.up_to(1) ? "0.4}" : "1}");
}

} // namespace

/// Check that photos of every format are read only within their memory, and that wrong ones are refused.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    Choices decide(data, size);
    // A photo may have some megabytes where a text may.
    const int larger = decide.below(32) == 31 && largest_text >= 1'000'000 ? 20 : 1;
    const int format = decide.up_to(formats - 1), width = larger * (1 + decide.up_to(50)),
              height = larger * (1 + decide.up_to(50));
    const TimeBudget budget(static_cast<std::size_t>(width * height));
    const bool turned = decide.up_to(1) != 0;
    const int columns = (width + 1) / 2 * (format == MPSCNN_NV12 ? 2 : 1), rows = (height + 1) / 2;
    const int fill = decide.up_to(255);
    const Plane pixels(width * pixel_bytes[format], height, decide.up_to(5), turned, fill);
    const int gap = decide.up_to(5);
    const Plane blue(columns, rows, gap, turned, fill + 1), red(columns, rows, gap, turned, fill + 2);
    const mpscnn_chroma chroma{sizeof chroma,   blue.first(),    red.first(),    blue.pitch(),
                               decide.up_to(2), decide.up_to(2), decide.up_to(2)};
    const mpscnn_image image{pixels.first(), width, height, pixels.pitch(), format, decide.up_to(9), &chroma};
    const int channels = decide.up_to(1) ? 3 : 1, out_width = 1 + decide.up_to(60),
              out_height = 1 + decide.up_to(60);
    std::vector<float> output(static_cast<std::size_t>(out_width * out_height * channels));
    const std::string description = settings(decide, channels);
    const mpscnn_status status =
        mpscnn_preprocess(&image, description.c_str(), out_height, out_width, channels, output.data());
    if (status != MPSCNN_OK && status != MPSCNN_ERROR_PARAMETER) std::abort();
    return 0;
}
