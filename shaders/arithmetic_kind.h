#pragma once

/// The table of elementwise operations on two tensors: name, C++ type, and one line of documentation. The
/// operations, the CPU engine's kernels and the shaders are all generated from this table.
#define FOR_EACH_ARITHMETIC(ENTRY)                                                                           \
    ENTRY(add, Addition, "Elementwise sum of two tensors.")                                                  \
    ENTRY(subtract, Subtraction, "Elementwise difference of two tensors.")                                   \
    ENTRY(multiply, Multiplication, "Elementwise product of two tensors.")                                   \
    ENTRY(divide, Division, "Elementwise quotient of two tensors.")                                          \
    ENTRY(maximum, Maximum, "The larger of each two elements; NaN where either is.")                         \
    ENTRY(minimum, Minimum, "The smaller of each two elements; NaN where either is.")                        \
    ENTRY(power, Power, "The first tensor's elements to the power of the second's; NaN where either is.")    \
    ENTRY(greater, Greater, "1 where the first tensor is greater, else 0.")                                  \
    ENTRY(greater_equal, GreaterOrEqual, "1 where the first tensor is greater or both are equal, else 0.")   \
    ENTRY(equal, Equal, "1 where both tensors are equal, else 0.")                                           \
    ENTRY(not_equal, NotEqual, "1 where the tensors differ, else 0; NaN differs from everything.")           \
    ENTRY(mask, Mask, "The second tensor's elements where the first's are not 0, else 0.")                   \
    ENTRY(mask_out, MaskOut, "The second tensor's elements where the first's are 0, else 0.")

#define ARITHMETIC_KIND(NAME, TYPE, SUMMARY) NAME,
enum class ArithmeticKind : int { FOR_EACH_ARITHMETIC(ARITHMETIC_KIND) };
#undef ARITHMETIC_KIND
