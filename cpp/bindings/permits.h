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

/// The permits of a runner, granted in the order of requests, and the number of its frames in flight. The
/// core counts permits as well, but signals do not interrupt a wait there.
class Permits {
public:
    explicit Permits(int count);

    /// Return a permit if one is free and no request waits.
    static std::optional<Permit> take_free(const std::shared_ptr<Permits> &permits);
    /// Block until no frame is in flight. The caller must have the GIL; a signal handler's exception
    /// interrupts the wait.
    void wait_until_idle();
    /// Grant no more permits.
    void close();

    /// Record that the calling thread calls the frames' callbacks. in_delivery() returns true in this thread
    /// only.
    void note_delivery() { delivery_ = std::this_thread::get_id(); }
    bool in_delivery() const { return delivery_.load() == std::this_thread::get_id(); }

private:
    friend class Permit;
    friend class PermitRequest;
    using Lock = std::unique_lock<std::mutex>;

    bool is_of_this_process() const;
    void give_back();
    void end_frame();

    const unsigned process_; ///< in a forked child the mutex may be locked forever
    const int count_;
    std::atomic<std::thread::id> delivery_;
    std::mutex mutex_; ///< protects everything below
    int free_, under_way_ = 0;
    bool closed_ = false;
    std::deque<PermitRequest *> line_;
    std::vector<PyThread_type_lock> waiting_until_idle_;
};

/// A submitted frame's hold on its runner. It has a permit until it returns the permit, and counts as a frame
/// in flight until it is destroyed.
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
    /// `on_permit` may be null. It is called when a permit is granted after a wait, or when none will ever
    /// be.
    explicit PermitRequest(std::shared_ptr<Permits> permits, std::unique_ptr<Callback> on_permit = nullptr);
    PermitRequest(const PermitRequest &) = delete;
    PermitRequest &operator=(const PermitRequest &) = delete;
    ~PermitRequest();

    bool waits() const;
    /// Block until the request has a permit. The caller must have the GIL; a signal handler's exception
    /// interrupts the wait. Throws StateError if the permits are closed. Throws StateError also instead of
    /// blocking in a callback of the runner, because the runner would wait for itself.
    Permit take();

private:
    friend class Permits;
    enum class State { waiting, has_permit, refused, taken };

    std::shared_ptr<Permits> permits_;
    std::unique_ptr<Callback> on_permit_;
    State state_ = State::waiting;          ///< protected by the permits' mutex
    PyThread_type_lock answered_ = nullptr; ///< locked while the request waits
};

} // namespace mpscnn::bindings
