/// Photos and models for C++20. Part of mpscnn.hpp, which includes this file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "network.hpp"

namespace mpscnn {
inline namespace api {

// ---- Photos -----------------------------------------------------------------------------------------------

/// How the planes of a YUV photo are stored and what their numbers mean; see mpscnn.h. If `row_bytes` or
/// `chroma_row_bytes` is 0, there are no gaps between the rows of that plane.
struct YuvOptions {
    mpscnn_yuv_matrix matrix = MPSCNN_BT601;
    mpscnn_yuv_range range = MPSCNN_VIDEO_RANGE;
    mpscnn_chroma_siting siting = MPSCNN_CHROMA_LEFT;
    std::ptrdiff_t row_bytes = 0, chroma_row_bytes = 0;
    int orientation = 1; ///< EXIF 1 to 8
};

/// A photo in the caller's memory.
class ImageView {
public:
    /// Make a photo from pixels in one plane, so not for MPSCNN_NV12 and MPSCNN_I420. With `row_bytes` 0,
    /// rows have no gaps. `orientation` is EXIF 1 to 8.
    ImageView(const void *pixels, int width, int height, mpscnn_pixel_format format,
              std::ptrdiff_t row_bytes = 0, int orientation = 1)
        : image_{pixels, width, height, row_bytes, format, orientation, nullptr} {}
    ImageView(const ImageView &other) noexcept : image_(other.image_), chroma_(other.chroma_) { link(); }
    ImageView &operator=(const ImageView &other) noexcept {
        image_ = other.image_;
        chroma_ = other.chroma_;
        link();
        return *this;
    }
    ~ImageView() = default;

    /// Make a photo from luma, and pairs of blue and red chroma.
    static ImageView nv12(const std::uint8_t *luma, const std::uint8_t *chroma, int width, int height,
                          const YuvOptions &options = {}) {
        return ImageView(MPSCNN_NV12, luma, chroma, nullptr, width, height, options);
    }
    /// Make a photo from luma, blue chroma and red chroma.
    static ImageView i420(const std::uint8_t *luma, const std::uint8_t *blue, const std::uint8_t *red,
                          int width, int height, const YuvOptions &options = {}) {
        return ImageView(MPSCNN_I420, luma, blue, red, width, height, options);
    }

    static ImageView gray8(const std::uint8_t *pixels, int width, int height, std::ptrdiff_t row_bytes = 0) {
        return ImageView(pixels, width, height, MPSCNN_GRAY8, row_bytes);
    }
    static ImageView rgb8(const std::uint8_t *pixels, int width, int height, std::ptrdiff_t row_bytes = 0) {
        return ImageView(pixels, width, height, MPSCNN_RGB8, row_bytes);
    }
    static ImageView rgba8(const std::uint8_t *pixels, int width, int height, std::ptrdiff_t row_bytes = 0) {
        return ImageView(pixels, width, height, MPSCNN_RGBA8, row_bytes);
    }
    static ImageView bgr8(const std::uint8_t *pixels, int width, int height, std::ptrdiff_t row_bytes = 0) {
        return ImageView(pixels, width, height, MPSCNN_BGR8, row_bytes);
    }
    static ImageView bgra8(const std::uint8_t *pixels, int width, int height, std::ptrdiff_t row_bytes = 0) {
        return ImageView(pixels, width, height, MPSCNN_BGRA8, row_bytes);
    }

    /// Return the size of the upright photo: orientations 5 to 8 exchange width and height.
    int oriented_width() const noexcept { return image_.orientation >= 5 ? image_.height : image_.width; }
    int oriented_height() const noexcept { return image_.orientation >= 5 ? image_.width : image_.height; }

    const mpscnn_image *get() const noexcept { return &image_; }

private:
    ImageView(mpscnn_pixel_format format, const void *luma, const void *blue, const void *red, int width,
              int height, const YuvOptions &options)
        : image_{luma, width, height, options.row_bytes, format, options.orientation, &chroma_},
          chroma_{sizeof(mpscnn_chroma), blue,          red,           options.chroma_row_bytes,
                  options.matrix,        options.range, options.siting} {}

    void link() noexcept {
        if (image_.chroma) image_.chroma = &chroma_;
    }

    mpscnn_image image_;
    mpscnn_chroma chroma_{}; ///< image_ points to it
};

/// Write the network's input, (height, width, channels), for a photo to `output`. `preprocess` is as in
/// mpscnn_preprocess.
inline void preprocess(const ImageView &image, const std::string &preprocess, int height, int width,
                       int channels, std::span<float> output) {
    const std::int64_t needed = std::int64_t{height} * width * channels;
    if (static_cast<std::int64_t>(output.size()) != needed)
        throw ShapeError("preprocess: the output has " + std::to_string(output.size()) +
                         " floats, needed are " + std::to_string(needed));
    detail::ensure(
        mpscnn_preprocess(image.get(), detail::c_string(preprocess), height, width, channels, output.data()));
}

/// Check the description `preprocess` for a network input of 1 or 3 channels. Return it with every field.
inline std::string describe_preprocess(const std::string &preprocess, int channels = 3) {
    return detail::text_of(mpscnn_preprocess_describe, detail::c_string(preprocess), channels);
}

// ---- Models -----------------------------------------------------------------------------------------------

/// A class with its probability: `auto [label, probability] = prediction`.
struct Prediction {
    std::string label;
    float probability;
    int index; ///< index of the class

    template <std::size_t I> const auto &get() const noexcept {
        if constexpr (I == 0)
            return label;
        else
            return probability;
    }
};

/// Classes in the order of their probabilities, the most probable first.
class Predictions {
public:
    explicit Predictions(mpscnn_predictions *handle) : handle_(handle) {}

    int size() const noexcept { return mpscnn_predictions_count(handle_.get()); }
    /// Return what the probabilities are: "softmax", "sigmoid" or "as is"; see mpscnn_predictions_scores.
    std::string scores() const { return mpscnn_predictions_scores(handle_.get()); }
    /// Return how unfamiliar the photo is, 0 to 1; see mpscnn_predictions_unfamiliar.
    double unfamiliar() const noexcept { return mpscnn_predictions_unfamiliar(handle_.get()); }
    Prediction operator[](int rank) const {
        mpscnn_prediction raw{};
        detail::ensure(mpscnn_predictions_get(handle_.get(), rank, &raw));
        return {raw.label, raw.probability, raw.index};
    }
    /// Return the `count` best, or all if there are fewer.
    std::vector<Prediction> top(int count) const {
        std::vector<Prediction> best;
        for (int rank = 0; rank < count && rank < size(); ++rank) best.push_back((*this)[rank]);
        return best;
    }

private:
    detail::Handle<mpscnn_predictions, mpscnn_predictions_release> handle_;
};

/// The class of every pixel of the upright photo, row by row; 255 for pixels that the preprocessing crops.
struct Segmentation {
    int height, width, classes;
    std::vector<std::uint8_t> labels;
    std::vector<float> scores; ///< scores of every class for every pixel, if requested

    /// Make a segmentation with memory for a photo. With `classes` 0 it has no scores.
    static Segmentation for_photo(const ImageView &photo, int classes) {
        Segmentation result{photo.oriented_height(), photo.oriented_width(), classes, {}, {}};
        const std::size_t pixels =
            static_cast<std::size_t>(result.height) * static_cast<std::size_t>(result.width);
        result.labels.resize(pixels);
        result.scores.resize(pixels * static_cast<std::size_t>(classes));
        return result;
    }
    float *score_data() noexcept { return classes == 0 ? nullptr : scores.data(); }
};

/// The mask of an object. Copies share the memory of all detections of a photo.
class ObjectMask {
public:
    ObjectMask(std::shared_ptr<const mpscnn_detections> detections, int rank,
               const mpscnn_detection_details &details)
        : detections_(std::move(detections)), rank_(rank), left_(details.mask_left), top_(details.mask_top),
          width_(details.mask_width), height_(details.mask_height) {}

    /// Return the pixels of the upright photo that the mask covers.
    int left() const noexcept { return left_; }
    int top() const noexcept { return top_; }
    int width() const noexcept { return width_; }
    int height() const noexcept { return height_; }

    /// Write height() rows of width() bytes, 1 for each pixel of the object; see mpscnn_detections_mask.
    void write(std::uint8_t *mask) const {
        detail::ensure(mpscnn_detections_mask(detections_.get(), rank_, mask));
    }

private:
    std::shared_ptr<const mpscnn_detections> detections_;
    int rank_, left_, top_, width_, height_;
};

/// An object on a photo.
struct Detection {
    std::string label;
    int index; ///< index of the class; the background is not counted
    float score;
    float left, top, right, bottom;
    int anchor; ///< index of the network's box

    struct Point {
        float x, y;
    };
    struct Keypoint {
        float x, y;
        float score; ///< the probability that the point is visible
    };
    // These are empty unless the model computes them; see mpscnn_detection_details.
    std::vector<Point> corners = {};
    std::vector<Keypoint> keypoints = {};
    std::optional<ObjectMask> mask = std::nullopt;
};

using DetectOptions = mpscnn_detect_options;
using SegmentOptions = mpscnn_segment_options;

namespace detail {

inline std::vector<Detection> detections_of(mpscnn_detections *raw) {
    const std::shared_ptr<const mpscnn_detections> detections(raw, [](const mpscnn_detections *all) {
        mpscnn_detections_release(const_cast<mpscnn_detections *>(all));
    });
    std::vector<Detection> result;
    for (int rank = 0; rank < mpscnn_detections_count(raw); ++rank) {
        mpscnn_detection entry{};
        ensure(mpscnn_detections_get(raw, rank, &entry));
        mpscnn_detection_details details{};
        ensure(mpscnn_detections_details(raw, rank, &details));
        Detection one{entry.label, entry.index, entry.score,  entry.left,
                      entry.top,   entry.right, entry.bottom, entry.anchor};
        for (const float *point = details.corners; point && point < details.corners + 8; point += 2)
            one.corners.push_back({point[0], point[1]});
        for (std::int32_t i = 0; i < details.keypoint_count; ++i) {
            const float *point = details.keypoints + 3 * static_cast<std::ptrdiff_t>(i);
            one.keypoints.push_back({point[0], point[1], point[2]});
        }
        if (details.mask_width > 0) one.mask.emplace(detections, rank, details);
        result.push_back(std::move(one));
    }
    return result;
}

} // namespace detail

/// Return the lowest probability of the classes in a set; see mpscnn_set_threshold.
inline float set_threshold(std::span<const float> probabilities, double coverage) {
    float threshold = 0.0f;
    detail::ensure(mpscnn_set_threshold(probabilities.data(), static_cast<std::int64_t>(probabilities.size()),
                                        coverage, &threshold));
    return threshold;
}

/// The content of a model file: a network, its preprocessing and labels. Several threads may use it.
class ModelFile {
public:
    static ModelFile load(const std::string &path) {
        mpscnn_model *handle = nullptr;
        detail::ensure(mpscnn_model_load(detail::c_string(path), &handle));
        return ModelFile(handle);
    }
    /// Check whether a model file can be loaded; see mpscnn_model_check. The parentheses keep Apple's old
    /// macro `check` away. A program that has this macro calls (ModelFile::check)(path).
    static void(check)(const std::string &path) {
        detail::ensure(mpscnn_model_check(detail::c_string(path)));
    }
    /// Parse a copy of these bytes; `origin` names them in messages.
    static ModelFile parse(std::span<const std::byte> bytes, const std::string &origin) {
        mpscnn_model *handle = nullptr;
        detail::ensure(mpscnn_model_parse(bytes.data(), bytes.size(), detail::c_string(origin), &handle));
        return ModelFile(handle);
    }

    Graph graph() const {
        mpscnn_graph *graph = nullptr;
        detail::ensure(mpscnn_model_graph(get(), &graph));
        return Graph(graph);
    }
    /// Return the network's name.
    std::string name() const {
        const detail::JsonDocument about(describe());
        return about.root()["name"].string();
    }
    /// Return the names of the classes, in the order of the outputs; empty if the file has none.
    std::vector<std::string> labels() const {
        const detail::JsonDocument about(describe());
        const detail::JsonValue labels = about.root()["labels"];
        return labels.is_null() ? std::vector<std::string>() : labels.strings();
    }
    /// Return the layers for one image. `height` and `width` are needed if the inputs' size is free.
    std::vector<Layer> layers(std::int64_t height = 0, std::int64_t width = 0) const {
        return graph().layers(height, width);
    }
    /// Return the file's metadata: license, source and others.
    std::map<std::string, std::string> information() const {
        const detail::JsonDocument about(describe());
        std::map<std::string, std::string> result;
        about.root()["information"].for_each(
            [&](const char *key, detail::JsonValue text) { result.emplace(key, text.string()); });
        return result;
    }
    /// Return a description as JSON; see mpscnn_model_describe.
    std::string describe() const { return detail::text_of(mpscnn_model_describe, get()); }

    /// State what the scores of the classes are, before other threads use the model; see
    /// mpscnn_model_set_scores.
    void set_scores(const std::string &scores) {
        detail::ensure(mpscnn_model_set_scores(get(), detail::c_string(scores)));
    }

    /// Return the calibration, which is valid as long as the file; see mpscnn_model_calibration.
    mpscnn_calibration calibration() const {
        mpscnn_calibration result{};
        detail::ensure(mpscnn_model_calibration(get(), &result));
        return result;
    }
    void set_calibration(const mpscnn_calibration &calibration) {
        detail::ensure(mpscnn_model_set_calibration(get(), &calibration));
    }
    /// Return the lowest probability of the classes in a set; see mpscnn_set_threshold. Throws StateError if
    /// the model is not calibrated.
    float set_threshold(double coverage) const {
        const mpscnn_calibration known = calibration();
        if (!known.layer) throw StateError("the model is not calibrated");
        return mpscnn::set_threshold({known.probabilities, static_cast<std::size_t>(known.probability_count)},
                                     coverage);
    }
    /// Return the names of the outputs that `classify` needs: those of the network, and the calibration's
    /// layer.
    std::vector<std::string> outputs() const {
        const detail::JsonDocument about(graph().to_json());
        std::vector<std::string> names = about.root()["outputs"].strings();
        if (const char *layer = calibration().layer) names.emplace_back(layer);
        return names;
    }

    /// Write a model file with this content; see mpscnn_model_save.
    void save(const std::string &path) const {
        detail::ensure(mpscnn_model_save(get(), detail::c_string(path)));
    }
    /// Return the bytes that `save` writes and `parse` reads.
    std::string content() const { return detail::text_of(mpscnn_model_content, get()); }

    /// Return the `top` best classes; 0: all classes.
    Predictions classify(Session &session, const ImageView &image, int top = 0) const {
        mpscnn_predictions *predictions = nullptr;
        detail::ensure(mpscnn_model_classify(get(), session.get(), image.get(), top, &predictions));
        return Predictions(predictions);
    }
    /// Rank the classes of a run's output; see mpscnn_model_rank.
    Predictions rank(const Program &program, const mpscnn_tensor &output, int top = 0) const {
        mpscnn_predictions *predictions = nullptr;
        detail::ensure(mpscnn_model_rank(get(), program.get(), &output, top, &predictions));
        return Predictions(predictions);
    }

    /// Return the objects on the photo, the most probable first. Boxes are in pixels of the photo.
    std::vector<Detection> detect(Session &session, const ImageView &image,
                                  const DetectOptions &options = {}) const {
        mpscnn_detections *detections = nullptr;
        detail::ensure(mpscnn_model_detect(get(), session.get(), image.get(), &options, &detections));
        return detail::detections_of(detections);
    }
    /// Return the anchors that the file stores; see mpscnn_model_anchors.
    std::span<const float> anchors() const {
        const float *data = nullptr;
        std::int64_t count = 0;
        detail::ensure(mpscnn_model_anchors(get(), &data, &count));
        return {data, 4 * static_cast<std::size_t>(count)};
    }

    /// Return the class of every pixel. If `classes` is the network's number of classes, return their scores
    /// as well; 0: no scores.
    Segmentation segment(Session &session, const ImageView &image, int classes = 0,
                         const SegmentOptions &options = {}) const {
        Segmentation result = Segmentation::for_photo(image, classes);
        segment(session, image, result.labels.data(), result.score_data(), classes, options);
        return result;
    }
    /// Write the result to memory of the caller; see mpscnn_model_segment_with.
    void segment(Session &session, const ImageView &image, std::uint8_t *labels, float *scores, int classes,
                 const SegmentOptions &options = {}) const {
        detail::ensure(
            mpscnn_model_segment_with(get(), session.get(), image.get(), &options, labels, scores, classes));
    }

    mpscnn_model *get() const noexcept { return handle_.get(); }

private:
    explicit ModelFile(mpscnn_model *handle) : handle_(handle) {}

    detail::Handle<mpscnn_model, mpscnn_model_release> handle_;
};

/// Sessions that callers borrow, so that a program serves any number of threads. The pool keeps the largest
/// number of sessions that were in use at the same time.
class SessionPool {
public:
    SessionPool(Program program, const SessionOptions &options)
        : program_(std::move(program)), options_(options) {}

    const Program &program() const noexcept { return program_; }

    /// Call function(session) with a session that no other caller uses.
    template <class Function> auto lend(Function function) {
        struct Loan {
            ~Loan() { pool.give_back(std::move(session)); }
            SessionPool &pool;
            std::unique_ptr<Session> session;
        } loan{*this, take()};
        return function(*loan.session);
    }

private:
    std::unique_ptr<Session> take() {
        {
            const std::lock_guard lock(mutex_);
            // Reserve room for all sessions that are lent, so that returning one allocates nothing.
            idle_.reserve(++lent_ + idle_.size());
            if (!idle_.empty()) {
                std::unique_ptr<Session> session = std::move(idle_.back());
                idle_.pop_back();
                return session;
            }
        }
        try {
            return std::make_unique<Session>(program_, options_);
        } catch (...) {
            const std::lock_guard lock(mutex_);
            --lent_;
            throw;
        }
    }

    void give_back(std::unique_ptr<Session> session) noexcept {
        const std::lock_guard lock(mutex_);
        --lent_;
        idle_.push_back(std::move(session));
    }

    Program program_;
    SessionOptions options_;
    std::mutex mutex_;
    std::size_t lent_ = 0;
    std::vector<std::unique_ptr<Session>> idle_;
};

/// A model file compiled for a device. Several threads may use it: it has one program, and a session for each
/// concurrent call.
class Model {
public:
    /// Load a model file and compile it. Each concurrent call has a session with the options `each`.
    static Model load(const std::string &path, const CompileOptions &options = {},
                      const SessionOptions &each = {}) {
        return Model(ModelFile::load(path), options, each);
    }
    explicit Model(ModelFile file, const CompileOptions &options = {}, const SessionOptions &each = {})
        : file_(std::move(file)),
          sessions_(std::make_unique<SessionPool>(file_.graph().compile(with_features(options)), each)) {}

    const ModelFile &file() const noexcept { return file_; }
    const Program &program() const noexcept { return sessions_->program(); }

    /// These functions return what the functions of ModelFile return.
    std::string name() const { return file_.name(); }
    std::vector<std::string> labels() const { return file_.labels(); }
    std::vector<Layer> layers(std::int64_t height = 0, std::int64_t width = 0) const {
        return file_.layers(height, width);
    }
    void save(const std::string &path) const { file_.save(path); }

    Predictions classify(const ImageView &image, int top = 0) const {
        return sessions_->lend([&](Session &session) { return file_.classify(session, image, top); });
    }
    std::vector<Detection> detect(const ImageView &image, const DetectOptions &options = {}) const {
        return sessions_->lend([&](Session &session) { return file_.detect(session, image, options); });
    }
    Segmentation segment(const ImageView &image, int classes = 0, const SegmentOptions &options = {}) const {
        return sessions_->lend(
            [&](Session &session) { return file_.segment(session, image, classes, options); });
    }
    /// Call function(session) with a session that no other caller uses, for networks that take no photos.
    template <class Function> auto with_session(Function function) const {
        return sessions_->lend(std::move(function));
    }

private:
    CompileOptions with_features(CompileOptions options) const {
        if (options.outputs.empty() && file_.calibration().layer) options.outputs = file_.outputs();
        return options;
    }

    ModelFile file_;
    std::unique_ptr<SessionPool> sessions_; ///< its address stays the same when a model is moved
};

} // namespace api
} // namespace mpscnn

template <> struct std::tuple_size<mpscnn::Prediction> : std::integral_constant<std::size_t, 2> {};
template <> struct std::tuple_element<0, mpscnn::Prediction> {
    using type = const std::string;
};
template <> struct std::tuple_element<1, mpscnn::Prediction> {
    using type = const float;
};
