#pragma once

// The CPU engine with one wrong number in the results of one network.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "cpu/runtime/cpu_backend.h"
#include "engine/backend/backend.h"

class SpoiledBackend : public mpscnn::engine::Backend {
public:
    /// In networks of this name, the last element that is not NaN is increased by `part` times the largest
    /// element, or by `part` if all are zeros. If `images` is not 0, only batches of this size are affected.
    SpoiledBackend(std::string network, float part, std::int64_t images = 0)
        : network_(std::move(network)), part_(part), images_(images) {}

    const char *name() const override { return "spoiled"; }
    std::string device_name() const override { return "Spoiled CPU"; }
    std::string identity() const override { return identity_; }
    std::string why_not_automatic() const override { return why_not_automatic_; }
    std::unique_ptr<mpscnn::engine::LoweredGraph>
    lower(const mpscnn::engine::Graph &graph, const mpscnn::engine::LowerOptions &options) const override {
        return std::make_unique<Lowered>(mpscnn::cpu::make_cpu_backend()->lower(graph, options),
                                         graph.name() == network_ ? part_ : 0.0f, images_);
    }

    std::string identity_ = "Spoiled CPU";
    std::string why_not_automatic_ = {};

private:
    using Views = std::span<const mpscnn::engine::TensorView>;

    struct Spoiling : mpscnn::engine::Executor {
        Spoiling(std::unique_ptr<mpscnn::engine::Executor> right, float part, std::int64_t images)
            : right_(std::move(right)), part_(part), images_(images) {}
        void prepare(const mpscnn::engine::Plan &plan) override { right_->prepare(plan); }
        void run(const mpscnn::engine::Plan &plan, Views inputs, Views outputs) override {
            right_->run(plan, inputs, outputs);
            if (images_ != 0 && outputs[0].shape[0] != images_) return;
            auto *values = static_cast<float *>(outputs[0].data);
            const auto count = static_cast<std::size_t>(outputs[0].shape.elements());
            float largest = 0;
            for (std::size_t i = 0; i < count; ++i) largest = std::max(largest, std::fabs(values[i]));
            std::size_t last = count - 1;
            while (last > 0 && std::isnan(values[last])) --last;
            if (part_ != 0) values[last] += part_ * (largest > 0 ? largest : 1);
        }
        std::unique_ptr<mpscnn::engine::Executor> right_;
        float part_;
        std::int64_t images_;
    };

    struct Lowered : mpscnn::engine::LoweredGraph {
        Lowered(std::unique_ptr<mpscnn::engine::LoweredGraph> right, float part, std::int64_t images)
            : right_(std::move(right)), part_(part), images_(images) {}
        std::unique_ptr<mpscnn::engine::Plan> plan(const std::vector<mpscnn::Shape> &shapes) const override {
            return right_->plan(shapes);
        }
        std::unique_ptr<mpscnn::engine::Executor>
        executor(const mpscnn::engine::SessionOptions &options) const override {
            return std::make_unique<Spoiling>(right_->executor(options), part_, images_);
        }
        std::size_t weight_bytes() const override { return right_->weight_bytes(); }
        std::unique_ptr<mpscnn::engine::LoweredGraph> right_;
        float part_;
        std::int64_t images_;
    };

    std::string network_;
    float part_;
    std::int64_t images_;
};
