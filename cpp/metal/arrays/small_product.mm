#include "metal/arrays/small_product.h"

#include "shaders/array_convolution_params.h"

namespace mpscnn::metal {

namespace {

std::int64_t units_of(std::int64_t number, std::int64_t unit) { return (number + unit - 1) / unit; }

} // namespace

std::int64_t ProductExtents::tiles(std::int64_t tile) const {
    return units_of(rows, tile) * units_of(columns, tile);
}

bool ProductExtents::is_small() const {
    constexpr std::int64_t few_tiles = 64, long_sum = 64;
    return tiles(product_tile) < few_tiles && depths >= long_sum;
}

std::vector<float> packed_weights(const std::vector<float> &weights, std::int64_t columns,
                                  std::int64_t depths) {
    const std::int64_t eights = units_of(depths, small_depths) * small_depths / 8,
                       outputs = units_of(columns, small_tile) * small_tile;
    std::vector<float> packed(static_cast<std::size_t>(outputs * eights * 8));
    for (std::int64_t column = 0; column < columns; ++column)
        for (std::int64_t depth = 0; depth < depths; ++depth) {
            const std::int64_t matrix = column / 8 * eights + depth / 8;
            packed[static_cast<std::size_t>(matrix * 64 + depth % 8 * 8 + column % 8)] =
                weights[static_cast<std::size_t>(column * depths + depth)];
        }
    return packed;
}

std::optional<std::string> variant_in_simdgroups(const ArrayProgram &program, const std::string &shader,
                                                 NeuronKind activation) {
    if (!program.has_matrices()) return std::nullopt;
    const std::string halves = program.multiplies_halves() ? "_of_halves" : "",
                      variant = shader + halves + "_in_simdgroups";
    return program.choice().may_take(variant, activation) ? std::optional(variant) : std::nullopt;
}

std::optional<std::string> small_product(const ArrayProgram &program, const std::string &shader,
                                         const ProductExtents &extents, NeuronKind activation) {
    const std::size_t *weight = program.weight(packed_role);
    if (!weight || !extents.is_small()) return std::nullopt;
    const std::string small = "array_small_" + shader.substr(std::string("array_").size());
    // Simdgroups load matrices of weights as they are, so weights must have the type of the source. Each
    // simdgroup adds a part of the products.
    const std::vector<ArrayOperand> &sources = program.operands().sources;
    if (sources[0].half == sources[*weight].half &&
        extents.depths <= std::int64_t{simdgroup_sum_depths} * small_simdgroups)
        if (auto variant = variant_in_simdgroups(program, small, activation)) return variant;
    if (!program.choice().may_take(small, activation)) return std::nullopt;
    return program.variant_of(small, activation);
}

} // namespace mpscnn::metal
