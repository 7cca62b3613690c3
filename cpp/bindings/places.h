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

class Place;
class PlaceRequest;

/// The places of a runner, given to whoever has waited longest, and its frames under way. The core counts
/// places, too, but whoever waits for one there is not interrupted by signals.
class Places {
public:
    explicit Places(int count);

    /// If there is one that nobody waits for.
    static std::optional<Place> take_free(const std::shared_ptr<Places> &places);
    /// With the GIL: blocks until no frame is under way; a signal's exception interrupts it.
    void wait_until_idle();
    /// Nobody gets a place any more.
    void close();

    /// Said by the thread that calls the callbacks of frames, and asked by any.
    void note_delivery() { delivery_ = std::this_thread::get_id(); }
    bool in_delivery() const { return delivery_.load() == std::this_thread::get_id(); }

private:
    friend class Place;
    friend class PlaceRequest;
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
    std::deque<PlaceRequest *> line_;
    std::vector<PyThread_type_lock> waiting_until_idle_;
};

/// What a frame has from its submission on: a place until it gives that back, and its part of the frames
/// under way until it is destroyed.
class Place {
public:
    explicit Place(std::shared_ptr<Places> places) : places_(std::move(places)) {}
    Place(Place &&other) noexcept
        : places_(std::move(other.places_)), has_place_(std::exchange(other.has_place_, false)) {}
    Place &operator=(Place &&) = delete;
    ~Place();

    void give_back();
    Places &places() const { return *places_; }

private:
    std::shared_ptr<Places> places_;
    bool has_place_ = true;
};

/// Somebody who wants a place: has one at once, or stands in line until it is destroyed or has one.
class PlaceRequest {
public:
    /// `told`, which may be null, is called when there is a place after waiting, or when there will never be
    /// one.
    explicit PlaceRequest(std::shared_ptr<Places> places, std::unique_ptr<Callback> told = nullptr);
    PlaceRequest(const PlaceRequest &) = delete;
    PlaceRequest &operator=(const PlaceRequest &) = delete;
    ~PlaceRequest();

    bool waits() const;
    /// With the GIL: blocks until it has a place; a signal's exception interrupts it. Throws StateError where
    /// the places are closed, and in a callback of the runner's, which would wait for itself.
    Place take();

private:
    friend class Places;
    enum class State { waiting, has_place, refused, taken };

    std::shared_ptr<Places> places_;
    std::unique_ptr<Callback> told_;
    State state_ = State::waiting;          ///< of the places' mutex
    PyThread_type_lock answered_ = nullptr; ///< taken while it waits
};

} // namespace mpscnn::bindings
