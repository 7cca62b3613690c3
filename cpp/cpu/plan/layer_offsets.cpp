#include "cpu/plan/layer_offsets.h"

#include <bit>
#include <optional>
#include <utility>

#include "cpu/plan/rounding_offset.h"

namespace mpscnn::cpu {

namespace {

constexpr std::size_t panel = IntegerWeights::panel;

std::int32_t sum(std::int32_t bias, std::uint32_t offset) {
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(bias) + offset);
}

} // namespace

bool set_floats(IntegerLayer &layer, std::span<const std::int64_t> least,
                std::span<const std::int64_t> most) {
    const Requantization &to = layer.requantization;
    const auto sets = static_cast<std::size_t>(to.sets_of_floats());
    AlignedBuffer<float> floats(sets * layer.bias.size());
    AlignedBuffer<std::int32_t> bias(layer.bias.size());
    for (std::size_t i = 0; i < bias.size(); ++i) {
        const std::optional<FloatOffset> own =
            float_offset(to, layer.multipliers[i], layer.shifts[i], least[i], most[i]);
        if (!own) return false;
        bias[i] = sum(layer.bias[i], own->sums);
        const float constants[] = {own->factor, own->added, own->added_below,
                                   std::bit_cast<float>(own->more_below), std::bit_cast<float>(own->split)};
        for (std::size_t set = 0; set < sets; ++set)
            floats[(i / panel * sets + set) * panel + i % panel] = constants[set];
    }
    layer.bias = std::move(bias);
    layer.floats = std::move(floats);
    layer.requantization.floats = layer.floats.data();
    return true;
}

void set_factors(IntegerLayer &layer) {
    const Requantization &to = layer.requantization;
    AlignedBuffer<double> factors(2 * layer.multipliers.size());
    AlignedBuffer<std::int32_t> bias(layer.bias.size());
    std::optional<RoundingOffset> own;
    for (std::size_t i = 0; i < bias.size(); ++i) {
        const bool is_same = i > 0 && layer.multipliers[i] == layer.multipliers[i - 1] &&
                             layer.shifts[i] == layer.shifts[i - 1];
        if (!is_same) own = rounding_offset(to, layer.multipliers[i], layer.shifts[i]);
        if (!own) return;
        bias[i] = sum(layer.bias[i], own->sums);
        double *const to_panel = factors.data() + i / panel * 2 * panel + i % 2 * panel / 2 + i % panel / 2;
        to_panel[0] = own->factor;
        to_panel[panel] = own->added;
    }
    layer.bias = std::move(bias);
    layer.factors = std::move(factors);
    layer.requantization.factors = layer.factors.data();
}

} // namespace mpscnn::cpu
