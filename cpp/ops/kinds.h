#pragma once

#include "ops/operation.h"
#include "shaders/kinds.h"

namespace mpscnn::ops {

#define MPSCNN_KIND_NAME(ENUMERATOR, NAME) {NAME, ENUMERATOR},
// NOLINTBEGIN(bugprone-macro-parentheses): a type is not an expression
#define MPSCNN_NAMED_KIND(ENUM, TABLE)                                                                       \
    using ::ENUM;                                                                                            \
    template <> struct EnumNames<ENUM> {                                                                     \
        using enum ENUM;                                                                                     \
        static constexpr auto values =                                                                       \
            std::to_array<std::pair<const char *, ENUM>>({TABLE(MPSCNN_KIND_NAME)});                         \
    };
// NOLINTEND(bugprone-macro-parentheses)

MPSCNN_NAMED_KIND(PoolingKind, FOR_EACH_POOLING_KIND)
MPSCNN_NAMED_KIND(PaddingMode, FOR_EACH_PADDING_MODE)
MPSCNN_NAMED_KIND(EdgeRule, FOR_EACH_EDGE_RULE)
MPSCNN_NAMED_KIND(BinaryKind, FOR_EACH_BINARY_KIND)
MPSCNN_NAMED_KIND(ReductionKind, FOR_EACH_REDUCTION_KIND)
MPSCNN_NAMED_KIND(VectorNorm, FOR_EACH_VECTOR_NORM)
MPSCNN_NAMED_KIND(EpsilonRule, FOR_EACH_EPSILON_RULE)

#undef MPSCNN_NAMED_KIND
#undef MPSCNN_KIND_NAME

} // namespace mpscnn::ops
