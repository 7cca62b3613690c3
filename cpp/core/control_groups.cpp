#include "core/control_groups.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/text.h"
#include "core/text_file.h"

namespace mpscnn::platform {

namespace {

/// Return the number, or 0 for "max" and for numbers that are not positive.
double positive_number(std::string_view digits) {
    long long number = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), number);
    return number > 0 ? static_cast<double>(number) : 0.0;
}

/// True if `list`, such as "rw,cpu,cpuacct", contains the controller.
bool names(std::string_view list, std::string_view controller) {
    while (!list.empty())
        if (take_until(',', list) == controller) return true;
    return false;
}

// ---- The directories of a process's groups ----

/// A mounted tree of control groups, or a part of one.
struct Mount {
    std::string root;  ///< the group whose files are in `point`
    std::string point; ///< the directory where it is mounted
    bool unified;      ///< true: version 2
    std::string options;
};

/// Decode a path of mountinfo, in which spaces and some other characters are octal numbers ("\040").
std::string unescaped(std::string_view text) {
    std::string path;
    for (std::size_t i = 0; i < text.size(); ++i) {
        int code = 0;
        const char *digits = text.data() + i + 1;
        if (text[i] == '\\' && i + 3 < text.size() &&
            std::from_chars(digits, digits + 3, code, 8).ptr == digits + 3) {
            path += static_cast<char>(code);
            i += 3;
        } else {
            path += text[i];
        }
    }
    return path;
}

/// Read a line of mountinfo: "36 35 98:0 /root /point rw,noatime shared:1 - cgroup source rw,cpu", with any
/// number of fields before the dash.
std::optional<Mount> read_mount(std::string_view line) {
    for (int field = 0; field < 3; ++field) take_until(' ', line);
    Mount mount;
    mount.root = unescaped(take_until(' ', line));
    mount.point = unescaped(take_until(' ', line));
    while (!line.empty() && take_until(' ', line) != "-") {
    }
    const std::string_view type = take_until(' ', line);
    if (type != "cgroup" && type != "cgroup2") return std::nullopt;
    mount.unified = type == "cgroup2";
    take_until(' ', line);
    mount.options = line;
    return mount;
}

/// Return the places where most systems mount control groups, for a system without mountinfo.
std::vector<Mount> usual_mounts(std::string_view controller) {
    return {{"/", "/sys/fs/cgroup", true, ""},
            {"/", concat({"/sys/fs/cgroup/", controller}), false, std::string(controller)}};
}

std::vector<Mount> read_mounts(const std::string &text, std::string_view controller) {
    std::vector<Mount> mounts;
    for (std::string_view lines = text; !lines.empty();)
        if (std::optional<Mount> mount = read_mount(take_until('\n', lines)))
            mounts.push_back(std::move(*mount));
    return mounts.empty() ? usual_mounts(controller) : mounts;
}

/// Return the group's path relative to a mount's root, or nothing if the group is not below the root.
std::optional<std::string> path_below(const std::string &root, const std::string &group) {
    const std::string above = root == "/" ? "" : root;
    if (!group.starts_with(above)) return std::nullopt;
    std::string rest = group.substr(above.size());
    if (!rest.empty() && rest[0] != '/') return std::nullopt;
    // In a namespace of control groups, paths of groups outside of the namespace contain "/../".
    if (concat({rest, "/"}).find("/../") != std::string::npos) return std::nullopt;
    return rest;
}

/// A group that /proc/self/cgroup lists: "0::/path" (version 2) or "4:cpu,cpuacct:/path" (version 1).
struct Membership {
    std::string_view controllers, path;
    bool unified() const { return controllers.empty(); }
};

std::vector<Membership> read_memberships(std::string_view lines) {
    std::vector<Membership> memberships;
    while (!lines.empty()) {
        std::string_view line = take_until('\n', lines);
        take_until(':', line);
        const std::string_view controllers = take_until(':', line);
        if (line.starts_with('/')) memberships.push_back({controllers, line});
    }
    return memberships;
}

/// Return the directories of a process's control group and of all groups above it.
std::vector<std::string> directories_of(const Membership &membership, const std::vector<Mount> &mounts,
                                        std::string_view controller) {
    std::optional<std::string> path;
    const Mount *place = nullptr;
    for (const Mount &mount : mounts) {
        if (mount.unified != membership.unified()) continue;
        if (!mount.unified && !names(mount.options, controller)) continue;
        if (!place) place = &mount;
        path = path_below(mount.root, std::string(membership.path));
        if (path) {
            place = &mount;
            break;
        }
    }
    if (!place) return {};
    // In a container, the name of the group may differ from its name in the mount. Then the mount's own
    // directory holds the files of that group, or of a group above it.
    std::string directory = place->point + path.value_or("");
    std::vector<std::string> directories{place->point};
    while (directory.size() > place->point.size()) {
        directories.push_back(directory);
        directory.resize(directory.rfind('/'));
    }
    return directories;
}

/// Return the smallest positive limit_of(directory) over a process's group and all groups above; 0 if there
/// is none.
template <class LimitOf>
double strictest_group(const std::string &root, std::string_view controller, LimitOf limit_of) {
    const std::string groups = file_text(root + "/proc/self/cgroup");
    const std::vector<Mount> mounts = read_mounts(file_text(root + "/proc/self/mountinfo"), controller);
    double strictest = 0;
    for (const Membership &membership : read_memberships(groups)) {
        if (!membership.unified() && !names(membership.controllers, controller)) continue;
        for (const std::string &directory : directories_of(membership, mounts, controller)) {
            const double limit = limit_of(root + directory);
            if (limit > 0) strictest = strictest > 0 ? std::min(strictest, limit) : limit;
        }
    }
    return strictest;
}

// ---- The limits of one group; 0 without a limit ----

double quota_of_group(const std::string &directory) {
    const auto share = [](std::string_view quota, std::string_view period) {
        const double processors = positive_number(quota) / positive_number(period);
        return std::isfinite(processors) ? processors : 0.0;
    };
    const std::string unified = file_text(directory + "/cpu.max"); // "max 100000" or "150000 100000"
    std::string_view rest = unified;
    const std::string_view quota = take_until(' ', rest);
    if (const double processors = share(quota, rest); processors > 0) return processors;
    return share(file_text(directory + "/cpu.cfs_quota_us"), // -1: no limit
                 file_text(directory + "/cpu.cfs_period_us"));
}

double memory_of_group(const std::string &directory) {
    const double unified = positive_number(file_text(directory + "/memory.max")); // "max" or "1073741824"
    return unified > 0 ? unified : positive_number(file_text(directory + "/memory.limit_in_bytes"));
}

} // namespace

double processor_quota(const std::string &root) { return strictest_group(root, "cpu", quota_of_group); }

std::uint64_t memory_limit(const std::string &root) {
    return static_cast<std::uint64_t>(strictest_group(root, "memory", memory_of_group));
}

} // namespace mpscnn::platform
