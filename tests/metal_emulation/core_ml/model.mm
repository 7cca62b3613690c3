// MLModel: the test's function computes. A compiled model is a folder with a copy of the model and a file
// that marks it as compiled.
#import <CoreML/CoreML.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <thread>

#include <signal.h>
#include <unistd.h>

#include "core_ml/multi_array.h"
#include "core_ml/runner.h"
#import "metal/object.h"

using namespace metal_emulation;
using core_ml_emulation::Output;
namespace fs = std::filesystem;

namespace {

NSString *const domain = @"com.apple.CoreML";
constexpr const char *mark = "coremldata.bin";

/// Take the time of a switch, and press Ctrl-C at its beginning if another switch says so.
void take_time(const std::atomic<long> &milliseconds) {
    const long time = milliseconds.load();
    if (time <= 0) return;
    if (switches().interrupt_delays) kill(getpid(), SIGINT);
    std::this_thread::sleep_for(std::chrono::milliseconds(time));
}

std::string path_of(NSURL *url) { return utf8([url path]); }

/// Return the copy of the model in a compiled one.
std::string model_in(const std::string &compiled) {
    for (const fs::directory_entry &entry : fs::directory_iterator(compiled))
        if (entry.path().extension() == ".mlpackage") return entry.path().string();
    return "";
}

/// The inputs of one prediction, with their memory.
struct Inputs {
    std::vector<std::string> names;
    std::vector<std::vector<float>> numbers;
    std::vector<core_ml_emulation_tensor> tensors;
};

void read_inputs(id<MLFeatureProvider> features, Inputs &inputs) {
    for (NSString *name in [features featureNames]) {
        MLMultiArray *array = [[features featureValueForName:name] multiArrayValue];
        inputs.names.push_back(utf8(name));
        inputs.numbers.push_back(core_ml_emulation::numbers_of(array));
        const auto shape = core_ml_emulation::extents_of([array shape]);
        core_ml_emulation_tensor tensor{nullptr, static_cast<int>(shape.size()), {}, nullptr};
        std::copy(shape.begin(), shape.end(), tensor.shape);
        inputs.tensors.push_back(tensor);
    }
    for (std::size_t i = 0; i < inputs.tensors.size(); ++i) {
        inputs.tensors[i].name = inputs.names[i].c_str();
        inputs.tensors[i].data = inputs.numbers[i].data();
    }
}

id<MLFeatureProvider> features_of(const std::vector<Output> &outputs) {
    NSMutableDictionary *values = [NSMutableDictionary dictionary];
    for (const Output &output : outputs) {
        MLMultiArray *array = core_ml_emulation::array_with_gaps(output.shape, output.numbers);
        [values setObject:[MLFeatureValue featureValueWithMultiArray:array]
                   forKey:[NSString stringWithUTF8String:output.name.c_str()]];
    }
    return [[[MLDictionaryFeatureProvider alloc] initWithDictionary:values error:nullptr] autorelease];
}

} // namespace

@implementation MLModel
METAL_EMULATION_COUNT_OBJECTS

+ (instancetype)modelWithContentsOfURL:(NSURL *)url
                         configuration:(MLModelConfiguration *)configuration
                                 error:(NSError **)error {
    const std::string path = path_of(url);
    take_time(switches().load_delay_ms);
    if (take_one(switches().fail_models)) {
        report_error(error, domain, 0, "Failed to build the model execution plan");
        return nil;
    }
    if (!fs::exists(fs::path(path) / mark)) {
        report_error(error, domain, 3, path + " does not exist or is not a valid .mlmodelc");
        return nil;
    }
    MLModel *model = [[[self alloc] init] autorelease];
    model->path_ = [[url path] copy];
    model->units_ = [configuration computeUnits];
    ++switches().models_loaded;
    switches().compute_units = static_cast<long>(model->units_);
    return model;
}

- (void)dealloc {
    [path_ release];
    object_died(object_getClassName(self));
    [super dealloc];
}

- (id<MLFeatureProvider>)computed:(id<MLFeatureProvider>)features error:(NSError **)error {
    take_time(switches().prediction_delay_ms);
    if (take_one(switches().fail_predictions)) {
        report_error(error, domain, 0, "Failed to evaluate the model");
        return nil;
    }
    ++switches().predictions_made;
    Inputs inputs;
    read_inputs(features, inputs);
    std::vector<Output> outputs;
    const std::string problem = core_ml_emulation::run(model_in(utf8(path_)), inputs.tensors, outputs);
    if (!problem.empty()) {
        report_error(error, domain, 1, problem);
        return nil;
    }
    if (switches().wrong_predictions)
        for (Output &output : outputs)
            for (float &number : output.numbers) number = 2 * number + 1;
    return features_of(outputs);
}

/// A model may be used by one thread at a time.
- (void)begin {
    METAL_EXPECT(__atomic_fetch_add(&busy_, 1, __ATOMIC_ACQ_REL) == 0,
                 "a model predicts in two threads at the same time");
}
- (void)end {
    __atomic_fetch_sub(&busy_, 1, __ATOMIC_ACQ_REL);
}

- (id<MLFeatureProvider>)predictionFromFeatures:(id<MLFeatureProvider>)input
                                        options:(MLPredictionOptions *)options
                                          error:(NSError **)error {
    METAL_EXPECT(options, "a prediction without options");
    [self begin];
    id<MLFeatureProvider> result = [self computed:input error:error];
    [self end];
    return result;
}

- (id<MLBatchProvider>)predictionsFromBatch:(id<MLBatchProvider>)inputBatch
                                    options:(MLPredictionOptions *)options
                                      error:(NSError **)error {
    METAL_EXPECT(options, "predictions of a batch without options");
    [self begin];
    NSMutableArray *results = [NSMutableArray array];
    for (NSInteger i = 0; i < [inputBatch count]; ++i) {
        id<MLFeatureProvider> result = [self computed:[inputBatch featuresAtIndex:i] error:error];
        if (!result) break;
        [results addObject:result];
    }
    [self end];
    if (static_cast<NSInteger>([results count]) < [inputBatch count]) return nil;
    return [[[MLArrayBatchProvider alloc] initWithFeatureProviderArray:results] autorelease];
}
@end

@implementation MLModel (MLModelCompilation)
+ (NSURL *)compileModelAtURL:(NSURL *)modelURL error:(NSError **)error {
    const fs::path model = path_of(modelURL);
    take_time(switches().compilation_delay_ms);
    if (take_one(switches().fail_compilations)) {
        report_error(error, domain, 0, "Failed to parse the model specification");
        return nil;
    }
    if (!fs::exists(model / "Manifest.json")) {
        report_error(error, domain, 3, model.string() + " is no model package");
        return nil;
    }
    std::string folder = (fs::temp_directory_path() / "core_ml_XXXXXX").string();
    std::error_code failure;
    if (!mkdtemp(folder.data())) return nil;
    const fs::path made = folder + ".mlmodelc";
    fs::rename(folder, made, failure);
    fs::copy(model, made / model.filename(), fs::copy_options::recursive, failure);
    std::ofstream(made / mark) << "compiled";
    ++switches().models_compiled;
    return [NSURL fileURLWithPath:[NSString stringWithUTF8String:made.c_str()]];
}
@end
