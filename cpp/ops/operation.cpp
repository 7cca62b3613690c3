#include "ops/operation.h"

namespace mpscnn::ops {

void refuse_parameter(const OperationInfo &info, std::string_view field, std::string_view allowed,
                      const std::string &given) {
    fail(ErrorKind::parameter, std::string(info.name) + ": " + std::string(field) + " must be " +
                                   std::string(allowed) + ", got " + given);
}

void require_at_least(const OperationInfo &info, std::string_view field, std::int64_t value,
                      std::int64_t minimum) {
    if (value < minimum || value > largest_size)
        refuse_parameter(info, field, std::to_string(minimum) + " to " + std::to_string(largest_size),
                         std::to_string(value));
}

void require_rank(const OperationInfo &info, const InputShapes &inputs, int rank, std::size_t index) {
    if (inputs[index].rank() == rank) return;
    const char *expected = rank == 4 ? " (n, height, width, channels)" : rank == 2 ? " (n, features)" : "";
    fail(ErrorKind::shape, std::string(info.name) + ": input " + std::to_string(index) + " must have " +
                               std::to_string(rank) + " axes" + expected + ", got " + inputs[index].text());
}

void require_fixed_channels(const OperationInfo &info, const InputShapes &inputs) {
    if (inputs[0].rank() < 2 || inputs[0].back() < 1)
        fail(ErrorKind::shape, std::string(info.name) +
                                   ": the number of channels must be known and at least 1, got " +
                                   inputs[0].text());
}

} // namespace mpscnn::ops
