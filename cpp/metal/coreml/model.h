#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#import <CoreML/CoreML.h>

#include "engine/backend/backend.h"
#include "engine/backend/written_program.h"
#include "metal/device/objc_ptr.h"

namespace mpscnn::coreml {

/// A loaded model of Core ML. Several threads may use it; one at a time predicts.
class Model {
public:
    /// Throws DeviceError with Core ML's text if it cannot be loaded, or not in time (patience.h).
    static std::shared_ptr<Model> load(engine::WrittenProgram program, MLComputeUnits units);

    /// Compute the outputs for a batch of images.
    void predict(std::span<const engine::TensorView> inputs, std::span<const engine::TensorView> outputs);
    std::uint64_t weight_bytes() const { return program_.weight_bytes; }

private:
    Model(engine::WrittenProgram program, MLComputeUnits units);
    template <class Answer>
    metal::objc_ptr<Answer> answer_to(std::function<metal::objc_ptr<Answer>()> question);
    void predict_images(std::span<const engine::TensorView> inputs,
                        std::span<const engine::TensorView> outputs, std::int64_t first, std::int64_t count);
    metal::objc_ptr<MLDictionaryFeatureProvider *> features_of(std::span<const engine::TensorView> inputs,
                                                               std::int64_t image) const;
    void read_results(id<MLFeatureProvider> results, std::span<const engine::TensorView> outputs,
                      std::int64_t image) const;

    engine::WrittenProgram program_;
    std::mutex mutex_;
    bool has_run_ = false;
    /// True while Core ML runs the network for the first time. This object may be gone before that ends.
    std::shared_ptr<std::atomic<bool>> begins_ = std::make_shared<std::atomic<bool>>(false);
    metal::objc_ptr<MLModel *> model_;
    metal::objc_ptr<MLPredictionOptions *> options_;
};

/// Compile a model package, and return the path of the compiled model in a directory for temporary files.
/// Throws DeviceError with Core ML's text, or if it is not done in time (patience.h).
std::string compile_package(const std::string &package);

} // namespace mpscnn::coreml
