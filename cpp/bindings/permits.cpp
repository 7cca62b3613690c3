#include "permits.h"

#include <mpscnn/mpscnn.hpp>

#include <algorithm>
#include <string>
#include <utility>

#include "gil.h"

namespace mpscnn::bindings {

namespace {

/// Free a lock that no other thread uses any more.
void free_lock(PyThread_type_lock lock) {
    PyThread_acquire_lock(lock, NOWAIT_LOCK);
    PyThread_release_lock(lock);
    PyThread_free_lock(lock);
}

} // namespace

Permits::Permits(int count) : process_(forks()), count_(count), free_(count) {}

bool Permits::is_of_this_process() const { return forks() == process_; }

std::optional<Permit> Permits::take_free(const std::shared_ptr<Permits> &permits) {
    const Lock lock(permits->mutex_);
    if (permits->closed_ || permits->free_ == 0) return std::nullopt;
    --permits->free_;
    ++permits->under_way_;
    return Permit(permits);
}

void Permits::wait_until_idle() {
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

void Permits::close() {
    std::vector<std::unique_ptr<Callback>> on_permit;
    {
        const Lock lock(mutex_);
        closed_ = true;
        for (PermitRequest *request : line_) {
            request->state_ = PermitRequest::State::refused;
            if (request->on_permit_) on_permit.push_back(std::move(request->on_permit_));
            PyThread_release_lock(request->answered_);
        }
        line_.clear();
    }
    for (const auto &callback : on_permit) (*callback)([] { return py::tuple(); });
}

void Permits::give_back() {
    if (!is_of_this_process()) return;
    std::unique_ptr<Callback> on_permit;
    {
        const Lock lock(mutex_);
        if (line_.empty()) {
            ++free_;
            return;
        }
        PermitRequest *next = line_.front();
        line_.pop_front();
        next->state_ = PermitRequest::State::has_permit;
        on_permit = std::move(next->on_permit_);
        PyThread_release_lock(next->answered_); // the request cannot be destroyed before the mutex is free
    }
    if (on_permit) (*on_permit)([] { return py::tuple(); });
}

void Permits::end_frame() {
    if (!is_of_this_process()) return;
    const Lock lock(mutex_);
    if (--under_way_ > 0) return;
    for (PyThread_type_lock idle : waiting_until_idle_) PyThread_release_lock(idle);
    waiting_until_idle_.clear();
}

Permit::~Permit() {
    if (!permits_) return;
    give_back();
    permits_->end_frame();
}

void Permit::give_back() {
    if (std::exchange(has_permit_, false)) permits_->give_back();
}

PermitRequest::PermitRequest(std::shared_ptr<Permits> permits, std::unique_ptr<Callback> on_permit)
    : permits_(std::move(permits)), on_permit_(std::move(on_permit)) {
    const Permits::Lock lock(permits_->mutex_);
    if (permits_->closed_) {
        state_ = State::refused;
    } else if (permits_->free_ > 0) {
        --permits_->free_;
        state_ = State::has_permit;
    } else {
        answered_ = taken_lock();
        permits_->line_.push_back(this);
    }
}

PermitRequest::~PermitRequest() {
    bool unused = false;
    if (permits_->is_of_this_process()) {
        const Permits::Lock lock(permits_->mutex_);
        std::erase(permits_->line_, this);
        unused = state_ == State::has_permit;
    }
    if (unused) permits_->give_back();
    if (answered_ != nullptr) free_lock(answered_);
}

bool PermitRequest::waits() const {
    const Permits::Lock lock(permits_->mutex_);
    return state_ == State::waiting;
}

Permit PermitRequest::take() {
    if (waits()) {
        if (permits_->in_delivery())
            throw StateError("all " + std::to_string(permits_->count_) +
                             " permits of the runner are taken, and a callback of a frame cannot wait for "
                             "later frames");
        acquire_interruptibly(answered_);
    }
    const Permits::Lock lock(permits_->mutex_);
    if (state_ != State::has_permit) throw StateError("the runner is closed");
    state_ = State::taken;
    ++permits_->under_way_;
    return Permit(permits_);
}

} // namespace mpscnn::bindings
