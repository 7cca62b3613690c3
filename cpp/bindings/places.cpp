#include "places.h"

#include <mpscnn/mpscnn.hpp>

#include <algorithm>
#include <string>
#include <utility>

#include "gil.h"

namespace mpscnn::bindings {

namespace {

/// Of a lock that no other thread knows any more.
void free_lock(PyThread_type_lock lock) {
    PyThread_acquire_lock(lock, NOWAIT_LOCK);
    PyThread_release_lock(lock);
    PyThread_free_lock(lock);
}

} // namespace

Places::Places(int count) : process_(forks()), count_(count), free_(count) {}

bool Places::is_of_this_process() const { return forks() == process_; }

std::optional<Place> Places::take_free(const std::shared_ptr<Places> &places) {
    const Lock lock(places->mutex_);
    if (places->closed_ || places->free_ == 0) return std::nullopt;
    --places->free_;
    ++places->under_way_;
    return Place(places);
}

void Places::wait_until_idle() {
    PyThread_type_lock idle = nullptr;
    {
        const Lock lock(mutex_);
        if (under_way_ == 0) return;
        idle = taken_lock();
        waiting_until_idle_.push_back(idle);
    }
    const auto stop_waiting = [&] {
        {
            const Lock lock(mutex_);
            std::erase(waiting_until_idle_, idle);
        }
        free_lock(idle);
    };
    try {
        acquire_interruptibly(idle);
    } catch (py::error_already_set &) {
        stop_waiting();
        throw;
    }
    stop_waiting();
}

void Places::close() {
    std::vector<std::unique_ptr<Callback>> told;
    {
        const Lock lock(mutex_);
        closed_ = true;
        for (PlaceRequest *request : line_) {
            request->state_ = PlaceRequest::State::refused;
            if (request->told_) told.push_back(std::move(request->told_));
            PyThread_release_lock(request->answered_);
        }
        line_.clear();
    }
    for (const auto &callback : told) (*callback)([] { return py::tuple(); });
}

void Places::give_back() {
    if (!is_of_this_process()) return;
    std::unique_ptr<Callback> told;
    {
        const Lock lock(mutex_);
        if (line_.empty()) {
            ++free_;
            return;
        }
        PlaceRequest *next = line_.front();
        line_.pop_front();
        next->state_ = PlaceRequest::State::has_place;
        told = std::move(next->told_);
        PyThread_release_lock(next->answered_); // the request cannot go before the mutex is free
    }
    if (told) (*told)([] { return py::tuple(); });
}

void Places::end_frame() {
    if (!is_of_this_process()) return;
    const Lock lock(mutex_);
    if (--under_way_ > 0) return;
    for (PyThread_type_lock idle : waiting_until_idle_) PyThread_release_lock(idle);
    waiting_until_idle_.clear();
}

Place::~Place() {
    if (!places_) return;
    give_back();
    places_->end_frame();
}

void Place::give_back() {
    if (std::exchange(has_place_, false)) places_->give_back();
}

PlaceRequest::PlaceRequest(std::shared_ptr<Places> places, std::unique_ptr<Callback> told)
    : places_(std::move(places)), told_(std::move(told)) {
    const Places::Lock lock(places_->mutex_);
    if (places_->closed_) {
        state_ = State::refused;
    } else if (places_->free_ > 0) {
        --places_->free_;
        state_ = State::has_place;
    } else {
        answered_ = taken_lock();
        places_->line_.push_back(this);
    }
}

PlaceRequest::~PlaceRequest() {
    bool unused = false;
    if (places_->is_of_this_process()) {
        const Places::Lock lock(places_->mutex_);
        std::erase(places_->line_, this);
        unused = state_ == State::has_place;
    }
    if (unused) places_->give_back();
    if (answered_ != nullptr) free_lock(answered_);
}

bool PlaceRequest::waits() const {
    const Places::Lock lock(places_->mutex_);
    return state_ == State::waiting;
}

Place PlaceRequest::take() {
    if (waits()) {
        if (places_->in_delivery())
            throw StateError("all " + std::to_string(places_->count_) +
                             " places of the runner are taken, and a callback of a frame cannot wait for the "
                             "frames behind it");
        acquire_interruptibly(answered_);
    }
    const Places::Lock lock(places_->mutex_);
    if (state_ != State::has_place) throw StateError("the runner is closed");
    state_ = State::taken;
    ++places_->under_way_;
    return Place(places_);
}

} // namespace mpscnn::bindings
