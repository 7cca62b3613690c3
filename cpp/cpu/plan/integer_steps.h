#pragma once

// Adds the steps of networks in int8 precision, which read and write integers.

#include <cstddef>
#include <memory>

namespace mpscnn::cpu {

struct LoweredNetwork;
struct FusedOperation;
struct OutputCopy;
class StepBuilder;

/// Adds the steps of an int8 network.
class IntegerSteps {
public:
    IntegerSteps(StepBuilder &builder, const LoweredNetwork &network);
    ~IntegerSteps();

    void add(const FusedOperation &fused);
    void add(const OutputCopy &copy);
    /// Insert conversions before the steps from number `first` on, where these would read integers. The steps
    /// belong to a layer that is kept in float32, so they need float32 numbers.
    void convert(std::size_t first);

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace mpscnn::cpu
