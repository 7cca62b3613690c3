#include "metal/arrays/array_operations.h"
#include "shaders/array_sum_params.h"

namespace mpscnn::metal {

static_assert(sizeof(ArraySumParams) == 14 * sizeof(int) && sizeof(ArrayPartsParams) == 4 * sizeof(int));

void add_parts(ArrayProgram &program, std::size_t parts, const SumParts &of, std::size_t to,
               std::int64_t results, float factor) {
    program.add("array_sum_parts", ArrayPartsParams{{}, static_cast<unsigned int>(of.count), factor},
                {parts, to}, results);
}

void add_sum(ArrayProgram &program, std::size_t source, const ArrayImage &from, std::size_t to,
             const ArrayImage &kept, float factor, bool squares) {
    const auto elements = [](const ArrayImage &image) {
        return std::int64_t{image.images} * image.height * image.width * image.channels;
    };
    const std::int64_t results = elements(kept);
    const SumParts parts(results, elements(from) / results);
    const bool once = parts.count == 1;
    const std::size_t sums = once ? to : program.add_scratch(parts.count * results);
    const ArraySumParams params{{},
                                from,
                                kept,
                                static_cast<unsigned int>(results),
                                static_cast<unsigned int>(parts.count),
                                squares ? 1 : 0,
                                once ? factor : 1.0f};
    program.add("array_sum", params, {source, sums}, parts.count * results);
    if (!once) add_parts(program, sums, parts, to, results, factor);
}

void make_program(ArrayProgram &program, const ops::SumLike &) {
    add_sum(program, 0, array_image(program.shape(0)), program.result(), array_image(program.shape(1)));
}

void make_program(ArrayProgram &program, const ops::SquaredSum &) {
    add_sum(program, 0, array_image(program.shape(0)), program.result(), {1, 1, 1, 1}, 1.0f, true);
}

} // namespace mpscnn::metal
