#pragma once

// Frames for the tests of the runner.

#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "engine/run/runner.h"
#include "tests/engine/scripted_backend.h"

namespace runner_test {

using namespace mpscnn;
using engine::Frame;
using engine::Runner;
using engine::TensorView;
using namespace std::chrono_literals;

/// A frame with its memory and its result or failure.
struct Shot {
    std::vector<float> input, output;
    int times_done = 0;
    Failure failure;

    explicit Shot(float value, std::size_t size = 1) : input(size, value), output(size) {}

    Frame frame(engine::Completion done) {
        const Shape shape{1, static_cast<std::int64_t>(input.size()), 1, 1};
        return {.inputs = {TensorView::dense(input.data(), DType::float32, shape)},
                .outputs = {TensorView::dense(output.data(), DType::float32, shape)},
                .fill = nullptr,
                .read = nullptr,
                .done = std::move(done)};
    }
    Frame frame() {
        return frame([this](Failure error) {
            ++times_done;
            failure = std::move(error);
        });
    }
    bool good() const { return times_done == 1 && !failure && output[0] == 2 * input[0]; }
    bool failed_with(ErrorKind kind) const {
        return times_done == 1 && failure.kind() == Failure::Kind::error && failure.error_kind() == kind;
    }
    bool was_cancelled() const { return times_done == 1 && failure.kind() == Failure::Kind::cancelled; }
};

inline std::vector<Shot> shots(int count) {
    std::vector<Shot> result;
    for (int i = 0; i < count; ++i) result.emplace_back(static_cast<float>(i));
    return result;
}

inline bool soon(const std::function<bool()> &condition) {
    for (int i = 0; i < 60000 && !condition(); ++i) std::this_thread::sleep_for(1ms);
    return condition();
}

} // namespace runner_test
