#include <span>

#include "metal/arrays/array_operations.h"
#include "shaders/array_gather_params.h"

namespace mpscnn::metal {

static_assert(sizeof(ArrayGatherParams) == 5 * sizeof(int));

namespace {

/// Return the table that array_gather.metal reads. For each position of the source it lists the copies that a
/// gather made. The table begins with `extent` + 1 indices, at which the lists of the positions begin; the
/// lists follow.
std::vector<int> copies_of_positions(const std::vector<std::int64_t> &indices, std::int64_t extent) {
    std::vector<int> table(static_cast<std::size_t>(extent + 1), 0);
    for (const std::int64_t position : indices) ++table[static_cast<std::size_t>(position + 1)];
    for (std::size_t i = 1; i < table.size(); ++i) table[i] += table[i - 1];
    std::vector<int> next(table.begin(), table.end() - 1), list(indices.size());
    for (std::size_t copy = 0; copy < indices.size(); ++copy)
        list[static_cast<std::size_t>(next[static_cast<std::size_t>(indices[copy])]++)] =
            static_cast<int>(copy);
    table.insert(table.end(), list.begin(), list.end());
    return table;
}

} // namespace

void make_program(ArrayProgram &program, const ops::GatherGradient &operation) {
    const Shape &gradient = program.shape(0);
    const int axis = operation.gather.positive_axis(gradient);
    std::int64_t inner = 1, outer = 1;
    for (int i = 0; i < axis; ++i) outer *= gradient[i];
    for (int i = axis + 1; i < gradient.rank(); ++i) inner *= gradient[i];
    const std::vector<std::int64_t> &indices = operation.gather.indices;
    const ArrayGatherParams params{{},
                                   static_cast<unsigned int>(operation.extent),
                                   static_cast<unsigned int>(indices.size()),
                                   static_cast<unsigned int>(inner)};
    const std::vector<int> copies = copies_of_positions(indices, operation.extent);
    const auto bytes = std::as_bytes(std::span(copies));
    program.add("array_gather_gradient", params, {0, program.result()}, outer * operation.extent * inner)
        .table.assign(bytes.begin(), bytes.end());
}

} // namespace mpscnn::metal
