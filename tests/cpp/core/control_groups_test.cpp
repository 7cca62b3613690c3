// Tests of the CPU limits that control groups set, with folders of files that imitate systems.

#include "core/control_groups.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h> // mkdtemp on macOS

#include "core/platform.h"
#include "tests/cpp/check.h"

using namespace mpscnn;
using platform::memory_limit;
using platform::processor_quota;

namespace {

/// The files of an imitated system, in a temporary directory.
class System {
public:
    System(const std::string &groups, const std::string &mounts,
           const std::vector<std::pair<std::string, std::string>> &files = {}) {
        std::string name = (std::filesystem::temp_directory_path() / "mpscnn-XXXXXX").string();
        root_ = mkdtemp(name.data());
        write("/proc/self/cgroup", groups);
        if (!mounts.empty()) write("/proc/self/mountinfo", mounts);
        for (const auto &[path, text] : files) write("/sys/fs/cgroup" + path, text);
    }
    ~System() { std::filesystem::remove_all(root_); }
    System(const System &) = delete;
    System &operator=(const System &) = delete;

    double quota() const { return processor_quota(root_.string()); }
    std::uint64_t memory() const { return memory_limit(root_.string()); }

    void write(const std::string &path, const std::string &text) const {
        const std::filesystem::path whole = root_.string() + path;
        std::filesystem::create_directories(whole.parent_path());
        std::ofstream(whole) << text;
    }

private:
    std::filesystem::path root_;
};

// Mount tables in the kernel's format, with unrelated mounts.
const std::string version_2 =
    "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
    "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

std::string version_1(const std::string &root, const std::string &cpu = "cpu,cpuacct") {
    return "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
           "32 31 0:29 " +
           root + " /sys/fs/cgroup/" + cpu + " rw,relatime master:9 - cgroup cgroup rw," + cpu +
           "\n"
           "33 31 0:30 " +
           root + " /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n";
}

TEST(version_2_has_one_tree) {
    const std::vector<std::pair<std::string, std::string>> files{
        {"/cpu.max", "max 100000\n"},        {"/a/cpu.max", "150000 100000\n"},
        {"/a/b/cpu.max", "400000 100000\n"}, {"/a/c/cpu.max", "50000 100000\n"},
        {"/a/memory.max", "1073741824\n"},   {"/a/b/memory.max", "max\n"}};
    CHECK(System("0::/\n", version_2, files).quota() == 0);
    CHECK(System("0::/a\n", version_2, files).quota() == 1.5);
    CHECK(System("0::/a/b\n", version_2, files).quota() == 1.5);     // the parent group is stricter
    CHECK(System("0::/a/c\n", version_2, files).quota() == 0.5);     // the process's own group is stricter
    CHECK(System("0::/a/b/c/d\n", version_2, files).quota() == 1.5); // the inner groups have no such files
    CHECK(System("0::/elsewhere\n", version_2, files).quota() == 0);
    CHECK(System("0::/ab\n", version_2, files).quota() == 0);
    CHECK(System("0::/a/b\n", version_2, files).memory() == 1u << 30);
    CHECK(System("0::/a/b\n", "", files).quota() == 1.5); // without mountinfo, the usual place
}

TEST(version_1_has_a_tree_for_each_controller) {
    const std::vector<std::pair<std::string, std::string>> files{
        {"/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"},
        {"/cpu,cpuacct/cpu.cfs_period_us", "100000\n"},
        {"/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "50000\n"},
        {"/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n"},
        {"/cpu,cpuacct/docker/x/y/cpu.cfs_quota_us", "300000\n"},
        {"/cpu,cpuacct/docker/x/y/cpu.cfs_period_us", "100000\n"},
        {"/memory/docker/x/memory.limit_in_bytes", "536870912\n"},
        {"/memory/memory.limit_in_bytes", "9223372036854771712\n"}};
    const std::string in_x = "7:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n1:name=systemd:/docker/x\n";
    CHECK(System(in_x, version_1("/"), files).quota() == 0.5);
    CHECK(System(in_x, version_1("/"), files).memory() == 1u << 29);
    CHECK(System("4:cpu,cpuacct:/docker/x/y\n", version_1("/"), files).quota() == 0.5);
    CHECK(System("4:cpu,cpuacct:/\n", version_1("/"), files).quota() == 0);
    CHECK(System("4:cpuset:/docker/x\n7:memory:/docker/x\n", version_1("/"), files).quota() == 0);
    CHECK(System("4:cpuacct:/docker/x\n", version_1("/"), files).quota() == 0);
}

/// A container without a control group namespace: its paths are the host's, but it sees only its own group's
/// files.
TEST(a_container_sees_its_group_as_the_top) {
    const std::vector<std::pair<std::string, std::string>> files{
        {"/cpu/cpu.cfs_quota_us", "200000\n"},       {"/cpu/cpu.cfs_period_us", "100000\n"},
        {"/cpu/inner/cpu.cfs_quota_us", "25000\n"},  {"/cpu/inner/cpu.cfs_period_us", "50000\n"},
        {"/cpu/docker/cpu.cfs_quota_us", "10000\n"}, {"/cpu/docker/cpu.cfs_period_us", "100000\n"}};
    CHECK(System("4:cpu:/docker/x\n", version_1("/docker/x", "cpu"), files).quota() == 2);
    CHECK(System("4:cpu:/docker/x/inner\n", version_1("/docker/x", "cpu"), files).quota() == 0.5);
    CHECK(System("4:cpu:/docker/xy\n", version_1("/docker/x", "cpu"), files).quota() == 2);
    const std::string unified = "30 22 0:26 /docker/x /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
    CHECK(System("0::/docker/x/inner\n", unified, {{"/inner/cpu.max", "25000 50000"}}).quota() == 0.5);
}

/// In a control group namespace, the process's own group is "/", and paths outside begin with "/..".
TEST(a_namespace_of_groups_has_paths_of_its_own) {
    const std::vector<std::pair<std::string, std::string>> files{{"/cpu.max", "70000 100000\n"},
                                                                 {"/sub/cpu.max", "30000 100000\n"}};
    const auto below = [](const std::string &root) {
        return "30 22 0:26 " + root + " /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
    };
    CHECK(System("0::/\n", below("/"), files).quota() == 0.7);
    CHECK(System("0::/sub\n", below("/"), files).quota() == 0.3);
    CHECK(System("0::/\n", below("/.."), files).quota() == 0.7);       // a parent group is mounted
    CHECK(System("0::/\n", below("/../../.."), files).quota() == 0.7); // a distant ancestor is mounted
    CHECK(System("0::/../sub\n", below("/.."), files).quota() ==
          0.3); // the process is outside of the namespace
    CHECK(System("0::/../sub\n", below("/"), files).quota() == 0.7); // this group is not mounted here
    CHECK(System("0::/../../sub\n", below("/.."), files).quota() == 0.7);
}

TEST(systems_may_have_both_versions) {
    const std::string mounts =
        version_1("/", "cpu") + "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
    const std::vector<std::pair<std::string, std::string>> files{{"/cpu/a/cpu.cfs_quota_us", "300000\n"},
                                                                 {"/cpu/a/cpu.cfs_period_us", "100000\n"},
                                                                 {"/unified/b/cpu.max", "100000 100000\n"}};
    CHECK(System("1:cpu:/a\n0::/\n", mounts, files).quota() == 3);
    CHECK(System("1:cpu:/a\n0::/b\n", mounts, files).quota() == 1);
    CHECK(System("1:cpu:/\n0::/\n", mounts, files).quota() == 0);
}

TEST(mounts_may_be_anywhere) {
    const System system("0::/a b\n", "30 22 0:26 / /mnt/my\\040groups rw - cgroup2 none rw\n");
    CHECK(system.quota() == 0);
    system.write("/mnt/my groups/a b/cpu.max", "250000 100000\n");
    CHECK(system.quota() == 2.5);
    // If two places are mounted, the one with the process's group is used.
    const System two("0::/a\n",
                     "30 22 0:26 /b /other rw - cgroup2 none rw\n"
                     "31 22 0:26 / /sys/fs/cgroup rw - cgroup2 none rw\n",
                     {{"/a/cpu.max", "400000 100000\n"}});
    two.write("/other/cpu.max", "100000 100000\n");
    CHECK(two.quota() == 4);
}

TEST(what_is_not_a_limit_is_none) {
    for (const char *text : {"max\n", "max 100000\n", "", "\n", "many\n", "0 100000\n", "-1 100000\n",
                             "50000\n", "50000 0\n", "50000 max\n", "99999999999999999999 100000\n"})
        CHECK(System("0::/\n", version_2, {{"/cpu.max", text}}).quota() == 0);
    for (const char *period : {"", "0\n", "-5\n", "some\n"})
        CHECK(System("4:cpu:/\n", version_1("/", "cpu"),
                     {{"/cpu/cpu.cfs_quota_us", "50000\n"}, {"/cpu/cpu.cfs_period_us", period}})
                  .quota() == 0);
    for (const char *groups : {"", "nonsense\n::\n", ":\n", "0::", "0::relative\n", "\n\n", "4:cpu\n"})
        CHECK(System(groups, version_2, {{"/cpu.max", "50000 100000\n"}}).quota() == 0);
    for (const char *mounts : {"\n", "nonsense\n", "1 2 3 4 5 6 7\n", "- - -\n", "1 2 3 / /x rw - cgroup2"})
        static_cast<void>(System("0::/\n", mounts, {{"/cpu.max", "50000 100000\n"}}).quota());
    CHECK(processor_quota("/nowhere/at/all") == 0);
    CHECK(memory_limit("/nowhere/at/all") == 0);
}

TEST(threads_are_cores_within_the_quota) {
    using platform::threads_for;
    CHECK(threads_for(8, 0) == 8);
    CHECK(threads_for(8, 0.1) == 1); // less than one processor gives one thread
    CHECK(threads_for(8, 1) == 1);
    CHECK(threads_for(8, 1.5) == 2);
    CHECK(threads_for(8, 64) == 8);
    CHECK(threads_for(8, 1e300) == 8);
    CHECK(threads_for(0, 0) == 1);
    const platform::Processors own = platform::processors();
    CHECK(own.cores >= 1 && own.cores <= own.processors);
    CHECK(own.threads == threads_for(own.cores, own.quota));
    CHECK(platform::useful_threads() == own.threads);
    CHECK(platform::usable_memory() >= 1u << 26);
}

} // namespace
