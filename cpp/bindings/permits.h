#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "callback.h"
#include "text.h"

namespace mpscnn::bindings {

namespace py = pybind11;

class Permit;
class PermitRequest;

/// The permits of a runner, given to whoever has waited longest, and its frames under way. The core counts
/// permits, too, but whoever waits for one there is not interrupted by signals.
class Permits {
public:
    explicit Permits(int count);

    /// If there is one that nobody waits for.
    static std::optional<Permit> take_free(const std::shared_ptr<Permits> &permits);
    /// With the GIL: blocks until no frame is under way; a signal's exception interrupts it.
    void wait_until_idle();
    /// Nobody gets a permit any more.
    void close();

    /// Said by the thread that calls the callbacks of frames, and asked by any.
    void note_delivery() { delivery_ = std::this_thread::get_id(); }
    bool in_delivery() const { return delivery_.load() == std::this_thread::get_id(); }

private:
    friend class Permit;
    friend class PermitRequest;
    using Lock = std::unique_lock<std::mutex>;

    bool is_of_this_process() const;
    void give_back();
    void end_frame();

    const unsigned process_; ///< in a forked child the mutex may be locked for ever
    const int count_;
    std::atomic<std::thread::id> delivery_;
    std::mutex mutex_; ///< of everything below
    int free_, under_way_ = 0;
    bool closed_ = false;
    std::deque<PermitRequest *> line_;
    std::vector<PyThread_type_lock> waiting_until_idle_;
};

/// A submitted frame's hold on its runner. It has a permit until it returns it, and counts as a frame in
/// flight until it is destroyed.
class Permit {
public:
    explicit Permit(std::shared_ptr<Permits> permits) : permits_(std::move(permits)) {}
    Permit(Permit &&other) noexcept
        : permits_(std::move(other.permits_)), has_permit_(std::exchange(other.has_permit_, false)) {}
    Permit &operator=(Permit &&) = delete;
    ~Permit();

    void give_back();
    Permits &permits() const { return *permits_; }

private:
    std::shared_ptr<Permits> permits_;
    bool has_permit_ = true;
};

/// A request for a permit. It gets a free permit immediately, or waits in the queue until it gets one or is
/// destroyed.
class PermitRequest {
public:
    /// `told`, which may be null, is called when there is a permit after waiting, or when there will never be
    /// one.
    explicit PermitRequest(std::shared_ptr<Permits> permits, std::unique_ptr<Callback> told = nullptr);
    PermitRequest(const PermitRequest &) = delete;
    PermitRequest &operator=(const PermitRequest &) = delete;
    ~PermitRequest();

    bool waits() const;
    /// With the GIL: blocks until it has a permit; a signal's exception interrupts it. Throws StateError
    /// where the permits are closed, and in a callback of the runner's, which would wait for itself.
    Permit take();

private:
    friend class Permits;
    enum class State { waiting, has_permit, refused, taken };

    std::shared_ptr<Permits> permits_;
    std::unique_ptr<Callback> told_;
    State state_ = State::waiting;          ///< of the permits' mutex
    PyThread_type_lock answered_ = nullptr; ///< taken while it waits
};

} // namespace mpscnn::bindings
