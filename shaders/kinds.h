#pragma once

// Enumerations that operations, the CPU engine's kernels and shaders share. Each row of a table has an
// enumerator and its name in model files and interfaces.

/// The function that a pooling applies to a window; l2_norm is the square root of the sum of squares, without
/// a division.
#define FOR_EACH_POOLING_KIND(ENTRY)                                                                         \
    ENTRY(max, "max")                                                                                        \
    ENTRY(average, "average")                                                                                \
    ENTRY(l2_norm, "l2_norm")

/// The contents of a border:
/// constant_         a value (`constant` is a keyword of Metal)
/// clamp             the nearest pixel: a a | a b c | c c
/// mirror            reflected, the border pixel once: c b | a b c | b a
/// mirror_with_edge  reflected, the border pixel twice: b a | a b c | c b
#define FOR_EACH_PADDING_MODE(ENTRY)                                                                         \
    ENTRY(constant_, "constant")                                                                             \
    ENTRY(clamp, "clamp")                                                                                    \
    ENTRY(mirror, "mirror")                                                                                  \
    ENTRY(mirror_with_edge, "mirror_with_edge")

/// The values of taps outside the input: 0, the nearest pixel of the input, or none (such taps are skipped).
#define FOR_EACH_EDGE_RULE(ENTRY)                                                                            \
    ENTRY(zero, "zero")                                                                                      \
    ENTRY(clamp, "clamp")                                                                                    \
    ENTRY(exclude, "exclude")

/// The products of inputs x' = (x + input_bias) * input_scale and the weights' signs:
/// binary_weights  x' times -1 or +1
/// xnor            the sign of x' (+1 for zero) times -1 or +1
/// and_            1 if x' >= 0 and the weight is >= 0, otherwise 0
#define FOR_EACH_BINARY_KIND(ENTRY)                                                                          \
    ENTRY(binary_weights, "binary_weights")                                                                  \
    ENTRY(xnor, "xnor")                                                                                      \
    ENTRY(and_, "and")

/// The result of a reduction along an axis:
/// l2_norm         the square root of the sum of squares
/// sum_of_squares  the sum of squares
/// variance        the mean of the squared differences from the mean
/// deviation       the square root of the variance
/// log_sum_exp     the logarithm of the sum of exponentials
#define FOR_EACH_REDUCTION_KIND(ENTRY)                                                                       \
    ENTRY(max, "max")                                                                                        \
    ENTRY(min, "min")                                                                                        \
    ENTRY(sum, "sum")                                                                                        \
    ENTRY(mean, "mean")                                                                                      \
    ENTRY(product, "product")                                                                                \
    ENTRY(l2_norm, "l2_norm")                                                                                \
    ENTRY(sum_of_squares, "sum_of_squares")                                                                  \
    ENTRY(variance, "variance")                                                                              \
    ENTRY(deviation, "deviation")                                                                            \
    ENTRY(log_sum_exp, "log_sum_exp")

/// The divisor of a normalized vector:
/// deviation         the square root of the variance; the mean is subtracted before
/// root_mean_square  the square root of the mean of squares
/// l2_norm           the square root of the sum of squares
/// l1_norm           the sum of magnitudes
#define FOR_EACH_VECTOR_NORM(ENTRY)                                                                          \
    ENTRY(deviation, "deviation")                                                                            \
    ENTRY(root_mean_square, "root_mean_square")                                                              \
    ENTRY(l2_norm, "l2_norm")                                                                                \
    ENTRY(l1_norm, "l1_norm")

/// The use of epsilon, which keeps a norm from being zero:
/// inside   added to the argument of the square root, or to an L1 norm
/// outside  added to the norm
/// minimum  the norm is at least epsilon
#define FOR_EACH_EPSILON_RULE(ENTRY)                                                                         \
    ENTRY(inside, "inside")                                                                                  \
    ENTRY(outside, "outside")                                                                                \
    ENTRY(minimum, "minimum")

#define KIND_ENUMERATOR(ENUMERATOR, NAME) ENUMERATOR,
enum class PoolingKind : int { FOR_EACH_POOLING_KIND(KIND_ENUMERATOR) };
enum class PaddingMode : int { FOR_EACH_PADDING_MODE(KIND_ENUMERATOR) };
enum class EdgeRule : int { FOR_EACH_EDGE_RULE(KIND_ENUMERATOR) };
enum class BinaryKind : int { FOR_EACH_BINARY_KIND(KIND_ENUMERATOR) };
enum class ReductionKind : int { FOR_EACH_REDUCTION_KIND(KIND_ENUMERATOR) };
enum class VectorNorm : int { FOR_EACH_VECTOR_NORM(KIND_ENUMERATOR) };
enum class EpsilonRule : int { FOR_EACH_EPSILON_RULE(KIND_ENUMERATOR) };
#undef KIND_ENUMERATOR
