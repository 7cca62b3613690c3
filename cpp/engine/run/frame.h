#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "core/page_memory.h"
#include "engine/run/program.h"

namespace mpscnn::engine {

/// One run that a runner was asked for, on a photo or on a batch of arrays.
struct Frame {
    /// Functions that write the inputs, or make a result from the outputs. Their tensors belong to the
    /// session and have no gaps. They are called on the session's thread; `share` distributes work to its
    /// other threads. If they throw, the frame fails.
    using Fill = std::function<void(std::span<const TensorView> inputs, const WorkSharing &share)>;
    using Read = std::function<void(std::span<const TensorView> outputs)>;

    std::vector<TensorView> inputs;  ///< if `fill` is set, they have only shapes and types
    std::vector<TensorView> outputs; ///< if `read` is set, they have only shapes and types
    Fill fill;                       ///< if not set, the inputs are in the caller's memory
    Read read;                       ///< if not set, the outputs are in the caller's memory
    Completion done;                 ///< called by the runner
    bool brief = false;              ///< `done` neither blocks nor calls the runner; see Runner

    std::int64_t images() const { return inputs.front().shape[0]; }
    /// True if both frames can run in one batch.
    bool goes_with(const Frame &other) const;
};

/// Runs frames in a session, several of them as one batch. Only one thread at a time may use it.
class FrameSession {
public:
    explicit FrameSession(std::shared_ptr<Session> session) : session_(std::move(session)) {}

    /// Run frames as one batch and return a failure, or none, for each. When the batch fails, its frames are
    /// run again one by one, so that one frame's failure does not affect the others.
    std::vector<Failure> run(std::span<const Frame *const> frames);

private:
    /// The tensors of a batch, in memory that later batches reuse.
    class Staging {
    public:
        void reserve(std::span<const TensorView> images, std::int64_t count);
        /// Return views of `count` images, beginning with image `first`.
        std::vector<TensorView> views(std::int64_t first, std::int64_t count) const;

    private:
        struct Tensor {
            std::shared_ptr<PageMemory> memory; ///< pages that a GPU reads and writes without a copy
            TensorView image;
            std::size_t image_bytes = 0;
        };
        std::vector<Tensor> tensors_;
    };
    /// The position of a frame in the batch.
    struct Member {
        std::size_t frame;
        std::int64_t first;
    };

    /// Throw the errors that the session would throw, before memory is allocated for this many images.
    void prepare(const Frame &frame, std::int64_t images);
    void place(const Frame &frame, std::int64_t first);
    void run_alone(const Frame &frame, std::int64_t first);
    void run_together(std::span<const Frame *const> frames, std::span<const Member> members);
    /// Copy a frame's part of the batch's outputs to the frame.
    void hand_over(const Frame &frame, std::int64_t first);

    std::shared_ptr<Session> session_;
    Staging inputs_, outputs_;
};

} // namespace mpscnn::engine
