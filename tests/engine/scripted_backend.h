#pragma once

// A backend whose runs depend on the frame's values: they take some time, fail, or wait for permission to go
// on. The result is twice the input.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/run/program.h"
#include "tests/cpp/check.h"

namespace scripted {

using namespace mpscnn;

/// Controls the runs of a backend, and records statistics of them.
struct Script {
    std::atomic<int> running{0}, max_running{0}, runs{0}, largest_batch{0};
    std::atomic<bool> on_a_gpu{false};

    void hold() {
        const std::lock_guard lock(mutex_);
        held_ = true;
    }
    void let_go() {
        const std::lock_guard lock(mutex_);
        held_ = false;
        changed_.notify_all();
    }
    void pass() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return !held_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool held_ = false;
};

/// A run of a frame with this value always fails.
constexpr float failing = -1.0f;

class Plan : public engine::Plan {
public:
    std::size_t arena_bytes() const override { return 0; }
};

class Executor : public engine::Executor {
public:
    explicit Executor(Script &script) : script_(script) {}
    void prepare(const engine::Plan &) override {}
    void run(const engine::Plan &, std::span<const engine::TensorView> inputs,
             std::span<const engine::TensorView> outputs) override {
        struct Counted {
            std::atomic<int> &running;
            ~Counted() { --running; }
        } const counted{script_.running};
        raise(script_.max_running, ++script_.running);
        raise(script_.largest_batch, static_cast<int>(inputs[0].shape[0]));
        ++script_.runs;
        script_.pass();
        const auto *source = static_cast<const float *>(inputs[0].data);
        auto *result = static_cast<float *>(outputs[0].data);
        // A hash of the value, so that frames take different times.
        std::this_thread::sleep_for(
            std::chrono::microseconds(static_cast<unsigned>(static_cast<int>(source[0])) * 2654435761u % 64));
        for (std::int64_t i = 0; i < inputs[0].shape.elements(); ++i) {
            if (source[i] == failing) fail(ErrorKind::device, "the script lets this frame fail");
            result[i] = 2 * source[i];
        }
    }

private:
    static void raise(std::atomic<int> &maximum, int value) {
        int known = maximum;
        while (known < value && !maximum.compare_exchange_weak(known, value)) {
        }
    }
    Script &script_;
};

class LoweredGraph : public engine::LoweredGraph {
public:
    explicit LoweredGraph(Script &script) : script_(script) {}
    std::unique_ptr<engine::Plan> plan(const std::vector<Shape> &) const override {
        return std::make_unique<Plan>();
    }
    std::unique_ptr<engine::Executor> executor(const engine::SessionOptions &) const override {
        return std::make_unique<Executor>(script_);
    }
    std::size_t weight_bytes() const override { return 0; }

private:
    Script &script_;
};

class Backend : public engine::Backend {
public:
    explicit Backend(Script &script) : script_(script) {}
    const char *name() const override { return script_.on_a_gpu ? "scripted" : "cpu"; }
    std::string device_name() const override { return "a script"; }
    std::unique_ptr<engine::LoweredGraph> lower(const engine::Graph &,
                                                const engine::LowerOptions &) const override {
        return std::make_unique<LoweredGraph>(script_);
    }

private:
    Script &script_;
};

/// Return a program with inputs of any batch and number of features. Its device counts as a GPU, so the
/// number of cores does not limit how many requests run at once.
inline std::shared_ptr<engine::Program> program(Script &script) {
    script.on_a_gpu = true;
    engine::Graph graph("scripted");
    const engine::ValueId input = graph.add_input("x", {Shape::any, Shape::any, 1, 1});
    graph.mark_output(graph.add_node("twice", ops::Neuron{ops::NeuronKind::linear, 2.0f, 0.0f}, {input}));
    return engine::Program::compile(
        graph, {std::make_shared<Backend>(script), engine::Precision::float32, "the test asked for it"});
}

} // namespace scripted
