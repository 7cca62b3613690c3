#include "cpu/runtime/finite_check.h"

#include <cmath>

#include "core/bfloat16.h"
#include "core/error.h"

namespace mpscnn::cpu {

namespace {

float element_of(const ConstView &tensor, std::ptrdiff_t offset) {
    if (tensor.element == Element::float32) return tensor.data[offset];
    return float_from_bfloat16(reinterpret_cast<const std::uint16_t *>(tensor.data)[offset]);
}

} // namespace

std::optional<NotFinite> find_not_finite(const ConstView &tensor) {
    if (tensor.element == Element::uint8) return std::nullopt; // integers are always finite
    for (std::int64_t image = 0; image < tensor.batch; ++image)
        for (std::int64_t row = 0; row < tensor.height; ++row)
            for (std::int64_t column = 0; column < tensor.width; ++column) {
                const std::ptrdiff_t pixel =
                    image * tensor.image_stride + row * tensor.row_stride + column * tensor.pixel_stride;
                for (std::int64_t channel = 0; channel < tensor.channels; ++channel)
                    if (const float value = element_of(tensor, pixel + channel); !std::isfinite(value))
                        return NotFinite{image, row, column, channel, value};
            }
    return std::nullopt;
}

void refuse_not_finite(const std::string &where, const NotFinite &found) {
    fail(ErrorKind::parameter,
         {where, (std::isnan(found.value) ? ": NaN" : ": infinity"), " at image ", found.image, ", row ",
          found.row, ", column ", found.column, ", channel ", found.channel});
}

} // namespace mpscnn::cpu
