// Training with the C interface: a classifier and a detector learn, and bad arguments are refused.

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "tests/cpp/c_api.h"

using namespace c_api_test;

namespace {

constexpr std::int64_t images = 6;

/// Images with one bright channel. The class is the next channel, which the network has yet to learn.
struct Batch {
    std::vector<float> pixels, labels;

    Batch() : pixels(images * side * side * 3), labels(images * classes) {
        for (std::size_t i = 0; i < pixels.size(); ++i) {
            const std::size_t image = i / (side * side * 3);
            pixels[i] = i % 3 == image % 3 ? 0.5f : 0.01f * static_cast<float>(i % 7);
        }
        for (std::size_t i = 0; i < images; ++i) labels[i * classes + (i + 1) % 3] = 1.0f;
    }
    mpscnn_tensor image_tensor() const { return floats(pixels.data(), {images, side, side, 3}); }
    mpscnn_tensor label_tensor() const { return floats(labels.data(), {images, classes}); }
};

const char *const options = R"({"loss": {"kind": "softmax_cross_entropy"}, "optimizer": {"kind": "sgd",
    "momentum": 0.9}, "average_rate": 0.5})";

mpscnn_trainer *trainer_with(const char *given) {
    mpscnn_graph *graph = classifier_graph();
    mpscnn_trainer *trainer = nullptr;
    CHECK(succeeded(mpscnn_trainer_create(graph, given, "cpu", 1, &trainer)));
    mpscnn_graph_release(graph);
    return trainer;
}

double step(mpscnn_trainer *trainer, float *prediction = nullptr) {
    const Batch batch;
    const mpscnn_tensor x = batch.image_tensor(), y = batch.label_tensor();
    const mpscnn_tensor made = floats(prediction, {images, classes});
    double loss = -1;
    CHECK(succeeded(mpscnn_trainer_step(trainer, &x, 1, &y, 1.0f, prediction ? &made : nullptr, &loss)));
    return loss;
}

std::vector<float> variable(mpscnn_trainer *trainer, const char *name, std::size_t count) {
    std::vector<float> values(count);
    CHECK(succeeded(mpscnn_trainer_read(trainer, name, values.data(), count)));
    return values;
}

bool close_to(double a, double b) { return std::fabs(a - b) < 1e-5; }

} // namespace

TEST(a_classifier_learns) {
    mpscnn_trainer *trainer = trainer_with(options);
    std::vector<float> logits(images * classes);
    const double first = step(trainer, logits.data());
    double expected = 0;
    for (std::size_t i = 0; i < images; ++i) {
        double sum = 0;
        for (std::size_t c = 0; c < classes; ++c)
            sum += std::exp(static_cast<double>(logits[i * classes + c]));
        expected += std::log(sum) - static_cast<double>(logits[i * classes + (i + 1) % 3]);
    }
    CHECK(close_to(first, expected / images));
    double last = first;
    for (int i = 0; i < 20; ++i) last = step(trainer);
    CHECK(last < 0.5 * first);

    mpscnn_text *text = nullptr;
    CHECK(succeeded(mpscnn_trainer_describe(trainer, &text)));
    const std::string described = taken(text);
    for (const char *part : {R"("steps":21)", R"("updates":21)", R"("prediction":[-1,3])",
                             R"("prediction_layers":["logits"])", R"("name":"logits.weight")"})
        CHECK(described.find(part) != std::string::npos);

    mpscnn_graph *network = nullptr, *averages = nullptr;
    CHECK(succeeded(mpscnn_trainer_network(trainer, &network)));
    CHECK(succeeded(mpscnn_trainer_averages(trainer, &averages)));
    const std::vector<float> weight = variable(trainer, "logits.weight", 9);
    const auto weight_of = [](const mpscnn_graph *graph) {
        mpscnn_tensor held{};
        CHECK(
            succeeded(mpscnn_graph_get_weight(graph, "logits", "weight", &held, nullptr, nullptr, nullptr)));
        const auto *values = static_cast<const float *>(held.data);
        return std::vector<float>(values, values + 9);
    };
    CHECK(weight_of(network) == weight);
    CHECK(weight_of(averages) == variable(trainer, "logits.weight.average", 9));
    CHECK(weight_of(averages) != weight);
    mpscnn_graph_release(averages);
    mpscnn_graph_release(network);
    mpscnn_trainer_release(trainer);
    mpscnn_trainer_release(nullptr);
}

TEST(another_trainer_goes_on_from_what_one_has_read) {
    mpscnn_trainer *one = trainer_with(options), *other = trainer_with(options);
    for (int i = 0; i < 5; ++i) step(one);
    for (const char *name : {"logits.weight", "logits.weight.moment", "logits.weight.average"}) {
        const std::vector<float> values = variable(one, name, 9);
        CHECK(succeeded(mpscnn_trainer_write(other, name, values.data(), values.size())));
    }
    CHECK(succeeded(mpscnn_trainer_set_steps(other, 5)));
    for (int i = 0; i < 3; ++i) CHECK(step(one) == step(other));
    CHECK(variable(one, "logits.weight.average", 9) == variable(other, "logits.weight.average", 9));
    mpscnn_trainer_release(other);
    mpscnn_trainer_release(one);
}

TEST(a_profile_is_of_steps_that_are_not_taken_over) {
    mpscnn_trainer *one = trainer_with(options), *other = trainer_with(options);
    step(one), step(other);
    const Batch batch;
    const mpscnn_tensor x = batch.image_tensor(), y = batch.label_tensor();
    const mpscnn_profile_options runs{sizeof runs, 3};
    mpscnn_text *json = nullptr, *trace = nullptr;
    CHECK(succeeded(mpscnn_trainer_profile(one, &x, 1, &y, &runs, &json, &trace)));
    const std::string profile = taken(json);
    for (const char *part : {R"("kind":"weight gradient")", R"("kind":"update")", R"("logits")"})
        CHECK(profile.find(part) != std::string::npos);
    CHECK(taken(trace).find("traceEvents") != std::string::npos);
    CHECK(succeeded(mpscnn_trainer_profile(one, &x, 1, &y, nullptr, &json, nullptr)));
    mpscnn_text_release(json);
    for (int i = 0; i < 3; ++i) CHECK(step(one) == step(other));

    const mpscnn_profile_options negative{sizeof negative, -1};
    CHECK(refused(mpscnn_trainer_profile(one, &x, 1, &y, &negative, &json, nullptr), MPSCNN_ERROR_PARAMETER,
                  "runs must be"));
    CHECK(refused(mpscnn_trainer_profile(one, &x, 1, nullptr, nullptr, &json, nullptr),
                  MPSCNN_ERROR_PARAMETER, "labels"));
    CHECK(refused(mpscnn_trainer_profile(one, &x, 1, &x, nullptr, &json, nullptr), MPSCNN_ERROR_SHAPE,
                  "labels must have the shape of the prediction"));
    mpscnn_trainer_release(other);
    mpscnn_trainer_release(one);
}

TEST(what_is_refused) {
    mpscnn_graph *graph = classifier_graph();
    mpscnn_trainer *trainer = nullptr;
    const auto create = [&](const char *given, const char *device = "cpu", int threads = 1) {
        return mpscnn_trainer_create(graph, given, device, threads, &trainer);
    };
    CHECK(refused(mpscnn_trainer_create(nullptr, nullptr, "cpu", 1, &trainer), MPSCNN_ERROR_PARAMETER,
                  "network"));
    CHECK(
        refused(mpscnn_trainer_create(graph, nullptr, "cpu", 1, nullptr), MPSCNN_ERROR_PARAMETER, "trainer"));
    CHECK(refused(create("{"), MPSCNN_ERROR_PARAMETER, "JSON"));
    CHECK(refused(create(R"({"loss": {"kind": "cross"}})"), MPSCNN_ERROR_PARAMETER, "loss.kind"));
    CHECK(refused(create(R"({"loss": 3})"), MPSCNN_ERROR_PARAMETER, "loss"));
    CHECK(refused(create(R"({"optimiser": {}})"), MPSCNN_ERROR_PARAMETER, "optimiser"));
    CHECK(refused(create(R"({"frozen": ["fc"]})"), MPSCNN_ERROR_PARAMETER, "no layer 'fc' to freeze"));
    CHECK(
        refused(create(R"({"frozen": ["logits"]})"), MPSCNN_ERROR_PARAMETER, "no layer that can be trained"));
    CHECK(refused(create(R"({"loss": {"kind": "multibox"}})"), MPSCNN_ERROR_PARAMETER,
                  "has no output 'boxes'"));
    CHECK(refused(create(nullptr, nullptr), MPSCNN_ERROR_PARAMETER, "device"));
    CHECK(refused(create(nullptr, "cpu", -1), MPSCNN_ERROR_PARAMETER, "threads must be 0 or more, got -1"));
    mpscnn_graph_release(graph);

    trainer = trainer_with(nullptr);
    Batch batch;
    mpscnn_tensor x = batch.image_tensor(), y = batch.label_tensor();
    double loss = 7;
    const auto make_step = [&](int count, const mpscnn_tensor *labels, float rate) {
        return mpscnn_trainer_step(trainer, &x, count, labels, rate, nullptr, &loss);
    };
    CHECK(refused(make_step(1, nullptr, 0.1f), MPSCNN_ERROR_PARAMETER, "labels"));
    CHECK(refused(make_step(0, &y, 0.1f), MPSCNN_ERROR_SHAPE, "takes 1 inputs, got 0"));
    CHECK(refused(make_step(1, &y, -1.0f), MPSCNN_ERROR_PARAMETER, "learning rate must be finite"));
    mpscnn_tensor wide = floats(batch.pixels.data(), {images, 4});
    CHECK(refused(make_step(1, &wide, 0.1f), MPSCNN_ERROR_SHAPE, "labels must have the shape"));
    mpscnn_tensor few = floats(batch.labels.data(), {images - 1, classes});
    CHECK(mpscnn_trainer_step(trainer, &x, 1, &few, 0.1f, nullptr, &loss) == MPSCNN_ERROR_SHAPE);
    const std::vector<float> before = variable(trainer, "logits.weight", 9);
    batch.pixels[5] = NAN;
    CHECK(refused(make_step(1, &y, 0.1f), MPSCNN_ERROR_STATE, "in step 0 the loss is NaN"));
    CHECK(variable(trainer, "logits.weight", 9) == before);
    float value = 0;
    CHECK(refused(mpscnn_trainer_read(trainer, "logits.bias", &value, 1), MPSCNN_ERROR_PARAMETER,
                  "no variable 'logits.bias'"));
    CHECK(refused(mpscnn_trainer_read(trainer, "logits.weight", &value, 1), MPSCNN_ERROR_SHAPE,
                  "has 9 elements, got 1"));
    CHECK(refused(mpscnn_trainer_set_steps(trainer, -1), MPSCNN_ERROR_PARAMETER, "steps must be 0 to"));
    mpscnn_graph *averages = nullptr;
    CHECK(refused(mpscnn_trainer_averages(trainer, &averages), MPSCNN_ERROR_PARAMETER, "no averages"));
    mpscnn_trainer_release(trainer);
}

TEST(gradients_are_a_graph) {
    mpscnn_graph *graph = classifier_graph(), *gradients = nullptr;
    CHECK(succeeded(mpscnn_gradient_graph(graph, options, 0, &gradients)));
    mpscnn_text *text = nullptr;
    CHECK(succeeded(mpscnn_graph_to_json(gradients, &text)));
    const std::string json = taken(text);
    for (const char *name : {"training.labels", "logits.weight.gradient", "image.gradient"})
        CHECK(json.find(name) != std::string::npos);
    mpscnn_graph_release(gradients);
    CHECK(refused(mpscnn_gradient_graph(graph, options, 0, nullptr), MPSCNN_ERROR_PARAMETER, "gradients"));
    mpscnn_graph_release(graph);
}

namespace {

const char *const detection = R"({"version": 1, "boxes": {"order": "xy"}, "scores": {"kind": "softmax"},
    "anchors": {"rule": "sizes", "strides": [4], "sizes": [[[3, 3], [5, 2]]]}})";

constexpr std::int64_t anchors = 8, columns = 3, row = 4 + columns;

/// A network (n, 8, 8, 3) -> convolutions for 2 x 2 cells with two anchors each: "boxes" (n, 8, 4), "scores"
/// (n, 8, 3).
mpscnn_graph *detector_graph() {
    mpscnn_graph *graph = nullptr;
    CHECK(succeeded(mpscnn_graph_create("detector", &graph)));
    const std::int64_t shape[] = {-1, side, side, 3};
    int image = 0;
    CHECK(succeeded(mpscnn_graph_add_input(graph, "image", shape, 4, &image)));
    for (const auto &[name, numbers] : {std::pair{"boxes", std::int64_t{4}}, std::pair{"scores", columns}}) {
        const std::string head = std::string(name) + "_head";
        const std::string attributes =
            R"({"kernel_height": 4, "kernel_width": 4, "stride_y": 4, "stride_x": 4, "output_channels": )" +
            std::to_string(2 * numbers) + "}";
        const std::string rows = R"({"shape": [8, )" + std::to_string(numbers) + "]}";
        int map = 0, result = 0;
        CHECK(succeeded(mpscnn_graph_add_node(graph, "convolution", head.c_str(), &image, 1,
                                              attributes.c_str(), nullptr, &map)));
        CHECK(succeeded(
            mpscnn_graph_add_node(graph, "reshape", name, &map, 1, rows.c_str(), nullptr, &result)));
        CHECK(succeeded(mpscnn_graph_mark_output(graph, result)));
        std::vector<float> weights(static_cast<std::size_t>(2 * numbers * 48));
        for (std::size_t i = 0; i < weights.size(); ++i)
            weights[i] = 0.02f * static_cast<float>(i * 37 % 11) - 0.1f;
        const mpscnn_tensor tensor = floats(weights.data(), {2 * numbers, 4, 4, 3});
        CHECK(
            succeeded(mpscnn_graph_set_weight(graph, head.c_str(), "weight", &tensor, nullptr, nullptr, 0)));
    }
    return graph;
}

mpscnn_detector *make_detector() {
    mpscnn_detector *detector = nullptr;
    CHECK(succeeded(mpscnn_detector_create(detection, side, side, nullptr, 0, &detector)));
    return detector;
}

} // namespace

/// Return a loss with the squares of the differences between the prediction and the labels.
mpscnn_graph *squares_graph() {
    mpscnn_graph *graph = nullptr;
    CHECK(succeeded(mpscnn_graph_create("squares", &graph)));
    const std::int64_t shape[] = {-1, classes};
    int inputs[2] = {}, difference = 0, square = 0;
    CHECK(succeeded(mpscnn_graph_add_input(graph, "prediction", shape, 2, &inputs[0])));
    CHECK(succeeded(mpscnn_graph_add_input(graph, "labels", shape, 2, &inputs[1])));
    CHECK(succeeded(
        mpscnn_graph_add_node(graph, "subtract", "difference", inputs, 2, nullptr, nullptr, &difference)));
    const int both[] = {difference, difference};
    CHECK(succeeded(mpscnn_graph_add_node(graph, "multiply", "square", both, 2, nullptr, nullptr, &square)));
    CHECK(succeeded(mpscnn_graph_mark_output(graph, square)));
    return graph;
}

TEST(a_graph_is_a_loss) {
    mpscnn_graph *network = classifier_graph(), *loss = squares_graph();
    mpscnn_trainer *own = nullptr, *named = trainer_with(R"({"loss": {"kind": "mean_squared_error"}})");
    CHECK(succeeded(mpscnn_trainer_create_with_loss(network, loss, nullptr, "cpu", 1, &own)));
    for (int i = 0; i < 2; ++i) {
        const double found = step(own), expected = step(named);
        CHECK(expected > 0 && std::fabs(found / expected - 1) < 1e-5);
    }
    mpscnn_trainer *none = nullptr;
    CHECK(refused(mpscnn_trainer_create_with_loss(network, nullptr, nullptr, "cpu", 1, &none),
                  MPSCNN_ERROR_PARAMETER, "loss"));
    CHECK(refused(mpscnn_trainer_create_with_loss(network, network, nullptr, "cpu", 1, &none),
                  MPSCNN_ERROR_PARAMETER, "prediction"));
    mpscnn_trainer_release(own);
    mpscnn_trainer_release(named);
    mpscnn_graph_release(loss);
    mpscnn_graph_release(network);
}

TEST(losses_of_several_operations) {
    for (const char *given : {R"({"loss": {"kind": "focal", "gamma": 1}})",
                              R"({"loss": {"kind": "sigmoid_focal", "alpha": 0.5}})"}) {
        mpscnn_trainer *trainer = trainer_with(given);
        const double first = step(trainer);
        CHECK(first > 0 && step(trainer) < first);
        mpscnn_trainer_release(trainer);
    }
    mpscnn_graph *network = classifier_graph();
    mpscnn_trainer *none = nullptr;
    CHECK(refused(mpscnn_trainer_create(network, R"({"loss": {"kind": "dice"}})", "cpu", 1, &none),
                  MPSCNN_ERROR_SHAPE, "pixels"));
    mpscnn_graph_release(network);
}

TEST(a_detector_learns) {
    mpscnn_detector *detector = make_detector();
    CHECK(mpscnn_detector_anchor_count(detector) == anchors);
    const float box[] = {0.05f, 0.1f, 0.4f, 0.5f};
    const int label = 1;
    std::vector<float> labels(images * anchors * row), made(labels.size());
    for (std::int64_t i = 0; i < images; ++i) // the first image has no object
        CHECK(succeeded(mpscnn_detector_targets(detector, box, &label, i == 0 ? 0 : 1, columns, 0.5f,
                                                labels.data() + i * anchors * row)));
    mpscnn_graph *graph = detector_graph();
    mpscnn_trainer *trainer = nullptr;
    CHECK(succeeded(mpscnn_trainer_create(
        graph, R"({"loss": {"kind": "multibox"}, "optimizer": {"kind": "sgd"}})", "cpu", 1, &trainer)));
    mpscnn_graph_release(graph);
    const Batch batch;
    const mpscnn_tensor x = batch.image_tensor(), y = floats(labels.data(), {images, anchors, row}),
                        prediction = floats(made.data(), {images, anchors, row});
    double first = 0, last = 0;
    for (int i = 0; i < 80; ++i) {
        CHECK(succeeded(mpscnn_trainer_step(trainer, &x, 1, &y, 0.05f, &prediction, &last)));
        if (i == 0) first = last;
    }
    CHECK(last < 0.5 * first);
    std::vector<float> codes, scores; // of the last image
    for (auto at = made.end() - anchors * row; at != made.end(); at += row) {
        codes.insert(codes.end(), at, at + 4);
        scores.insert(scores.end(), at + 4, at + row);
    }
    mpscnn_detections *found = nullptr;
    CHECK(succeeded(
        mpscnn_detector_run(detector, codes.data(), scores.data(), anchors, columns, nullptr, &found)));
    mpscnn_detection best{};
    CHECK(succeeded(mpscnn_detections_get(found, 0, &best)) && best.index == label);
    mpscnn_detections_release(found);
    mpscnn_trainer_release(trainer);
    mpscnn_detector_release(detector);
}

TEST(targets_check_their_arguments) {
    mpscnn_detector *detector = make_detector();
    const float box[] = {0.1f, 0.1f, 0.5f, 0.5f};
    const int label = 1;
    float targets[anchors * row];
    const auto make = [&](const float *boxes, const int *labels, std::int64_t count, int width) {
        return mpscnn_detector_targets(detector, boxes, labels, count, width, 0.5f, targets);
    };
    CHECK(succeeded(make(box, &label, 1, 3)));
    CHECK(succeeded(make(nullptr, nullptr, 0, 3)));
    CHECK(refused(mpscnn_detector_targets(nullptr, box, &label, 1, 3, 0.5f, targets), MPSCNN_ERROR_PARAMETER,
                  "detector"));
    CHECK(refused(mpscnn_detector_targets(detector, box, &label, 1, 3, 0.5f, nullptr), MPSCNN_ERROR_PARAMETER,
                  "targets"));
    CHECK(refused(make(nullptr, &label, 1, 3), MPSCNN_ERROR_PARAMETER, "boxes"));
    CHECK(refused(make(box, nullptr, 1, 3), MPSCNN_ERROR_PARAMETER, "classes"));
    CHECK(refused(make(box, &label, -1, 3), MPSCNN_ERROR_PARAMETER, "boxes"));
    CHECK(refused(make(box, &label, 1, 2), MPSCNN_ERROR_PARAMETER, "class of box 0 must be 0 to 0, got 1"));
    for (const int width : {-2147483647 - 1, 1, 2147483647})
        CHECK(refused(make(box, &label, 1, width), MPSCNN_ERROR_PARAMETER, "columns must be"));
    mpscnn_detector_release(detector);
}
