#include "metal/coreml/model.h"

#include <algorithm>

#include "core/text.h"
#include "metal/coreml/multi_array.h"
#include "metal/coreml/patience.h"
#include "metal/device/exceptions.h"
#include "metal/device/text.h"

namespace mpscnn::coreml {

namespace {

using engine::TensorView;
using metal::adopt;
using metal::autorelease_scope;
using metal::objc_ptr;
using metal::string_of;
using metal::text_of;

/// The largest number of images that are given to Core ML at a time, which bounds the memory of a run.
constexpr std::int64_t max_images = 32;

NSURL *url_of(const std::string &path) { return [NSURL fileURLWithPath:string_of(path)]; }

/// Return one image of a batch.
TensorView image_of(const TensorView &batch, std::int64_t image) {
    TensorView view = batch;
    view.shape = batch.shape.with_batch(1);
    view.data = static_cast<std::byte *>(batch.data) + image * batch.strides[0];
    return view;
}

[[noreturn]] void fail_to_predict(NSError *error) {
    fail(ErrorKind::device, {"Core ML cannot run the network: ", text_of(error, "no reason given")});
}

} // namespace

std::shared_ptr<Model> Model::load(engine::WrittenProgram program, MLComputeUnits units) {
    return result_of_patience<std::shared_ptr<Model>>(
        "load the network",
        [program = std::move(program), units] { return std::shared_ptr<Model>(new Model(program, units)); });
}

Model::Model(engine::WrittenProgram program, MLComputeUnits units) : program_(std::move(program)) {
    const autorelease_scope pool;
    const auto configuration = adopt([[MLModelConfiguration alloc] init]);
    [configuration.get() setComputeUnits:units];
    NSError *error = nil;
    model_ = metal::share([MLModel modelWithContentsOfURL:url_of(program_.path)
                                            configuration:configuration.get()
                                                    error:&error]);
    if (!model_)
        fail(ErrorKind::device,
             {"Core ML cannot load ", program_.path, ": ", text_of(error, "no reason given")});
    options_ = adopt([[MLPredictionOptions alloc] init]);
}

objc_ptr<MLDictionaryFeatureProvider *> Model::features_of(std::span<const TensorView> inputs,
                                                           std::int64_t image) const {
    NSMutableDictionary *values = [NSMutableDictionary dictionary];
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        const auto array = array_of(image_of(inputs[i], image), program_.inputs[i]);
        [values setObject:[MLFeatureValue featureValueWithMultiArray:array.get()]
                   forKey:string_of(program_.inputs[i])];
    }
    NSError *error = nil;
    auto features = adopt([[MLDictionaryFeatureProvider alloc] initWithDictionary:values error:&error]);
    if (!features) fail_to_predict(error);
    return features;
}

void Model::read_results(id<MLFeatureProvider> results, std::span<const TensorView> outputs,
                         std::int64_t image) const {
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        const std::string &name = program_.outputs[i];
        MLMultiArray *array = [[results featureValueForName:string_of(name)] multiArrayValue];
        if (!array) fail(ErrorKind::device, {"output ", quoted(name), ": Core ML returned no array for it"});
        read_array(array, image_of(outputs[i], image), name);
    }
}

/// Return Core ML's answer to a question, which must own all that it uses. The first one may take long.
template <class Answer> objc_ptr<Answer> Model::answer_to(std::function<objc_ptr<Answer>()> question) {
    if (*begins_)
        fail(ErrorKind::device, "Core ML has not finished the first run of this network. Compile it again");
    if (has_run_) return question();
    *begins_ = true;
    auto answer = result_of_patience<objc_ptr<Answer>>(
        "run the network for the first time", [begins = begins_, question = std::move(question)] {
            const std::shared_ptr<void> end(nullptr, [&](void *) { *begins = false; });
            return question();
        });
    has_run_ = true;
    return answer;
}

void Model::predict_images(std::span<const TensorView> inputs, std::span<const TensorView> outputs,
                           std::int64_t first, std::int64_t count) {
    const autorelease_scope pool;
    if (count == 1) {
        const auto results = answer_to<id<MLFeatureProvider>>(
            [model = model_, features = features_of(inputs, first), options = options_] {
                NSError *error = nil;
                id<MLFeatureProvider> found = [model.get() predictionFromFeatures:features.get()
                                                                          options:options.get()
                                                                            error:&error];
                if (!found) fail_to_predict(error);
                return metal::share(found);
            });
        return read_results(results.get(), outputs, first);
    }
    NSMutableArray *images = [NSMutableArray array];
    for (std::int64_t i = 0; i < count; ++i) [images addObject:features_of(inputs, first + i).get()];
    const auto batch = adopt([[MLArrayBatchProvider alloc] initWithFeatureProviderArray:images]);
    const auto results = answer_to<id<MLBatchProvider>>([model = model_, batch, options = options_, count] {
        NSError *error = nil;
        id<MLBatchProvider> found = [model.get() predictionsFromBatch:batch.get()
                                                              options:options.get()
                                                                error:&error];
        if (!found || [found count] != static_cast<NSInteger>(count)) fail_to_predict(error);
        return metal::share(found);
    });
    for (std::int64_t i = 0; i < count; ++i)
        read_results([results.get() featuresAtIndex:static_cast<NSInteger>(i)], outputs, first + i);
}

void Model::predict(std::span<const TensorView> inputs, std::span<const TensorView> outputs) {
    const std::int64_t batch = inputs[0].shape[0];
    const std::lock_guard lock(mutex_);
    metal::with_framework_errors([&] {
        for (std::int64_t first = 0; first < batch; first += max_images)
            predict_images(inputs, outputs, first, std::min(max_images, batch - first));
    });
}

std::string compile_package(const std::string &package) {
    return result_of_patience<std::string>("compile the network", [package]() -> std::string {
        NSError *error = nil;
        NSURL *compiled = [MLModel compileModelAtURL:url_of(package) error:&error];
        if (!compiled)
            fail(ErrorKind::device,
                 {"Core ML cannot compile ", package, ": ", text_of(error, "no reason given")});
        return text_of([compiled path]);
    });
}

} // namespace mpscnn::coreml
