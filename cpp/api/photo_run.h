#pragma once

// A photo through a model's network, as classifying, segmenting and detecting need it.

#include <span>
#include <string>
#include <vector>

#include "api/handles.h"

namespace mpscnn::c_api {

/// Throws unless a photo can become the program's only input: preprocessing is stated and the input has a
/// fixed size. `doing` begins the complaint about the size: "classifying".
void require_photo_input(const engine::Program &program, const mpscnn_model &model, const std::string &doing);

/// Throws unless each class has a label, or none has.
void require_labels(const engine::Program &program, const mpscnn_model &model, std::int64_t classes);

/// "class 17" where there are no labels.
std::string label_of(const mpscnn_model &model, int index);

/// A session's buffers for photos, for one caller at a time: a second one is refused.
class PhotoRun {
public:
    explicit PhotoRun(mpscnn_session &session);
    ~PhotoRun();
    PhotoRun(const PhotoRun &) = delete;
    PhotoRun &operator=(const PhotoRun &) = delete;

    /// The network's outputs for the photo, until the session's next one. The program must have passed
    /// require_photo_input, and its outputs be of fixed shapes.
    const std::vector<std::vector<float>> &run(const mpscnn_image &image,
                                               const vision::Preprocess &preprocess);

private:
    mpscnn_session &session_;
};

} // namespace mpscnn::c_api
