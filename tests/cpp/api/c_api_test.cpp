// The C interface as a C program uses it: functions of the library itself, and building networks.

#include <cstring>
#include <string>
#include <string_view>
#include <thread>

#include "tests/cpp/c_api.h"

using namespace c_api_test;

TEST(library_describes_itself) {
    mpscnn_text *text = nullptr;
    CHECK(std::string_view(mpscnn_version()).find('.') != std::string_view::npos);
    CHECK(succeeded(mpscnn_build_config(&text)));
    const std::string config = taken(text);
    CHECK(config.find("\"instruction_sets\"") != std::string::npos);
    CHECK(config.find(std::string("\"version\":\"") + mpscnn_version()) != std::string::npos);
    CHECK(succeeded(mpscnn_operations(&text)));
    CHECK(taken(text).find("\"convolution\"") != std::string::npos);
    CHECK(succeeded(mpscnn_cases(&text)));
    CHECK(taken(text).find("\"convolution, even window\"") != std::string::npos);
    CHECK(succeeded(mpscnn_unsupported_features(&text)));
    CHECK(taken(text).find("\"engine\":\"metal\"") != std::string::npos);
    CHECK(succeeded(mpscnn_devices(&text)));
    CHECK(taken(text).find("\"cpu\"") != std::string::npos);
    CHECK(succeeded(mpscnn_processors(&text)));
    CHECK(taken(text).find("\"threads\"") != std::string::npos);
    CHECK(refused(mpscnn_processors(nullptr), MPSCNN_ERROR_PARAMETER, "json"));
    CHECK(refused(mpscnn_build_config(nullptr), MPSCNN_ERROR_PARAMETER, "json must not be NULL"));
    CHECK(refused(mpscnn_operations(nullptr), MPSCNN_ERROR_PARAMETER, "json"));
    CHECK(refused(mpscnn_cases(nullptr), MPSCNN_ERROR_PARAMETER, "json"));
    CHECK(refused(mpscnn_unsupported_features(nullptr), MPSCNN_ERROR_PARAMETER, "json"));
    CHECK(refused(mpscnn_devices(nullptr), MPSCNN_ERROR_PARAMETER, "json"));
    CHECK(mpscnn_text_size(nullptr) == 0 && *mpscnn_text_data(nullptr) == '\0');
}

TEST(devices_are_checked_by_name) {
    mpscnn_text *text = nullptr;
    CHECK(refused(mpscnn_check_device(nullptr, &text), MPSCNN_ERROR_PARAMETER, "device must not be NULL"));
    CHECK(refused(mpscnn_check_device("metal", nullptr), MPSCNN_ERROR_PARAMETER, "text must not be NULL"));
    for (const char *wrong : {"auto", "gpu", "", "cpu:0", "metal:"})
        CHECK(refused(mpscnn_check_device(wrong, &text), MPSCNN_ERROR_PARAMETER, "device must be"));
    CHECK(refused(mpscnn_check_device("cpu", &text), MPSCNN_ERROR_PARAMETER,
                  "device 'cpu' is what others are compared with"));
    CHECK(refused(mpscnn_check_device("metal:no such GPU", &text), MPSCNN_ERROR_DEVICE, "Metal"));
    CHECK(refused(mpscnn_check_device("coreml", &text), MPSCNN_ERROR_PARAMETER, "has no check"));
}

TEST(packages_are_compiled_by_core_ml) {
    mpscnn_text *path = nullptr;
    CHECK(refused(mpscnn_coreml_compile(nullptr, &path), MPSCNN_ERROR_PARAMETER, "package must not be NULL"));
    CHECK(refused(mpscnn_coreml_compile("a.mlpackage", nullptr), MPSCNN_ERROR_PARAMETER,
                  "path must not be NULL"));
    CHECK(refused(mpscnn_coreml_compile("/nowhere.mlpackage", &path), MPSCNN_ERROR_DEVICE, "Core ML"));
}

TEST(releasing_null_is_allowed) {
    mpscnn_text_release(nullptr);
    mpscnn_graph_release(nullptr);
    mpscnn_program_release(nullptr);
    mpscnn_session_release(nullptr);
    mpscnn_model_release(nullptr);
    mpscnn_predictions_release(nullptr);
    CHECK(mpscnn_program_device(nullptr) == nullptr);
    CHECK(mpscnn_program_warning(nullptr) == nullptr);
    CHECK(mpscnn_program_input_count(nullptr) == 0);
    CHECK(mpscnn_program_output_count(nullptr) == 0);
    CHECK(mpscnn_predictions_count(nullptr) == 0);
}

TEST(last_error_belongs_to_its_thread) {
    CHECK(refused(mpscnn_devices(nullptr), MPSCNN_ERROR_PARAMETER, "json"));
    std::string other = "unset";
    std::thread([&] { other = mpscnn_last_error(); }).join();
    CHECK(other.empty());
    CHECK(std::string_view(mpscnn_last_error()).find("json") != std::string_view::npos);
}

TEST(halves) {
    const float source[] = {1.0f, 65520.0f, 5.9604645e-8f};
    std::uint16_t halves[3];
    float back[3];
    std::size_t overflows = 7;
    CHECK(succeeded(mpscnn_halves_from_floats(source, halves, 3, &overflows)));
    CHECK(overflows == 1);
    CHECK(succeeded(mpscnn_halves_from_floats(source, halves, 3, nullptr)));
    CHECK(halves[0] == 0x3c00 && halves[1] == 0x7c00 && halves[2] == 1);
    CHECK(succeeded(mpscnn_floats_from_halves(halves, back, 3)));
    CHECK(back[0] == 1.0f && back[2] == source[2]);
    CHECK(succeeded(mpscnn_halves_from_floats(nullptr, nullptr, 0, &overflows)));
    CHECK(overflows == 0);
    CHECK(refused(mpscnn_halves_from_floats(nullptr, halves, 1, nullptr), MPSCNN_ERROR_PARAMETER, "source"));
    CHECK(refused(mpscnn_floats_from_halves(halves, nullptr, 1), MPSCNN_ERROR_PARAMETER, "destination"));
}

TEST(graph_refuses_null_arguments) {
    mpscnn_graph *graph = classifier_graph();
    mpscnn_text *text = nullptr;
    const std::int64_t shape[MPSCNN_MAX_RANK] = {-1, 4};
    std::int64_t extents[MPSCNN_MAX_RANK];
    const int input = 0;
    int value = 77, rank = 0;
    mpscnn_tensor tensor = floats(nullptr, {3, 1, 1, 3});
    constexpr auto parameter = MPSCNN_ERROR_PARAMETER;
    CHECK(refused(mpscnn_graph_create(nullptr, &graph), parameter, "name"));
    CHECK(refused(mpscnn_graph_create("x", nullptr), parameter, "graph"));
    CHECK(refused(mpscnn_graph_from_json(nullptr, 0, &graph), parameter, "json"));
    CHECK(refused(mpscnn_graph_from_json("{}", 2, nullptr), parameter, "graph"));
    CHECK(refused(mpscnn_graph_add_input(nullptr, "x", shape, 2, &value), parameter, "graph"));
    CHECK(refused(mpscnn_graph_add_input(graph, nullptr, shape, 2, &value), parameter, "name"));
    CHECK(refused(mpscnn_graph_add_input(graph, "x", nullptr, 2, &value), parameter, "shape"));
    CHECK(refused(mpscnn_graph_add_input(graph, "x", shape, 2, nullptr), parameter, "value"));
    CHECK(refused(mpscnn_graph_add_node(nullptr, "softmax", "s", &input, 1, nullptr, nullptr, &value),
                  parameter, "graph"));
    CHECK(refused(mpscnn_graph_add_node(graph, nullptr, "s", &input, 1, nullptr, nullptr, &value), parameter,
                  "operation"));
    CHECK(refused(mpscnn_graph_add_node(graph, "softmax", nullptr, &input, 1, nullptr, nullptr, &value),
                  parameter, "name"));
    CHECK(refused(mpscnn_graph_add_node(graph, "softmax", "s", nullptr, 1, nullptr, nullptr, &value),
                  parameter, "inputs"));
    CHECK(refused(mpscnn_graph_add_node(graph, "softmax", "s", &input, -1, nullptr, nullptr, &value),
                  parameter, "negative"));
    CHECK(refused(mpscnn_graph_add_node(graph, "softmax", "s", &input, 1, nullptr, nullptr, nullptr),
                  parameter, "value"));
    CHECK(refused(mpscnn_graph_mark_output(nullptr, 0), parameter, "graph"));
    CHECK(refused(mpscnn_graph_keep_float32(nullptr, 0, 1), parameter, "graph"));
    CHECK(refused(mpscnn_graph_set_learning(nullptr, 0, 1), parameter, "graph"));
    CHECK(refused(mpscnn_graph_quantize(nullptr, 0, "uint8", 1.0f, 0), parameter, "graph"));
    CHECK(refused(mpscnn_graph_quantize(graph, 0, nullptr, 1.0f, 0), parameter, "type"));
    CHECK(refused(mpscnn_graph_shape(nullptr, 0, extents, &rank), parameter, "graph"));
    CHECK(refused(mpscnn_graph_shape(graph, 0, nullptr, &rank), parameter, "shape"));
    CHECK(refused(mpscnn_graph_shape(graph, 0, extents, nullptr), parameter, "rank"));
    CHECK(refused(mpscnn_graph_set_weight(nullptr, "logits", "weight", &tensor, nullptr, nullptr, 0),
                  parameter, "graph"));
    CHECK(refused(mpscnn_graph_set_weight(graph, nullptr, "weight", &tensor, nullptr, nullptr, 0), parameter,
                  "layer"));
    CHECK(refused(mpscnn_graph_set_weight(graph, "logits", nullptr, &tensor, nullptr, nullptr, 0), parameter,
                  "role"));
    CHECK(refused(mpscnn_graph_set_weight(graph, "logits", "weight", nullptr, nullptr, nullptr, 0), parameter,
                  "tensor"));
    CHECK(refused(mpscnn_graph_set_weight(graph, "logits", "weight", &tensor, nullptr, nullptr, 0), parameter,
                  "data must not be NULL"));
    CHECK(refused(mpscnn_graph_set_weight(graph, "logits", "weight", &tensor, nullptr, nullptr, 1), parameter,
                  "scales"));
    CHECK(refused(mpscnn_graph_get_weight(nullptr, "logits", "weight", &tensor, nullptr, nullptr, nullptr),
                  parameter, "graph"));
    CHECK(refused(mpscnn_graph_get_weight(graph, "logits", "weight", nullptr, nullptr, nullptr, nullptr),
                  parameter, "tensor"));
    CHECK(refused(mpscnn_graph_to_json(graph, nullptr), parameter, "json"));
    CHECK(refused(mpscnn_graph_to_json(nullptr, &text), parameter, "graph"));
    CHECK(refused(mpscnn_graph_describe(nullptr, 0, 0, &text), parameter, "graph"));
    CHECK(refused(mpscnn_graph_describe(graph, 0, 0, nullptr), parameter, "json"));
    CHECK(refused(mpscnn_graph_weights(nullptr, &text), parameter, "graph"));
    CHECK(refused(mpscnn_graph_weights(graph, nullptr), parameter, "json"));
    CHECK(value == 77); // out-parameters are only written on success
    mpscnn_graph_release(graph);
}

TEST(graphs_are_copied) {
    mpscnn_graph *graph = classifier_graph();
    mpscnn_graph *copy = nullptr;
    CHECK(refused(mpscnn_graph_copy(graph, nullptr), MPSCNN_ERROR_PARAMETER, "copy"));
    CHECK(refused(mpscnn_graph_copy(nullptr, &copy), MPSCNN_ERROR_PARAMETER, "graph"));
    CHECK(succeeded(mpscnn_graph_copy(graph, &copy)));
    mpscnn_text *text = nullptr;
    CHECK(succeeded(mpscnn_graph_to_json(graph, &text)));
    const std::string structure = taken(text);
    // Changes of the copy do not affect the original, and it stays valid after the original is released.
    CHECK(succeeded(mpscnn_graph_keep_float32(copy, 1, 1)));
    CHECK(succeeded(mpscnn_graph_set_learning(copy, 1, 0)));
    CHECK(succeeded(mpscnn_graph_quantize(copy, 0, "int8", 0.5f, -3)));
    CHECK(succeeded(mpscnn_graph_to_json(graph, &text)));
    CHECK(taken(text) == structure);
    mpscnn_graph_release(graph);
    CHECK(succeeded(mpscnn_graph_to_json(copy, &text)));
    const std::string changed = taken(text);
    CHECK(changed != structure);
    CHECK(changed.find(R"("learns":false)") != std::string::npos);
    CHECK(changed.find(R"("quantization":{"type":"int8","scale":0.5,"zero_point":-3})") != std::string::npos);
    mpscnn_graph_release(copy);
}

TEST(graphs_share_weights) {
    mpscnn_graph *graph = classifier_graph(), *other = classifier_graph();
    float matrix[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    const mpscnn_tensor tensor = floats(matrix, {3, 1, 1, 3});
    CHECK(succeeded(mpscnn_graph_set_weight(graph, "logits", "weight", &tensor, nullptr, nullptr, 0)));
    const auto share = [&](const char *layer, const char *role, const char *source) {
        return mpscnn_graph_share_weight(other, layer, role, graph, source);
    };
    CHECK(refused(mpscnn_graph_share_weight(nullptr, "logits", "weight", graph, "logits"),
                  MPSCNN_ERROR_PARAMETER, "graph"));
    CHECK(refused(mpscnn_graph_share_weight(other, "logits", "weight", nullptr, "logits"),
                  MPSCNN_ERROR_PARAMETER, "source"));
    CHECK(refused(share(nullptr, "weight", "logits"), MPSCNN_ERROR_PARAMETER, "layer"));
    CHECK(refused(share("logits", nullptr, "logits"), MPSCNN_ERROR_PARAMETER, "role"));
    CHECK(refused(share("logits", "weight", nullptr), MPSCNN_ERROR_PARAMETER, "source_layer"));
    CHECK(refused(share("pool", "weight", "logits"), MPSCNN_ERROR_WEIGHTS, "no such weight"));
    CHECK(refused(share("logits", "bias", "logits"), MPSCNN_ERROR_WEIGHTS, "has been set"));
    CHECK(succeeded(share("logits", "weight", "logits")));
    mpscnn_tensor first{}, second{};
    CHECK(succeeded(mpscnn_graph_get_weight(graph, "logits", "weight", &first, nullptr, nullptr, nullptr)));
    CHECK(succeeded(mpscnn_graph_get_weight(other, "logits", "weight", &second, nullptr, nullptr, nullptr)));
    CHECK(first.data == second.data);
    // The memory stays valid after the first graph is released.
    mpscnn_graph_release(graph);
    CHECK(std::memcmp(second.data, matrix, sizeof matrix) == 0);
    mpscnn_graph_release(other);
}

TEST(graph_refuses_what_does_not_fit) {
    mpscnn_graph *graph = classifier_graph();
    const std::int64_t shape[MPSCNN_MAX_RANK] = {-1, 4};
    std::int64_t extents[MPSCNN_MAX_RANK];
    const int image = 0, unknown = 42;
    int value = 0, rank = 0;
    CHECK(
        refused(mpscnn_graph_add_input(graph, "late", shape, 2, &value), MPSCNN_ERROR_STATE, "first layer"));
    CHECK(refused(mpscnn_graph_add_input(graph, "x", shape, 7, &value), MPSCNN_ERROR_SHAPE, "rank"));
    CHECK(refused(mpscnn_graph_add_node(graph, "magic", "m", &image, 1, nullptr, nullptr, &value),
                  MPSCNN_ERROR_PARAMETER, "magic"));
    CHECK(refused(mpscnn_graph_add_node(graph, "softmax", "m", &unknown, 1, nullptr, nullptr, &value),
                  MPSCNN_ERROR_PARAMETER, "42"));
    CHECK(refused(mpscnn_graph_add_node(graph, "softmax", "pool", &image, 1, nullptr, nullptr, &value),
                  MPSCNN_ERROR_PARAMETER, "pool"));
    CHECK(refused(mpscnn_graph_add_node(graph, "fully_connected", "m", &image, 1, R"({"outputs": "many"})",
                                        nullptr, &value),
                  MPSCNN_ERROR_PARAMETER, "outputs"));
    CHECK(refused(mpscnn_graph_add_node(graph, "fully_connected", "m", &image, 1, "{", nullptr, &value),
                  MPSCNN_ERROR_PARAMETER, ""));
    CHECK(refused(mpscnn_graph_mark_output(graph, 42), MPSCNN_ERROR_PARAMETER, "42"));
    CHECK(refused(mpscnn_graph_keep_float32(graph, 42, 1), MPSCNN_ERROR_PARAMETER, "42"));
    CHECK(refused(mpscnn_graph_keep_float32(graph, image, 1), MPSCNN_ERROR_PARAMETER, "input"));
    CHECK(refused(mpscnn_graph_set_learning(graph, 42, 1), MPSCNN_ERROR_PARAMETER, "42"));
    CHECK(refused(mpscnn_graph_set_learning(graph, image, 1), MPSCNN_ERROR_PARAMETER, "input"));
    CHECK(refused(mpscnn_graph_quantize(graph, 42, "uint8", 1.0f, 0), MPSCNN_ERROR_PARAMETER, "42"));
    CHECK(refused(mpscnn_graph_quantize(graph, image, "int8", 1.0f, 128), MPSCNN_ERROR_PARAMETER,
                  "the zero point of int8 must be -128 to 127, got 128"));
    CHECK(refused(mpscnn_graph_shape(graph, -1, extents, &rank), MPSCNN_ERROR_PARAMETER, "-1"));
    CHECK(refused(mpscnn_graph_from_json("[1]", 3, &graph), MPSCNN_ERROR_PARAMETER, ""));
    CHECK(succeeded(mpscnn_graph_shape(graph, 2, extents, &rank)));
    CHECK(rank == 2 && extents[0] == -1 && extents[1] == classes);
    mpscnn_graph_release(graph);
}

TEST(weights_are_copied_and_checked) {
    mpscnn_graph *graph = classifier_graph();
    // The strides of this weight (3, 1, 1, 3) read the columns of a matrix.
    float matrix[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    mpscnn_tensor tensor = floats(matrix, {3, 1, 1, 3});
    tensor.strides[0] = sizeof(float);
    tensor.strides[1] = tensor.strides[2] = tensor.strides[3] = 3 * sizeof(float);
    CHECK(succeeded(mpscnn_graph_set_weight(graph, "logits", "weight", &tensor, nullptr, nullptr, 0)));
    matrix[0] = 100;
    mpscnn_tensor stored{};
    CHECK(succeeded(mpscnn_graph_get_weight(graph, "logits", "weight", &stored, nullptr, nullptr, nullptr)));
    const float expected[] = {1, 4, 7, 2, 5, 8, 3, 6, 9};
    CHECK(stored.rank == 4 && std::memcmp(stored.data, expected, sizeof expected) == 0);

    const std::uint8_t bytes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    const float scales[] = {0.5f, 1.0f, 2.0f}, zero_points[] = {128.0f, 0.0f, 3.0f};
    tensor = floats(nullptr, {3, 1, 1, 3});
    tensor.data = const_cast<std::uint8_t *>(bytes);
    tensor.dtype = MPSCNN_UINT8;
    CHECK(refused(mpscnn_graph_set_weight(graph, "logits", "weight", &tensor, nullptr, nullptr, 0),
                  MPSCNN_ERROR_WEIGHTS, "scales"));
    CHECK(refused(mpscnn_graph_set_weight(graph, "logits", "weight", &tensor, scales, zero_points, 2),
                  MPSCNN_ERROR_WEIGHTS, "3"));
    CHECK(succeeded(mpscnn_graph_set_weight(graph, "logits", "weight", &tensor, scales, zero_points, 3)));
    const float *stored_scales = nullptr, *stored_zero_points = nullptr;
    std::int64_t count = 0;
    CHECK(succeeded(mpscnn_graph_get_weight(graph, "logits", "weight", &stored, &stored_scales,
                                            &stored_zero_points, &count)));
    CHECK(stored.dtype == MPSCNN_UINT8 && count == 3 && stored_scales[2] == 2.0f &&
          stored_zero_points[0] == 128.0f);

    tensor.dtype = 9;
    CHECK(refused(mpscnn_graph_set_weight(graph, "logits", "weight", &tensor, nullptr, nullptr, 0),
                  MPSCNN_ERROR_PARAMETER, "dtype 9"));
    tensor = floats(matrix, {3, 3});
    CHECK(refused(mpscnn_graph_set_weight(graph, "logits", "weight", &tensor, nullptr, nullptr, 0),
                  MPSCNN_ERROR_WEIGHTS, "(3, 1, 1, 3)"));
    CHECK(refused(mpscnn_graph_set_weight(graph, "logits", "slope", &tensor, nullptr, nullptr, 0),
                  MPSCNN_ERROR_WEIGHTS, "no such weight"));
    CHECK(refused(mpscnn_graph_set_weight(graph, "nothing", "weight", &tensor, nullptr, nullptr, 0),
                  MPSCNN_ERROR_PARAMETER, "nothing"));
    CHECK(refused(mpscnn_graph_get_weight(graph, "pool", "weight", &stored, nullptr, nullptr, nullptr),
                  MPSCNN_ERROR_WEIGHTS, "pool"));
    tensor =
        floats(reinterpret_cast<const float *>(reinterpret_cast<const char *>(matrix) + 1), {3, 1, 1, 3});
    CHECK(refused(mpscnn_graph_set_weight(graph, "logits", "weight", &tensor, nullptr, nullptr, 0),
                  MPSCNN_ERROR_PARAMETER, "aligned"));
    mpscnn_graph_release(graph);
}
