// Raw kernels, images and command buffers, as a C program uses them.

#include <atomic>
#include <cstring>
#include <string>
#include <vector>

#include "tests/cpp/c_api.h"

using namespace c_api_test;

namespace {

struct Objects {
    mpscnn_queue *queue = nullptr;
    mpscnn_command_buffer *commands = nullptr;

    Objects() {
        mpscnn_queue_options options{};
        options.size = sizeof options;
        options.device = "cpu";
        options.threads = 1;
        CHECK(succeeded(mpscnn_queue_create(&options, &queue)));
        CHECK(succeeded(mpscnn_command_buffer_create(queue, &commands)));
    }
    ~Objects() {
        mpscnn_queue_release(queue); // the buffer keeps it alive
        mpscnn_command_buffer_release(commands);
    }
    mpscnn_command_status status() const {
        mpscnn_command_status status{};
        CHECK(succeeded(mpscnn_command_buffer_status(commands, &status)));
        return status;
    }
};

mpscnn_image_descriptor descriptor(std::int64_t width, std::int64_t height, std::int64_t channels) {
    mpscnn_image_descriptor result{};
    result.size = sizeof result;
    result.width = width;
    result.height = height;
    result.feature_channels = channels;
    result.number_of_images = 1;
    return result;
}

mpscnn_feature_image *image_of(std::int64_t width, std::int64_t height, std::int64_t channels) {
    const mpscnn_image_descriptor size = descriptor(width, height, channels);
    mpscnn_feature_image *image = nullptr;
    CHECK(succeeded(mpscnn_feature_image_create(&size, &image)));
    return image;
}

mpscnn_kernel *kernel_of(const char *name, const char *properties) {
    mpscnn_kernel *kernel = nullptr;
    CHECK(succeeded(mpscnn_kernel_create(name, properties, &kernel)));
    return kernel;
}

mpscnn_image_data data_of(std::vector<float> &values) {
    mpscnn_image_data data{};
    data.size = sizeof data;
    data.data = values.data();
    return data;
}

} // namespace

TEST(a_kernel_runs_when_its_buffer_is_committed) {
    Objects objects;
    mpscnn_feature_image *source = image_of(4, 2, 3);
    std::vector<float> values(24);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
    mpscnn_image_data data = data_of(values);
    const mpscnn_image_region whole{0, 0, 0, 0, 1, 2, 4, 3};
    CHECK(succeeded(mpscnn_feature_image_write(source, &whole, &data)));

    mpscnn_kernel *kernel =
        kernel_of("PoolingMax", R"({"kernel_width": 2, "kernel_height": 2, "stride_x": 2, "stride_y": 2,
                                    "edge_mode": "clamp", "padding": 0})");
    mpscnn_image_descriptor size = descriptor(0, 0, 0);
    CHECK(succeeded(mpscnn_kernel_destination(kernel, &source, 1, &size)));
    CHECK(size.width == 2 && size.height == 1 && size.feature_channels == 3 && size.format == 4);
    mpscnn_feature_image *result = image_of(size.width, size.height, size.feature_channels);
    CHECK(succeeded(mpscnn_kernel_encode(kernel, objects.commands, &source, 1, result)));
    mpscnn_kernel_release(kernel);
    CHECK(objects.status() == MPSCNN_COMMANDS_NOT_ENQUEUED);
    CHECK(succeeded(mpscnn_command_buffer_commit(objects.commands)));
    CHECK(succeeded(mpscnn_command_buffer_wait(objects.commands)));
    CHECK(objects.status() == MPSCNN_COMMANDS_COMPLETED);

    void *memory = nullptr;
    std::int64_t strides[4];
    CHECK(succeeded(mpscnn_feature_image_memory(result, &memory, strides)));
    CHECK(strides[2] == 16 && strides[3] == 4); // three channels are stored in a slice of four
    const auto *pixels = static_cast<const float *>(memory);
    CHECK(pixels[0] == 15 && pixels[1] == 16 && pixels[2] == 17 && pixels[3] == 0 && pixels[4] == 21);
    std::vector<float> planes(6);
    mpscnn_image_data planar = data_of(planes);
    planar.planar = 1;
    const mpscnn_image_region small{0, 0, 0, 0, 1, 1, 2, 3};
    CHECK(succeeded(mpscnn_feature_image_read(result, &small, &planar)));
    CHECK((planes == std::vector<float>{15, 21, 16, 22, 17, 23}));
    mpscnn_feature_image_release(source);
    mpscnn_feature_image_release(result);
}

TEST(rows_and_images_of_the_caller_may_have_gaps_but_not_overlap) {
    mpscnn_feature_image *image = image_of(3, 2, 5);
    const mpscnn_image_region whole{0, 0, 0, 0, 1, 2, 3, 5};
    std::vector<float> values(2 * 15 + 2, 7.0f);
    mpscnn_image_data data = data_of(values);
    data.row_bytes = 17 * sizeof(float);
    CHECK(succeeded(mpscnn_feature_image_read(image, &whole, &data)));
    CHECK(values[14] == 0 && values[15] == 7 && values[16] == 7 && values[17] == 0);
    const auto refuses = [&](bool planar, std::ptrdiff_t row_bytes, std::ptrdiff_t image_bytes,
                             const char *message) {
        data.planar = planar;
        data.row_bytes = row_bytes;
        data.image_bytes = image_bytes;
        CHECK(refused(mpscnn_feature_image_read(image, &whole, &data), MPSCNN_ERROR_PARAMETER, message));
        CHECK(refused(mpscnn_feature_image_write(image, &whole, &data), MPSCNN_ERROR_PARAMETER, message));
    };
    refuses(false, 59, 0, "row_bytes must be 0 or at least 60 for this region, got 59");
    refuses(false, -60, 0, "row_bytes must be 0 or at least 60 for this region, got -60");
    refuses(true, 11, 0, "row_bytes must be 0 or at least 12 for this region, got 11");
    refuses(false, 0, 119, "image_bytes must be 0 or at least 120 for this region, got 119");
    refuses(false, 68, 127, "image_bytes must be 0 or at least 128 for this region, got 127");
    refuses(true, 16, 155, "image_bytes must be 0 or at least 156 for this region, got 155");
    data.row_bytes = PTRDIFF_MAX;
    data.image_bytes = 0;
    CHECK(refused(mpscnn_feature_image_read(image, &whole, &data), MPSCNN_ERROR_SHAPE, "too many elements"));
    mpscnn_feature_image_release(image);
}

TEST(handlers_get_their_context_and_give_it_back) {
    Objects objects;
    struct Context {
        std::atomic<int> called{0}, released{0};
    } context, unused;
    const auto called = [](void *given) { ++static_cast<Context *>(given)->called; };
    const auto released = [](void *given) { ++static_cast<Context *>(given)->released; };
    CHECK(
        succeeded(mpscnn_command_buffer_add_completed_handler(objects.commands, called, &context, released)));
    CHECK(succeeded(mpscnn_command_buffer_commit(objects.commands)));
    CHECK(succeeded(mpscnn_queue_wait(objects.queue)));
    CHECK(context.called == 1 && context.released == 1);
    CHECK(refused(mpscnn_command_buffer_add_completed_handler(objects.commands, called, &context, released),
                  MPSCNN_ERROR_STATE, "committed already"));
    CHECK(context.released == 1);

    mpscnn_command_buffer *other = nullptr;
    CHECK(succeeded(mpscnn_command_buffer_create(objects.queue, &other)));
    CHECK(succeeded(mpscnn_command_buffer_add_completed_handler(other, called, &unused, released)));
    mpscnn_command_buffer_release(other);
    CHECK(unused.called == 0 && unused.released == 1);
}

TEST(temporary_images_are_counted) {
    Objects objects;
    const mpscnn_image_descriptor size = descriptor(2, 2, 4);
    mpscnn_feature_image *temporary = nullptr;
    CHECK(succeeded(mpscnn_feature_image_create_temporary(objects.commands, &size, &temporary)));
    std::int64_t count = 0;
    CHECK(succeeded(mpscnn_feature_image_read_count(temporary, &count)));
    CHECK(count == 1);
    void *memory = nullptr;
    std::int64_t strides[4];
    CHECK(refused(mpscnn_feature_image_memory(temporary, &memory, strides), MPSCNN_ERROR_STATE,
                  "cannot be read or written by the program"));
    CHECK(succeeded(mpscnn_feature_image_set_label(temporary, "relu1")));
    CHECK(succeeded(mpscnn_feature_image_set_read_count(temporary, 0)));
    CHECK(refused(mpscnn_feature_image_set_read_count(temporary, 1), MPSCNN_ERROR_STATE, "'relu1'"));
    mpscnn_feature_image_release(temporary);
}

TEST(kernels_describe_themselves_and_take_weights) {
    mpscnn_text *text = nullptr;
    CHECK(succeeded(mpscnn_kernels(&text)));
    CHECK(taken(text).find("\"MPSCNNPoolingMax\"") != std::string::npos);
    mpscnn_kernel *kernel =
        kernel_of("Convolution", R"({"input_feature_channels": 2, "output_feature_channels": 1})");
    CHECK(succeeded(mpscnn_kernel_weights(kernel, &text)));
    CHECK(taken(text).find(R"("role":"weights","shape":[1,1,1,2],"required":true,"set":false)") !=
          std::string::npos);
    const float weights[] = {1, 2};
    mpscnn_tensor tensor = floats(weights, {1, 1, 1, 2});
    CHECK(succeeded(mpscnn_kernel_set_weight(kernel, "weights", &tensor, nullptr, nullptr, 0)));
    CHECK(refused(mpscnn_kernel_set_weight(kernel, "slope", &tensor, nullptr, nullptr, 0),
                  MPSCNN_ERROR_WEIGHTS, "no such weight"));
    mpscnn_tensor stored{};
    CHECK(succeeded(mpscnn_kernel_get_weight(kernel, "weights", &stored)));
    CHECK(stored.rank == 4 && static_cast<const float *>(stored.data)[1] == 2);
    CHECK(refused(mpscnn_kernel_get_weight(kernel, "bias_terms", &stored), MPSCNN_ERROR_WEIGHTS,
                  "has been set"));
    CHECK(succeeded(mpscnn_kernel_remove_weight(kernel, "weights")));
    CHECK(
        refused(mpscnn_kernel_get_weight(kernel, "weights", &stored), MPSCNN_ERROR_WEIGHTS, "has been set"));
    CHECK(succeeded(mpscnn_kernel_set(kernel, R"({"offset": [1, 2, 0]})")));
    CHECK(succeeded(mpscnn_kernel_get(kernel, &text)));
    CHECK(taken(text).find("\"offset\":[1,2,0]") != std::string::npos);
    mpscnn_image_region region{};
    CHECK(succeeded(mpscnn_kernel_source_region(kernel, 0, 3, 2, &region)));
    CHECK(region.x == 1 && region.y == 2 && region.width == 3 && region.height == 2);
    CHECK(refused(mpscnn_kernel_source_region(kernel, 1, 3, 2, &region), MPSCNN_ERROR_PARAMETER,
                  "there is no source 1"));
    CHECK(refused(mpscnn_kernel_source_region(kernel, -1, 3, 2, &region), MPSCNN_ERROR_PARAMETER,
                  "source must not be negative, got -1"));
    mpscnn_kernel_release(kernel);
}

TEST(a_kernel_without_its_weights_is_refused) {
    Objects objects;
    mpscnn_kernel *kernel =
        kernel_of("Convolution", R"({"input_feature_channels": 2, "output_feature_channels": 1})");
    mpscnn_feature_image *source = image_of(2, 2, 2), *result = image_of(2, 2, 1);
    CHECK(refused(mpscnn_kernel_encode(kernel, objects.commands, &source, 1, result), MPSCNN_ERROR_WEIGHTS,
                  "Convolution: weights (1, 1, 1, 2) is missing"));
    CHECK(refused(mpscnn_kernel_encode(kernel, objects.commands, nullptr, 0, result), MPSCNN_ERROR_PARAMETER,
                  "takes 1 source images, got 0"));
    mpscnn_feature_image_release(source);
    mpscnn_feature_image_release(result);
    mpscnn_kernel_release(kernel);
}

/// Check the gradients of beta and gamma for a gradient of 1 at the first channel of the first pixel. The
/// normalized value there is -0.5.
void check_sums_of_gradients(const mpscnn_feature_image *source,
                             const mpscnn_batch_normalization_state *state, mpscnn_queue *queue) {
    mpscnn_command_buffer *commands = nullptr;
    CHECK(succeeded(mpscnn_command_buffer_create(queue, &commands)));
    mpscnn_feature_image *gradient = image_of(2, 1, 2), *sums = image_of(1, 2, 2);
    std::vector<float> values{1, 0, 0, 0};
    mpscnn_image_data data = data_of(values);
    const mpscnn_image_region whole{0, 0, 0, 0, 1, 1, 2, 2}, rows{0, 0, 0, 0, 1, 2, 1, 2};
    CHECK(succeeded(mpscnn_feature_image_write(gradient, &whole, &data)));
    mpscnn_kernel *kernel = kernel_of("BatchNormalizationStatisticsGradient",
                                      R"({"number_of_feature_channels": 2, "epsilon": 3})");
    const mpscnn_feature_image *sources[] = {gradient, source};
    CHECK(refused(mpscnn_kernel_encode_gradient_with_state(kernel, commands, sources, 1, state, sums),
                  MPSCNN_ERROR_PARAMETER, "takes 2 source images, got 1"));
    CHECK(refused(mpscnn_kernel_encode_gradient_with_state(kernel, commands, sources, 2, nullptr, sums),
                  MPSCNN_ERROR_PARAMETER, "state"));
    CHECK(succeeded(mpscnn_kernel_encode_gradient_with_state(kernel, commands, sources, 2, state, sums)));
    CHECK(succeeded(mpscnn_command_buffer_commit(commands)));
    CHECK(succeeded(mpscnn_command_buffer_wait(commands)));
    CHECK(succeeded(mpscnn_feature_image_read(sums, &rows, &data)));
    CHECK((values == std::vector<float>{1, 0, -0.5f, 0}));
    mpscnn_command_buffer_release(commands);
    mpscnn_kernel_release(kernel);
    mpscnn_feature_image_release(gradient);
    mpscnn_feature_image_release(sums);
}

TEST(statistics_of_a_batch_are_added_to_a_state) {
    Objects objects;
    mpscnn_batch_normalization_state *state = nullptr;
    CHECK(refused(mpscnn_batch_normalization_state_create(0, &state), MPSCNN_ERROR_PARAMETER,
                  "feature_channels must be 1 to"));
    CHECK(succeeded(mpscnn_batch_normalization_state_create(2, &state)));
    std::int64_t channels = 0;
    CHECK(succeeded(mpscnn_batch_normalization_state_feature_channels(state, &channels)));
    CHECK(channels == 2);
    float mean[2], variance[2];
    CHECK(refused(mpscnn_batch_normalization_state_read(state, mean, variance), MPSCNN_ERROR_STATE,
                  "has no statistics"));

    mpscnn_feature_image *source = image_of(2, 1, 2), *result = image_of(2, 1, 2);
    std::vector<float> values{1, 10, 3, 10};
    mpscnn_image_data data = data_of(values);
    const mpscnn_image_region whole{0, 0, 0, 0, 1, 1, 2, 2};
    CHECK(succeeded(mpscnn_feature_image_write(source, &whole, &data)));
    mpscnn_kernel *statistics = kernel_of("BatchNormalizationStatistics", nullptr);
    mpscnn_kernel *normalization =
        kernel_of("BatchNormalization", R"({"number_of_feature_channels": 2, "epsilon": 3})");
    CHECK(refused(mpscnn_kernel_encode(statistics, objects.commands, &source, 1, result),
                  MPSCNN_ERROR_PARAMETER, "writes a batch normalization state and no image"));
    CHECK(succeeded(mpscnn_kernel_encode_statistics(statistics, objects.commands, source, state)));
    CHECK(succeeded(mpscnn_kernel_encode_with_state(normalization, objects.commands, source, state, result)));
    CHECK(succeeded(mpscnn_command_buffer_commit(objects.commands)));
    CHECK(succeeded(mpscnn_command_buffer_wait(objects.commands)));
    CHECK(succeeded(mpscnn_batch_normalization_state_read(state, mean, variance)));
    CHECK(mean[0] == 2 && mean[1] == 10 && variance[0] == 1 && variance[1] == 0);
    CHECK(succeeded(mpscnn_feature_image_read(result, &whole, &data)));
    CHECK((values == std::vector<float>{-0.5f, 0, 0.5f, 0}));
    check_sums_of_gradients(source, state, objects.queue);
    CHECK(succeeded(mpscnn_batch_normalization_state_reset(state)));
    CHECK(refused(mpscnn_batch_normalization_state_read(state, mean, variance), MPSCNN_ERROR_STATE,
                  "has no statistics"));
    CHECK(refused(mpscnn_batch_normalization_state_reset(nullptr), MPSCNN_ERROR_PARAMETER, "state"));
    mpscnn_batch_normalization_state_release(state);
    mpscnn_batch_normalization_state_release(nullptr);
    mpscnn_kernel_release(statistics);
    mpscnn_kernel_release(normalization);
    mpscnn_feature_image_release(source);
    mpscnn_feature_image_release(result);
}

TEST(a_network_is_encoded_between_kernels) {
    Objects objects;
    mpscnn_program *program = classifier_program();
    mpscnn_session *session = session_of(program);
    mpscnn_feature_image *image = image_of(side, side, 3), *logits = image_of(1, 1, classes);
    void *memory = nullptr;
    std::int64_t strides[4];
    CHECK(succeeded(mpscnn_feature_image_memory(image, &memory, strides)));
    for (int pixel = 0; pixel < side * side; ++pixel) static_cast<float *>(memory)[4 * pixel + 1] = 0.5f;
    CHECK(succeeded(mpscnn_command_buffer_encode_session(objects.commands, session, &image, 1, &logits, 1)));
    mpscnn_session_release(session);
    mpscnn_program_release(program);
    CHECK(succeeded(mpscnn_command_buffer_enqueue(objects.commands)));
    CHECK(succeeded(mpscnn_command_buffer_commit(objects.commands)));
    CHECK(succeeded(mpscnn_command_buffer_wait(objects.commands)));
    int code = -1;
    CHECK(succeeded(mpscnn_command_buffer_error(objects.commands, &code, nullptr)));
    CHECK(code == 0);
    CHECK(succeeded(mpscnn_feature_image_memory(logits, &memory, strides)));
    CHECK(static_cast<const float *>(memory)[1] == 5.0f);
    mpscnn_feature_image_release(image);
    mpscnn_feature_image_release(logits);
}

TEST(arguments_are_checked) {
    mpscnn_queue *queue = nullptr;
    mpscnn_kernel *kernel = nullptr;
    mpscnn_feature_image *image = nullptr;
    mpscnn_queue_options options{};
    CHECK(refused(mpscnn_queue_create(&options, &queue), MPSCNN_ERROR_PARAMETER, "options.size"));
    options.size = sizeof options;
    options.threads = -1;
    CHECK(refused(mpscnn_queue_create(&options, &queue), MPSCNN_ERROR_PARAMETER, "threads must be"));
    CHECK(refused(mpscnn_queue_create(nullptr, nullptr), MPSCNN_ERROR_PARAMETER, "queue must not be NULL"));
    CHECK(refused(mpscnn_queue_wait(nullptr), MPSCNN_ERROR_PARAMETER, "queue"));
    CHECK(refused(mpscnn_command_buffer_commit(nullptr), MPSCNN_ERROR_PARAMETER, "commands"));
    CHECK(refused(mpscnn_kernel_create("PoolingMedian", nullptr, &kernel), MPSCNN_ERROR_PARAMETER,
                  "unknown kernel 'PoolingMedian'"));
    CHECK(refused(mpscnn_kernel_create("PoolingMax", R"({"size": 2})", &kernel), MPSCNN_ERROR_PARAMETER,
                  "unknown parameter 'size'"));
    CHECK(refused(mpscnn_kernel_create(nullptr, nullptr, &kernel), MPSCNN_ERROR_PARAMETER, "name"));
    CHECK(refused(mpscnn_feature_image_create(nullptr, &image), MPSCNN_ERROR_PARAMETER, "descriptor"));
    mpscnn_image_descriptor size = descriptor(1, 1, 1);
    size.format = 9;
    CHECK(refused(mpscnn_feature_image_create(&size, &image), MPSCNN_ERROR_PARAMETER, "format"));
    mpscnn_queue_release(nullptr);
    mpscnn_command_buffer_release(nullptr);
    mpscnn_feature_image_release(nullptr);
    mpscnn_kernel_release(nullptr);
}

TEST(custom_kernels_are_metals) {
    mpscnn_custom_kernel *kernel = nullptr;
    CHECK(refused(mpscnn_custom_kernel_create("kernel void run() {}", "run", nullptr, "cpu", &kernel),
                  MPSCNN_ERROR_UNSUPPORTED, "custom kernels run on Metal only, not on 'cpu'"));
    CHECK(refused(mpscnn_custom_kernel_create(nullptr, "run", nullptr, "cpu", &kernel),
                  MPSCNN_ERROR_PARAMETER, "source"));
    CHECK(refused(mpscnn_custom_kernel_create("", "run", "{", "cpu", &kernel), MPSCNN_ERROR_PARAMETER,
                  "byte 1"));
    mpscnn_text *json = nullptr;
    CHECK(refused(mpscnn_custom_kernel_describe(nullptr, &json), MPSCNN_ERROR_PARAMETER, "kernel"));
    CHECK(refused(mpscnn_custom_kernel_encode(nullptr, nullptr, nullptr, 0, nullptr, nullptr),
                  MPSCNN_ERROR_PARAMETER, "kernel"));
    mpscnn_custom_kernel_release(nullptr);
}
