// Calibrated classifiers through the interfaces of C and C++.

#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/cpp/c_api.h"

#include "mpscnn/mpscnn.hpp"

using namespace c_api_test;

namespace {

constexpr std::int64_t photos = 12;

/// Features of 12 photos, (i / 100, 0, 0) for photo i, with distances 0.005 to 0.115 and probabilities 0.1,
/// 0.2 to 0.9.
struct Known {
    Known() {
        for (std::size_t i = 0; i < photos; ++i) {
            features[3 * i] = static_cast<float>(i) / 100.0f;
            distances[i] = (static_cast<float>(i) + 0.5f) / 100.0f;
        }
    }
    mpscnn_calibration calibration() const {
        return {"pool", features.data(), distances.data(), photos, 3, probabilities.data(), 9};
    }
    std::array<float, 3 * photos> features{};
    std::array<float, photos> distances{};
    std::array<float, 9> probabilities{0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f, 0.7f, 0.8f, 0.9f};
};

mpscnn::ModelFile tiny() {
    const std::string bytes = model_bytes();
    return mpscnn::ModelFile::parse(std::as_bytes(std::span(bytes)), "tiny model");
}

/// Return how unfamiliar a photo of one shade of red is.
double unfamiliar(const mpscnn::Model &model, std::uint8_t red) {
    std::vector<std::uint8_t> pixels(std::size_t{3} * 10 * 10);
    for (std::size_t i = 0; i < pixels.size(); i += 3) pixels[i] = red;
    return model.classify(mpscnn::ImageView::rgb8(pixels.data(), 10, 10), 1).unfamiliar();
}

} // namespace

TEST(a_calibrated_model_says_how_unfamiliar_a_photo_is) {
    const Known known;
    CHECK(std::isnan(unfamiliar(mpscnn::Model(tiny(), {.device = "cpu"}), 0)));
    mpscnn::ModelFile file = tiny();
    file.set_calibration(known.calibration());
    CHECK((file.outputs() == std::vector<std::string>{"logits", "pool"}));
    const std::string bytes = file.content();
    const mpscnn::Model model(mpscnn::ModelFile::parse(std::as_bytes(std::span(bytes)), "again"),
                              {.device = "cpu"});
    CHECK(model.file().content() == bytes);
    CHECK(model.program().outputs().size() == 2);
    // The tenth nearest feature of (0, 0, 0) is 0.09: 9 of 12 distances are smaller. Red 255 is 1.
    CHECK(std::fabs(unfamiliar(model, 0) - 9.0 / 12.0) < 1e-9);
    CHECK(unfamiliar(model, 255) == 1.0);
    CHECK(std::isnan(mpscnn_predictions_unfamiliar(nullptr)));
    // A program without the features ranks classes, and does not know how unfamiliar a photo is.
    mpscnn::Session session = file.graph().compile({.device = "cpu"}).session();
    const std::vector<std::uint8_t> pixels(300);
    const auto plain = file.classify(session, mpscnn::ImageView::rgb8(pixels.data(), 10, 10));
    CHECK(std::isnan(plain.unfamiliar()) && plain.size() == 3 && plain.scores() == "softmax");
}

TEST(sets_have_classes_from_a_threshold_on) {
    const Known known;
    mpscnn::ModelFile file = tiny();
    try {
        file.set_threshold(0.9);
        CHECK(false);
    } catch (const mpscnn::StateError &error) {
        CHECK(std::string(error.what()).find("not calibrated") != std::string::npos);
    }
    file.set_calibration(known.calibration());
    CHECK(file.set_threshold(0.95) == -INFINITY); // with 9 photos only sets up to 0.9 leave a class out
    CHECK(file.set_threshold(0.85) == 0.1f);
    CHECK(file.set_threshold(0.75) == 0.2f);
    CHECK(file.set_threshold(0.05) == 0.9f);
    float threshold = 0.0f;
    const float *numbers = known.probabilities.data();
    for (const double coverage : {0.0, 1.0, -1.0, static_cast<double>(NAN)})
        CHECK(refused(mpscnn_set_threshold(numbers, 9, coverage, &threshold), MPSCNN_ERROR_PARAMETER,
                      "coverage"));
    CHECK(
        refused(mpscnn_set_threshold(nullptr, 9, 0.5, &threshold), MPSCNN_ERROR_PARAMETER, "probabilities"));
    CHECK(refused(mpscnn_set_threshold(numbers, 9, 0.5, nullptr), MPSCNN_ERROR_PARAMETER, "threshold"));
}

TEST(other_scores_and_no_layer_remove_the_calibration) {
    Known known;
    mpscnn_model *model = parsed(model_bytes());
    const auto is_calibrated = [&] {
        mpscnn_calibration found{};
        CHECK(succeeded(mpscnn_model_calibration(model, &found)));
        return found.layer != nullptr;
    };
    const mpscnn_calibration given = known.calibration(), none{};
    CHECK(succeeded(mpscnn_model_set_calibration(model, &given)));
    CHECK(is_calibrated());
    CHECK(succeeded(mpscnn_model_set_scores(model, "softmax"))); // the same scores, now stated
    CHECK(is_calibrated());
    CHECK(succeeded(mpscnn_model_set_scores(model, "sigmoid")));
    CHECK(!is_calibrated());
    CHECK(succeeded(mpscnn_model_set_calibration(model, &given)));
    CHECK(succeeded(mpscnn_model_set_calibration(model, &none)));
    CHECK(!is_calibrated());
    mpscnn_model_release(model);
}

TEST(calibrations_that_do_not_fit_are_refused) {
    Known known;
    mpscnn_model *model = parsed(model_bytes());
    const auto refuses = [&](const mpscnn_calibration &given, const char *said) {
        return refused(mpscnn_model_set_calibration(model, &given), MPSCNN_ERROR_PARAMETER, said);
    };
    mpscnn_calibration given = known.calibration();
    given.layer = "logits";
    CHECK(refuses(given, "not the network's output"));
    given.layer = "poll";
    CHECK(refuses(given, "'poll'"));
    given = known.calibration();
    given.photos = 10;
    CHECK(refuses(given, "at least 11"));
    given.photos = -1;
    CHECK(refuses(given, "distances"));
    given = known.calibration();
    given.width = 2;
    CHECK(refuses(given, "expected 36 features, got 24"));
    given.width = -1;
    CHECK(refuses(given, "width"));
    given = known.calibration();
    given.probability_count = 0;
    CHECK(refuses(given, "probabilities must be at least 1"));
    given = known.calibration();
    known.features[7] = NAN;
    CHECK(refuses(given, "not a finite number"));
    CHECK(refused(mpscnn_model_set_calibration(model, nullptr), MPSCNN_ERROR_PARAMETER, "calibration"));
    CHECK(refused(mpscnn_model_set_calibration(nullptr, &given), MPSCNN_ERROR_PARAMETER, "model"));
    CHECK(succeeded(mpscnn_model_calibration(model, &given)));
    CHECK(given.layer == nullptr);
    CHECK(refused(mpscnn_model_calibration(model, nullptr), MPSCNN_ERROR_PARAMETER, "calibration"));
    CHECK(refused(mpscnn_model_calibration(nullptr, &given), MPSCNN_ERROR_PARAMETER, "model"));
    mpscnn_model_release(model);
}
