#include "cpu/finite_check.h"

#include <cmath>

#include "core/error.h"

namespace mpscnn::cpu {

std::optional<NotFinite> find_not_finite(const ConstView &tensor) {
    for (std::int64_t image = 0; image < tensor.batch; ++image)
        for (std::int64_t row = 0; row < tensor.height; ++row)
            for (std::int64_t column = 0; column < tensor.width; ++column) {
                const float *pixel = tensor.data + image * tensor.image_stride + row * tensor.row_stride +
                                     column * tensor.pixel_stride;
                for (std::int64_t channel = 0; channel < tensor.channels; ++channel)
                    if (!std::isfinite(pixel[channel]))
                        return NotFinite{image, row, column, channel, pixel[channel]};
            }
    return std::nullopt;
}

void refuse_not_finite(const std::string &where, const NotFinite &found) {
    fail(ErrorKind::parameter, where + (std::isnan(found.value) ? ": NaN" : ": infinity") + " at image " +
                                   std::to_string(found.image) + ", row " + std::to_string(found.row) +
                                   ", column " + std::to_string(found.column) + ", channel " +
                                   std::to_string(found.channel));
}

} // namespace mpscnn::cpu
