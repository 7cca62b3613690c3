// Segmentation of a photo with a model and its session: the class of every pixel.

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "api/guard.h"
#include "api/photo_frame.h"
#include "api/photo_results.h"
#include "core/text.h"
#include "engine/graph/scores.h"
#include "vision/label_map.h"

using namespace mpscnn;
using c_api::guarded;
using c_api::require;

namespace {

/// Return the shape of the scores, with a batch of 1.
Shape require_segmenter(const engine::Program &program, const mpscnn_model &model) {
    c_api::require_photo_input(program, model, "segmenting");
    const std::string what = concat({"network ", quoted(program.name()), " is not a segmenter: "});
    if (program.outputs().size() != 1)
        fail(ErrorKind::unsupported, {what, "it has ", program.outputs().size(), " outputs"});
    const Shape output = program.outputs()[0].shape.with_batch(1);
    if (output.rank() == 4 && engine::score_count(output))
        fail(ErrorKind::shape,
             {what, "its output ", program.outputs()[0].shape.text(),
              " has one score of each class for the whole photo; classes of photos are found "
              "by classifying: mpscnn classify"});
    if (output.rank() == 4 && output[3] == 1)
        fail(ErrorKind::shape, {what, "its output ", program.outputs()[0].shape.text(),
                                " is one number for each point, not scores of classes; one that ends in "
                                "labels gives them to Session.run"});
    if (output.rank() != 4 || !output.fixed() || output[3] < 2)
        fail(ErrorKind::shape, {what, "its output is ", program.outputs()[0].shape.text(),
                                ", not scores (n, height, width, classes)"});
    if (output[3] > vision::max_label_classes)
        fail(ErrorKind::unsupported,
             {what, output[3], " classes, a label map holds ", vision::max_label_classes});
    c_api::require_labels(program, model, output[3]);
    return output;
}

/// Return the scores with finite numbers in place of infinities, so that they can be interpolated. Throws
/// Error(parameter) for a NaN.
std::vector<float> finite_scores(const engine::Program &program, const float *begin, const float *end) {
    if (std::any_of(begin, end, [](float value) { return std::isnan(value); }))
        fail(ErrorKind::parameter, {"network ", quoted(program.name()),
                                    ": a score is not a number (NaN), so the classes cannot be compared"});
    constexpr float largest = std::numeric_limits<float>::max() / 2; // sums of two parts stay finite
    std::vector<float> scores(begin, end);
    for (float &score : scores) score = std::clamp(score, -largest, largest);
    return scores;
}

} // namespace

c_api::PhotoReading c_api::into_labels(const engine::Program &program, const mpscnn_model &model,
                                       const vision::ImageView &photo, const mpscnn_segment_options *options,
                                       std::uint8_t *labels, float *scores, int classes) {
    const Shape output = require_segmenter(program, model), input = program.inputs()[0].shape;
    const auto given = read_options(options, "mpscnn_segment_options");
    if (scores && classes != output[3])
        fail(ErrorKind::shape, {"scores: room for ", classes, " classes, network ", quoted(program.name()),
                                " has ", output[3]});
    const auto label = [=, &program, preprocess = *model.preprocess](const engine::TensorView &own,
                                                                     const vision::ImageView &image,
                                                                     std::uint8_t *pixels, float *values) {
        const auto *result = static_cast<const float *>(own.data);
        const auto *const end = result + output.elements();
        std::vector<float> bounded;
        if (!std::all_of(result, end, [](float value) { return std::isfinite(value); })) {
            bounded = finite_scores(program, result, end);
            result = bounded.data();
        }
        const vision::ScoreGrid grid{result, static_cast<int>(output[1]), static_cast<int>(output[2]),
                                     static_cast<int>(output[3])};
        vision::label_photo(grid, image, preprocess, static_cast<int>(input[1]), static_cast<int>(input[2]),
                            pixels, values);
    };
    auto tiles = tiles_of(program, photo, given.tile_side, given.tile_overlap);
    if (tiles.size() <= 1) // the only tile is the photo
        return {{photo}, [=](std::span<const engine::TensorView> outputs) {
                    label(outputs[0], photo, labels, scores);
                }};
    PhotoReading reading;
    for (vision::Tile &tile : tiles) reading.images.push_back(vision::part_of(photo, tile.seen));
    reading.read = [=, width = photo.oriented_width(), tiles = std::move(tiles),
                    images = reading.images](std::span<const engine::TensorView> outputs) {
        std::vector<std::uint8_t> pixels;
        std::vector<float> values;
        for (std::size_t i = 0; i < tiles.size(); ++i) {
            const auto &[seen, own] = tiles[i];
            const auto count = static_cast<std::size_t>(seen.width) * static_cast<std::size_t>(seen.height);
            pixels.resize(count);
            if (scores) values.resize(count * static_cast<std::size_t>(classes));
            label(outputs_of(outputs, i)[0], images[i], pixels.data(), scores ? values.data() : nullptr);
            for (int row = own.top; row < own.top + own.height; ++row) {
                const std::ptrdiff_t from =
                    std::ptrdiff_t{row - seen.top} * seen.width + (own.left - seen.left);
                const std::ptrdiff_t to = std::ptrdiff_t{row} * width + own.left;
                std::copy_n(pixels.data() + from, own.width, labels + to);
                if (scores)
                    std::copy_n(values.data() + from * classes, std::ptrdiff_t{own.width} * classes,
                                scores + to * classes);
            }
        }
    };
    return reading;
}

mpscnn_status mpscnn_model_segment(const mpscnn_model *model, mpscnn_session *session,
                                   const mpscnn_image *image, uint8_t *labels, float *scores, int classes) {
    return mpscnn_model_segment_with(model, session, image, nullptr, labels, scores, classes);
}

mpscnn_status mpscnn_model_segment_with(const mpscnn_model *model, mpscnn_session *session,
                                        const mpscnn_image *image, const mpscnn_segment_options *options,
                                        uint8_t *labels, float *scores, int classes) {
    return guarded([&] {
        require(model, "model");
        require(session, "session");
        require(image, "image");
        require(labels, "labels");
        const engine::Program &program = *session->session->program();
        const vision::ImageView photo = c_api::image_view(*image);
        auto [images, read] = c_api::into_labels(program, *model, photo, options, labels, scores, classes);
        c_api::run(*session, c_api::photo_frame(program, std::move(images), *model->preprocess, read));
    });
}
