#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "engine/run/frame.h"

namespace mpscnn::engine {

struct RunnerOptions {
    int inflight = 3;                     ///< the largest number of requests in flight
    int threads = 0;                      ///< of the processor for each request; 0: all cores are shared out
    int max_batch = 1;                    ///< images that may be gathered into one request
    std::chrono::nanoseconds max_wait{0}; ///< for how long a frame may wait for others to be gathered with
    bool check_finite = false;
    std::uint64_t max_memory = 0; ///< of each session, see SessionOptions
};

/// Keeps a device busy: runs frames in several sessions in parallel and hands their results out in the order
/// of submission, each exactly once. Any number of threads may use it.
///
/// A frame has one of `permits()` permits from its submission until its turn to be handed out. Its `done` is
/// called on one thread of the runner's, one frame after the other, and may submit; it must not throw. A
/// `brief` one is called, in its turn too, on the thread that ended a frame, which spares short frames a
/// thread's being woken for each.
class Runner {
public:
    Runner(std::shared_ptr<Program> program, const RunnerOptions &options);
    /// Waits until every frame has been handed out, unless called by a frame's `done`.
    ~Runner();
    Runner(const Runner &) = delete;
    Runner &operator=(const Runner &) = delete;

    using FrameNumber = std::uint64_t;

    /// Memory of the frame must stay until its `done` is called. Blocks while all permits are taken. Throws
    /// StateError where `done` would wait for itself, and after the runner is closed. Errors in the frame's
    /// arrays are thrown here; later errors are passed to `done`.
    FrameNumber submit(Frame frame);
    /// A frame without a run, which is handed out in its turn.
    FrameNumber mark(Completion done);
    /// Whether the frame had not begun: then its `done` gets `Cancelled` in its turn.
    bool cancel(FrameNumber frame);
    /// Takes no more frames; cancels those that have not begun, if asked to.
    void close(bool cancel);
    /// Blocks until every frame has been handed out. Not for a frame's `done`.
    void wait();

    int sessions() const;
    int threads() const; ///< of the processor, for each session
    int permits() const;

private:
    struct Crew;
    void require_alive() const;

    const unsigned process_;
    std::shared_ptr<Crew> crew_;
};

} // namespace mpscnn::engine
