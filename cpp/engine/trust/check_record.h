#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "engine/trust/case_check.h"

namespace mpscnn::engine {

// Stores results of checks of devices, and of networks on devices, in the cache directory (MPSCNN_CACHE,
// otherwise the platform's). There is a small file for each identity of a backend, network and version of
// mpscnn. If the directory cannot be written, the next process checks again.

/// Identifies what a record is about: a device, or a network on a device.
struct CheckedThing {
    CheckedThing(std::string device_identity, std::string network_identity = "")
        : device(std::move(device_identity)), network(std::move(network_identity)) {}
    CheckedThing(const char *device_identity) : CheckedThing(std::string(device_identity)) {}

    std::string device;
    std::string network; ///< one line; empty for a device
};

/// Return the text that identifies a record: mpscnn's version, the backend's identity, and the network's if
/// there is one, each with a line end.
std::string check_record_of(const CheckedThing &thing);

/// Read the verdict that this version of mpscnn recorded. Return nothing for a verdict whose time is over.
std::optional<Verdict> verdict_on_record(const CheckedThing &thing);

/// Return whether there may be a record of a network.
bool has_networks_on_record();

/// Delete the records of all networks, so that they are checked again.
void forget_networks() noexcept;

/// Write a verdict, and replace the recorded one, unless it is kept for this process only. Failures are
/// ignored. A verdict on silent cases counts from the third one in a row on; after the first, the next
/// process checks again, and after the second, a process of the next day. The files of networks are kept for
/// the 1,000 verdicts that were written last.
void remember(const CheckedThing &thing, const Verdict &verdict) noexcept;

/// A file that says which case of a check runs, and since when. It is deleted with this object, so it stays
/// if the machine stops during the check.
class CheckMarker {
public:
    explicit CheckMarker(const CheckedThing &thing);
    ~CheckMarker();
    CheckMarker(const CheckMarker &) = delete;
    CheckMarker &operator=(const CheckMarker &) = delete;

    /// Note that a case begins. The note is on the disk when this returns.
    void begin(std::size_t number);

private:
    int descriptor_ = -1;
    std::string path_;
};

/// Let SIGTERM delete this process's marker before it ends the process: a restart or a logout of the user
/// ends processes this way, and is no crash of the machine.
void delete_marker_when_terminated() noexcept;

/// Return the number of the case that ran when the machine stopped during a check of this thing. Return
/// nothing if the machine was not started again within the hour after the case began: then only the process
/// was killed.
std::optional<std::int64_t> case_of_crash(const CheckedThing &thing);

/// Return whether a process checks this device now.
bool device_check_runs(const std::string &identity);

/// A lock between processes that check the same device, or networks on it. The constructor waits until the
/// lock is free. The destructor releases the lock, and so does the end of the process. If the cache directory
/// does not support locks, the constructor does not wait.
class CheckTurn {
public:
    /// `stop` is called at least twice a second while this waits. If it returns true, the waiting ends.
    explicit CheckTurn(const std::string &identity, const std::function<bool()> &stop = {});
    ~CheckTurn();
    CheckTurn(const CheckTurn &) = delete;
    CheckTurn &operator=(const CheckTurn &) = delete;

    /// Return whether `stop` ended the waiting, so that another process may still check.
    bool stopped() const { return stopped_; }

private:
    int descriptor_ = -1;
    bool stopped_ = false;
};

} // namespace mpscnn::engine
