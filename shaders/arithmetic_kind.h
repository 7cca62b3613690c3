#pragma once

/// THE table of elementwise operations on two tensors: name, type in C++, and one line for documentation.
/// Operations, the CPU engine's kernels and shaders all take it from here.
#define FOR_EACH_ARITHMETIC(ENTRY)                                                                           \
    ENTRY(add, Addition, "Elementwise sum of two tensors.")                                                  \
    ENTRY(subtract, Subtraction, "Elementwise difference of two tensors.")                                   \
    ENTRY(multiply, Multiplication, "Elementwise product of two tensors.")                                   \
    ENTRY(divide, Division, "Elementwise quotient of two tensors.")                                          \
    ENTRY(maximum, Maximum, "The larger of each two elements; NaN where either is.")

#define ARITHMETIC_KIND(NAME, TYPE, SUMMARY) NAME,
enum class ArithmeticKind : int { FOR_EACH_ARITHMETIC(ARITHMETIC_KIND) };
#undef ARITHMETIC_KIND
