#pragma once

// Definitions of the opaque handles of mpscnn.h.

#include <atomic>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/handle.h"
#include "engine/file/model_file.h"
#include "engine/run/frame.h"
#include "engine/run/program.h"
#include "mpscnn/mpscnn.h"
#include "vision/detection.h"
#include "vision/preprocess.h"

struct mpscnn_text {
    mpscnn::c_api::Mark<mpscnn_text> mark = {};
    std::string value;
};

struct mpscnn_graph {
    mpscnn::c_api::Mark<mpscnn_graph> mark = {};
    mpscnn::engine::Graph graph;
};

struct mpscnn_program {
    mpscnn::c_api::Mark<mpscnn_program> mark = {};
    std::shared_ptr<mpscnn::engine::Program> program;
};

struct mpscnn_session {
    mpscnn::c_api::Mark<mpscnn_session> mark = {};
    mpscnn_session(std::shared_ptr<mpscnn::engine::Program> program,
                   const mpscnn::engine::SessionOptions &options)
        : session(std::make_shared<mpscnn::engine::Session>(std::move(program), options)),
          photos(std::make_shared<Photos>(session)) {}

    struct Photos {
        explicit Photos(const std::shared_ptr<mpscnn::engine::Session> &own) : session(own) {}
        mpscnn::engine::FrameSession session; ///< protected by `is_used`
        std::atomic<bool> is_used{false};
    };

    // Runs hold these, so that they complete when the handle is released meanwhile.
    std::shared_ptr<mpscnn::engine::Session> session; ///< shared with command buffers
    std::shared_ptr<Photos> photos;
};

struct mpscnn_request {
    mpscnn::c_api::Mark<mpscnn_request> mark = {};
    std::shared_ptr<mpscnn::engine::Session> session;
    std::shared_ptr<mpscnn::engine::Request> request;
};

struct mpscnn_model {
    mpscnn::c_api::Mark<mpscnn_model> mark = {};
    mpscnn::engine::ModelFile file;
    std::optional<mpscnn::vision::Preprocess> preprocess;
    std::optional<mpscnn::vision::Detector> detector;
};

struct mpscnn_predictions {
    mpscnn::c_api::Mark<mpscnn_predictions> mark = {};
    struct Entry {
        std::string label;
        int index;
        float probability;
    };
    std::vector<Entry> entries;
    mpscnn::engine::Scores scores; ///< what the probabilities are
    /// The share of calibration photos that are less unfamiliar; NaN if it is not known.
    double unfamiliar = std::numeric_limits<double>::quiet_NaN();
};
