// The C interface: segmentation, the class of every pixel.

#include <cmath>
#include <string>
#include <vector>

#include "tests/cpp/c_api.h"

using namespace c_api_test;

namespace {

constexpr int width = 12, height = 4;

/// A photo whose left half is red and whose right half is blue.
struct Photo {
    std::vector<std::uint8_t> pixels;
    mpscnn_image image{};

    Photo() {
        for (int row = 0; row < height; ++row)
            for (int column = 0; column < width; ++column)
                pixels.insert(pixels.end(), {static_cast<std::uint8_t>(column < width / 2 ? 255 : 0), 0,
                                             static_cast<std::uint8_t>(column < width / 2 ? 0 : 255)});
        image.pixels = pixels.data();
        image.width = width;
        image.height = height;
        image.format = MPSCNN_RGB8;
    }
};

/// A network (n, 8, 8, 3) -> 1 x 1 convolution "scores" that swaps red and blue.
mpscnn_program *swapping_program(float weight_of_red) {
    mpscnn_graph *graph = nullptr;
    CHECK(succeeded(mpscnn_graph_create("swap", &graph)));
    const std::int64_t shape[] = {-1, side, side, 3};
    int image = 0, scores = 0;
    CHECK(succeeded(mpscnn_graph_add_input(graph, "image", shape, 4, &image)));
    CHECK(succeeded(mpscnn_graph_add_node(graph, "convolution", "scores", &image, 1,
                                          R"({"output_channels": 3, "kernel_height": 1, "kernel_width": 1})",
                                          nullptr, &scores)));
    CHECK(succeeded(mpscnn_graph_mark_output(graph, scores)));
    const float weight[] = {0, 0, 1, 0, 1, 0, weight_of_red, 0, 0};
    const mpscnn_tensor tensor = floats(weight, {classes, 1, 1, 3});
    CHECK(succeeded(mpscnn_graph_set_weight(graph, "scores", "weight", &tensor, nullptr, nullptr, 0)));
    mpscnn_program *program = nullptr;
    CHECK(succeeded(mpscnn_program_compile(graph, nullptr, &program)));
    mpscnn_graph_release(graph);
    return program;
}

} // namespace

TEST(segment_labels_every_pixel) {
    mpscnn_model *model = parsed(model_bytes());
    mpscnn_program *program = swapping_program(1.0f);
    mpscnn_session *session = session_of(program);
    Photo photo;
    std::vector<std::uint8_t> labels(width * height, 9);
    std::vector<float> scores(width * height * classes, -1.0f);
    CHECK(
        succeeded(mpscnn_model_segment(model, session, &photo.image, labels.data(), scores.data(), classes)));
    for (std::size_t i = 0; i < labels.size(); ++i) {
        const std::size_t column = i % width;
        CHECK(labels[i] == (column < width / 2 ? 2 : 0));
        CHECK(std::fabs(scores[classes * i + 1]) < 1e-6f);
        if (column == 0) CHECK(std::fabs(scores[classes * i + 2] - 1.0f) < 1e-6f);
    }
    // Upside down and mirrored: blue is on the left now.
    photo.image.orientation = 3;
    CHECK(succeeded(mpscnn_model_segment(model, session, &photo.image, labels.data(), nullptr, 0)));
    CHECK(labels[0] == 0 && labels[width - 1] == 2);

    const auto segment = [&](const mpscnn_model *m, mpscnn_session *s, const mpscnn_image *image,
                             std::uint8_t *result) {
        return mpscnn_model_segment(m, s, image, result, nullptr, 0);
    };
    CHECK(refused(segment(nullptr, session, &photo.image, labels.data()), MPSCNN_ERROR_PARAMETER, "model"));
    CHECK(refused(segment(model, nullptr, &photo.image, labels.data()), MPSCNN_ERROR_PARAMETER, "session"));
    CHECK(refused(segment(model, session, nullptr, labels.data()), MPSCNN_ERROR_PARAMETER, "image"));
    CHECK(refused(segment(model, session, &photo.image, nullptr), MPSCNN_ERROR_PARAMETER, "labels"));
    CHECK(refused(mpscnn_model_segment(model, session, &photo.image, labels.data(), scores.data(), 4),
                  MPSCNN_ERROR_SHAPE, "room for 4 classes, network 'swap' has 3"));
    mpscnn_image broken = photo.image;
    broken.width = 0;
    CHECK(refused(segment(model, session, &broken, labels.data()), MPSCNN_ERROR_SHAPE, "0x4"));
    mpscnn_model_release(model);

    model = parsed(model_bytes(R"(\"unit\")", R"([])"));
    CHECK(succeeded(segment(model, session, &photo.image, labels.data())));
    mpscnn_model_release(model);
    mpscnn_session_release(session);
    mpscnn_program_release(program);
}

TEST(tiles_label_every_pixel) {
    mpscnn_model *model = parsed(model_bytes());
    mpscnn_program *program = swapping_program(1.0f);
    mpscnn_session *session = session_of(program);
    const Photo photo;
    std::vector<std::uint8_t> labels(width * height, 9), whole(width * height, 9);
    std::vector<float> scores(width * height * classes, -1.0f);
    mpscnn_segment_options options{};
    options.size = sizeof options;
    const auto segment = [&](std::uint8_t *result) {
        return mpscnn_model_segment_with(model, session, &photo.image, &options, result, scores.data(),
                                         classes);
    };
    CHECK(succeeded(segment(whole.data())));
    options.tile_side = 4;
    options.tile_overlap = 0.5;
    CHECK(succeeded(segment(labels.data())));
    for (std::size_t i = 0; i < labels.size(); ++i) {
        CHECK(labels[i] == (i % width < width / 2 ? 2 : 0));
        CHECK(std::fabs(scores[classes * i + 1]) < 1e-6f);
    }
    options.tile_overlap = -1.0; // no overlap
    CHECK(succeeded(segment(labels.data())) && labels == whole);
    options.tile_overlap = 1.0;
    CHECK(refused(segment(labels.data()), MPSCNN_ERROR_PARAMETER, "overlap of tiles must be from 0"));
    options.tile_overlap = 0.0;
    options.tile_side = -4;
    CHECK(refused(segment(labels.data()), MPSCNN_ERROR_PARAMETER, "at least 1 pixel, got -4"));
    options.tile_side = 0;
    options.tile_overlap = 0.2;
    CHECK(refused(segment(labels.data()), MPSCNN_ERROR_PARAMETER, "tile_overlap needs tile_side"));
    mpscnn_model_release(model);
    mpscnn_session_release(session);
    mpscnn_program_release(program);
}

TEST(what_is_no_segmenter_is_refused) {
    mpscnn_model *model = parsed(model_bytes());
    mpscnn_program *program = classifier_program();
    mpscnn_session *session = session_of(program);
    const Photo photo;
    std::vector<std::uint8_t> labels(width * height);
    CHECK(refused(mpscnn_model_segment(model, session, &photo.image, labels.data(), nullptr, 0),
                  MPSCNN_ERROR_SHAPE, "'tiny' is not a segmenter: its output is (n, 3), not scores"));
    mpscnn_session_release(session);
    mpscnn_program_release(program);

    program = swapping_program(1.0f);
    session = session_of(program);
    mpscnn_predictions *predictions = nullptr;
    CHECK(refused(mpscnn_model_classify(model, session, &photo.image, 0, &predictions), MPSCNN_ERROR_SHAPE,
                  "'swap' is not a classifier: its output is (n, 8, 8, 3), not (n, classes)"));
    mpscnn_session_release(session);
    mpscnn_program_release(program);
    mpscnn_model_release(model);
}
