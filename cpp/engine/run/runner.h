#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "engine/run/frame.h"

namespace mpscnn::engine {

struct RunnerOptions {
    int inflight = 3; ///< the largest number of requests in flight
    /// Processor threads for each request; 0: all cores are divided among the requests.
    int threads = 0;
    int max_batch = 1;                    ///< maximum number of images that are gathered into one request
    std::chrono::nanoseconds max_wait{0}; ///< the time for which a frame may wait for others to form a batch
    bool check_finite = false;
    std::uint64_t max_memory = 0; ///< for each session; see SessionOptions
};

/// Return the first layer whose result for an image depends on the batch, or null. Statistics of a batch
/// depend on all of its images. The mask of dropout depends on the image's place in the batch.
const Node *layer_over_the_batch(const Graph &graph);

/// Keeps a device busy. It runs frames (photos or arrays) in several sessions in parallel, and delivers their
/// results in the order of submission, each exactly once. Any number of threads may use it.
///
/// A frame holds one of `permits()` permits from its submission until its turn to be delivered. `done` is
/// called on one of the runner's threads, for one frame after another. It may submit frames; it must not
/// throw. The handler of a `brief` frame is called on the thread that ended a frame, also in order. This
/// avoids waking a thread for each short frame.
class Runner {
public:
    Runner(std::shared_ptr<Program> program, const RunnerOptions &options);
    /// Waits until every frame has been delivered, unless a frame's `done` calls the destructor.
    ~Runner();
    Runner(const Runner &) = delete;
    Runner &operator=(const Runner &) = delete;

    using FrameNumber = std::uint64_t;

    /// Submit a frame; its memory must stay valid until its `done` is called. Blocks while all permits are
    /// taken. Throws StateError if `done` would wait for itself, and after the runner is closed. Errors in
    /// the frame's arrays are thrown here; later errors are passed to `done`.
    FrameNumber submit(Frame frame);
    /// Submit a frame that runs nothing; its `done` is called in the order of submission.
    FrameNumber mark(Completion done);
    /// Cancel a frame. Return true if it had not begun; its `done` then gets `Cancelled` in the order of
    /// submission.
    bool cancel(FrameNumber frame);
    /// Accept no more frames. If `cancel` is true, cancel those that have not begun.
    void close(bool cancel);
    /// Block until every frame has been delivered. A frame's `done` must not call this.
    void wait();

    int sessions() const;
    int threads() const; ///< processor threads for each session
    int permits() const;

private:
    struct Crew;
    void require_alive() const;

    const unsigned process_;
    std::shared_ptr<Crew> crew_;
};

} // namespace mpscnn::engine
