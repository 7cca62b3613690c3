// Uses of Core ML's models that Apple documents as wrong, and results with gaps between their rows.
#include "emulation_check.h"

#import <CoreML/CoreML.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include "core_ml/core_ml_emulation.h"

namespace {

namespace fs = std::filesystem;

MLModel *model = nil;
bool predicts_again = false;

id<MLFeatureProvider> features() {
    MLMultiArray *array = [[[MLMultiArray alloc] initWithShape:@[ @1, @3 ]
                                                      dataType:MLMultiArrayDataTypeFloat32
                                                         error:nullptr] autorelease];
    for (int i = 0; i < 3; ++i) static_cast<float *>([array dataPointer])[i] = static_cast<float>(i);
    NSDictionary *values = @{@"x" : [MLFeatureValue featureValueWithMultiArray:array]};
    return [[[MLDictionaryFeatureProvider alloc] initWithDictionary:values error:nullptr] autorelease];
}

MLPredictionOptions *options() { return [[[MLPredictionOptions alloc] init] autorelease]; }

void predict() { [model predictionFromFeatures:features() options:options() error:nullptr]; }

/// Return the input as the output "y".
const char *copy_input(const char *, const core_ml_emulation_tensor *inputs, int, core_ml_emulation_give give,
                       void *results) {
    if (std::exchange(predicts_again, false)) predict();
    core_ml_emulation_tensor output = inputs[0];
    output.name = "y";
    give(&output, results);
    return nullptr;
}

/// A model that was compiled from an empty package, for the length of a test.
class LoadedModel {
public:
    LoadedModel() {
        std::string folder = (fs::temp_directory_path() / "core_ml_test_XXXXXX").string();
        folder_ = mkdtemp(folder.data());
        fs::create_directory(folder_ / "a.mlpackage");
        std::ofstream(folder_ / "a.mlpackage" / "Manifest.json") << "{}";
        NSURL *compiled = [MLModel compileModelAtURL:url(folder_ / "a.mlpackage") error:nullptr];
        compiled_ = [[compiled path] UTF8String];
        MLModelConfiguration *configuration = [[[MLModelConfiguration alloc] init] autorelease];
        model = [MLModel modelWithContentsOfURL:compiled configuration:configuration error:nullptr];
        core_ml_emulation_set_runner(copy_input);
    }
    ~LoadedModel() {
        core_ml_emulation_set_runner(nullptr);
        fs::remove_all(folder_);
        fs::remove_all(compiled_);
        [pool_ drain];
    }
    LoadedModel(const LoadedModel &) = delete;
    LoadedModel &operator=(const LoadedModel &) = delete;

private:
    static NSURL *url(const fs::path &path) {
        return [NSURL fileURLWithPath:[NSString stringWithUTF8String:path.c_str()]];
    }

    NSAutoreleasePool *pool_ = [[NSAutoreleasePool alloc] init];
    fs::path folder_, compiled_;
};

} // namespace

TEST(predictions) {
    const LoadedModel loaded;
    BREAKS("without options", [model predictionFromFeatures:features() options:nil error:nullptr]);
    id<MLBatchProvider> batch =
        [[[MLArrayBatchProvider alloc] initWithFeatureProviderArray:@[ features() ]] autorelease];
    BREAKS("of a batch without options", [model predictionsFromBatch:batch options:nil error:nullptr]);
    predicts_again = true;
    BREAKS("in two threads at the same time", predict());
}

TEST(results_have_gaps) {
    const LoadedModel loaded;
    id<MLFeatureProvider> results = [model predictionFromFeatures:features() options:options() error:nullptr];
    MLMultiArray *array = [[results featureValueForName:@"y"] multiArrayValue];
    CHECK([array count] == 3);
    CHECK([[[array strides] objectAtIndex:0] integerValue] > 3);
    CHECK(static_cast<float *>([array dataPointer])[2] == 2.0f);
}

TEST(compiled_models) {
    const LoadedModel loaded;
    NSError *error = nil;
    NSURL *nowhere = [NSURL fileURLWithPath:@"/nowhere.mlpackage"];
    CHECK([MLModel compileModelAtURL:nowhere error:&error] == nil);
    CHECK(error != nil);
    error = nil;
    MLModelConfiguration *configuration = [[[MLModelConfiguration alloc] init] autorelease];
    CHECK([MLModel modelWithContentsOfURL:nowhere configuration:configuration error:&error] == nil);
    CHECK(error != nil);
}
