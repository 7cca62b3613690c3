#include "metal/violations.h"

#include "metal/metal_emulation.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <thread>

#include <unistd.h>

namespace metal_emulation {
namespace {

// The object is never destroyed, because worker threads may outlive main().
struct State {
    std::mutex mutex;
    std::condition_variable idle;
    std::deque<std::string> violations; // a deque keeps the addresses of the returned texts valid
    std::map<std::string, int> live;
    std::string live_text;
    int working = 0;
};

State &state() {
    static auto &instance = *new State;
    return instance;
}

struct NamedSwitch {
    const char *name;
    std::atomic<long> Switches::*member;
    long initial;
};

constexpr NamedSwitch named_switches[] = {
    {"no_device", &Switches::no_device, 0},
    {"devices", &Switches::devices, 1},
    {"removed_device", &Switches::removed_device, 0},
    {"unsupported_device", &Switches::unsupported_device, 0},
    {"successes_first", &Switches::successes_first, 0},
    {"fail_queues", &Switches::fail_queues, 0},
    {"fail_libraries", &Switches::fail_libraries, 0},
    {"fail_functions", &Switches::fail_functions, 0},
    {"fail_buffers", &Switches::fail_buffers, 0},
    {"fail_textures", &Switches::fail_textures, 0},
    {"fail_texture_caches", &Switches::fail_texture_caches, 0},
    {"fail_pipelines", &Switches::fail_pipelines, 0},
    {"fail_archives", &Switches::fail_archives, 0},
    {"fail_kernels", &Switches::fail_kernels, 0},
    {"fail_command_buffers", &Switches::fail_command_buffers, 0},
    {"fail_encoders", &Switches::fail_encoders, 0},
    {"command_buffer_error", &Switches::command_buffer_error, 0},
    {"worker_delay_ms", &Switches::worker_delay_ms, 0},
    {"keep_handlers", &Switches::keep_handlers, 0},
    {"wrong_results", &Switches::wrong_results, 0},
    {"end_process", &Switches::end_process, 0},
    {"broken_rule", &Switches::broken_rule, 0},
    {"exceptions", &Switches::exceptions, 0},
    {"archive_delay_ms", &Switches::archive_delay_ms, 0},
    {"compilation_delay_ms", &Switches::compilation_delay_ms, 0},
    {"load_delay_ms", &Switches::load_delay_ms, 0},
    {"prediction_delay_ms", &Switches::prediction_delay_ms, 0},
    {"throw_failures", &Switches::throw_failures, 0},
    {"interrupt_delays", &Switches::interrupt_delays, 0},
    {"cold_ms", &Switches::cold_ms, 0},
    {"reverse_threads", &Switches::reverse_threads, 0},
    {"thread_execution_width", &Switches::thread_execution_width, 32},
    {"max_threads", &Switches::max_threads, 1024},
    {"discrete_memory", &Switches::discrete_memory, 0},
    {"old_gpu", &Switches::old_gpu, 0},
    {"paravirtual", &Switches::paravirtual, 0},
    {"max_buffer_bytes", &Switches::max_buffer_bytes, 1l << 32},
    {"purge_first", &Switches::purge_first, 0},
    {"archive_hits", &Switches::archive_hits, 0},
    {"compute_encoders_made", &Switches::compute_encoders_made, 0},
    {"pipelines_made", &Switches::pipelines_made, 0},
    {"dispatches_made", &Switches::dispatches_made, 0},
    {"threads_started", &Switches::threads_started, 0},
    {"threadgroups_started", &Switches::threadgroups_started, 0},
    {"buffers_made", &Switches::buffers_made, 0},
    {"private_buffers_made", &Switches::private_buffers_made, 0},
    {"shared_arguments", &Switches::shared_arguments, 0},
    {"copied_bytes", &Switches::copied_bytes, 0},
    {"command_buffers_made", &Switches::command_buffers_made, 0},
    {"no_copy_buffers_made", &Switches::no_copy_buffers_made, 0},
    {"texture_caches_made", &Switches::texture_caches_made, 0},
    {"announced_bytes", &Switches::announced_bytes, 0},
    {"bytes_of_weights", &Switches::bytes_of_weights, 0},
    {"fail_compilations", &Switches::fail_compilations, 0},
    {"fail_models", &Switches::fail_models, 0},
    {"fail_predictions", &Switches::fail_predictions, 0},
    {"fail_multi_arrays", &Switches::fail_multi_arrays, 0},
    {"wrong_predictions", &Switches::wrong_predictions, 0},
    {"models_compiled", &Switches::models_compiled, 0},
    {"models_loaded", &Switches::models_loaded, 0},
    {"predictions_made", &Switches::predictions_made, 0},
    {"compute_units", &Switches::compute_units, -1},
};

std::atomic<long> Switches::*find_member(const char *name) {
    for (const NamedSwitch &entry : named_switches)
        if (std::strcmp(entry.name, name) == 0) return entry.member;
    return nullptr;
}

std::atomic<long> *find_switch(const char *name) {
    std::atomic<long> Switches::*member = find_member(name);
    return member ? &(switches().*member) : nullptr;
}

/// Add a line with the counts of this process to the file that METAL_EMULATION_COUNTS names.
void write_counts() {
    std::FILE *file = std::fopen(std::getenv("METAL_EMULATION_COUNTS"), "a");
    if (!file) return;
    std::string line = "process=" + std::to_string(getpid());
    for (const NamedSwitch &entry : named_switches)
        if (std::string_view(entry.name).ends_with("_made"))
            line += std::string(" ") + entry.name + "=" + std::to_string(switches().*entry.member);
    std::fprintf(file, "%s\n", line.c_str());
    std::fclose(file);
}

/// Read switches from the environment, for processes that no test can call: "wrong_results=1,devices=2".
Switches *initial_switches() {
    auto *made = new Switches;
    if (std::getenv("METAL_EMULATION_COUNTS")) std::atexit(write_counts);
    const char *text = std::getenv("METAL_EMULATION_SWITCHES");
    std::string left = text ? text : "";
    while (!left.empty()) {
        const std::size_t end = std::min(left.find(','), left.size()), equals = left.find('=');
        std::atomic<long> Switches::*member =
            equals < end ? find_member(left.substr(0, equals).c_str()) : nullptr;
        if (!member) {
            std::fprintf(stderr, "Metal emulation: METAL_EMULATION_SWITCHES has no name=value in '%s'\n",
                         left.c_str());
            std::abort();
        }
        made->*member = std::strtol(left.c_str() + equals + 1, nullptr, 10);
        left.erase(0, end + 1);
    }
    return made;
}

/// Read METAL_EMULATION_KERNELS from the environment: "MPSCNNSoftMax=wrong,pooling_max=hang".
std::map<std::string, Behaviour> *named_kernels() {
    static const std::map<std::string, Behaviour> behaviours{
        {"wrong", Behaviour::wrong}, {"abort", Behaviour::abort}, {"hang", Behaviour::hang}};
    auto *named = new std::map<std::string, Behaviour>;
    const char *text = std::getenv("METAL_EMULATION_KERNELS");
    std::string left = text ? text : "";
    while (!left.empty()) {
        const std::size_t end = std::min(left.find(','), left.size()), equals = left.find('=');
        const auto found =
            equals < end ? behaviours.find(left.substr(equals + 1, end - equals - 1)) : behaviours.end();
        if (found == behaviours.end()) {
            std::fprintf(stderr, "Metal emulation: METAL_EMULATION_KERNELS has no kernel=behaviour in '%s'\n",
                         left.c_str());
            std::abort();
        }
        (*named)[left.substr(0, equals)] = found->second;
        left.erase(0, end + 1);
    }
    return named;
}

/// Append a line to the file that an environment variable names, if it is set.
void append_line(const char *variable, const char *line) {
    const char *path = std::getenv(variable);
    std::FILE *file = path ? std::fopen(path, "a") : nullptr;
    if (!file) return;
    std::fprintf(file, "%s\n", line);
    std::fclose(file);
}

/// Record a broken rule for tests/check_rules.py, which checks that the emulation's own tests break every
/// rule.
void note_broken(const char *rule) { append_line("METAL_EMULATION_BROKEN_RULES", rule); }

} // namespace

Switches &switches() {
    static auto &instance = *initial_switches();
    return instance;
}

Behaviour behaviour_of(const char *kernel) {
    static const auto &named = *named_kernels();
    const std::string_view name = kernel;
    for (const auto &[wanted, behaviour] : named)
        if (name == wanted || name.starts_with(wanted + "_")) return behaviour;
    return Behaviour::right;
}

bool is_refused_file(const std::string &name) {
    const char *text = std::getenv("METAL_EMULATION_REFUSED_FILES");
    if (!text) return false;
    const std::string refused = "," + std::string(text) + ",";
    return refused == ",*," || refused.find("," + name + ",") != refused.npos;
}

void note_compilation(const std::string &file) { append_line("METAL_EMULATION_COMPILATIONS", file.c_str()); }

void fail_assertion() {
    std::fputs("MPSKernel.mm:1: failed assertion `as told'\n", stderr);
    std::signal(SIGABRT, SIG_DFL); // a sanitizer has a handler of its own, which ends with a status
    std::raise(SIGABRT);
    std::abort();
}

void never_end() {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

bool take_one_silently(std::atomic<long> &counter) {
    const auto take = [](std::atomic<long> &from) {
        long left = from.load();
        while (left > 0)
            if (from.compare_exchange_weak(left, left - 1)) return true;
        return false;
    };
    return counter.load() > 0 && !take(switches().successes_first) && take(counter);
}

void raise_if_told() {
    if (switches().throw_failures) raise_exception();
}

bool take_one(std::atomic<long> &counter) {
    if (!take_one_silently(counter)) return false;
    raise_if_told();
    return true;
}

void violation(const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    note_broken(format);
    if (std::getenv("METAL_EMULATION_ABORT")) {
        std::fprintf(stderr, "Metal emulation: %s\n", text);
        std::abort();
    }
    std::lock_guard lock(state().mutex);
    state().violations.emplace_back(text);
}

void object_born(const char *class_name) {
    std::lock_guard lock(state().mutex);
    ++state().live[class_name];
}

void object_died(const char *class_name) {
    std::lock_guard lock(state().mutex);
    --state().live[class_name];
}

void work_began() {
    std::lock_guard lock(state().mutex);
    ++state().working;
}

void work_ended() {
    std::lock_guard lock(state().mutex);
    if (--state().working == 0) state().idle.notify_all();
}

} // namespace metal_emulation

using namespace metal_emulation;

int metal_emulation_violation_count() {
    std::lock_guard lock(state().mutex);
    return static_cast<int>(state().violations.size());
}

const char *metal_emulation_violation(int index) {
    std::lock_guard lock(state().mutex);
    if (index < 0 || index >= static_cast<int>(state().violations.size())) return nullptr;
    return state().violations[static_cast<size_t>(index)].c_str();
}

void metal_emulation_reset() {
    for (const NamedSwitch &entry : named_switches) switches().*entry.member = entry.initial;
    std::lock_guard lock(state().mutex);
    state().violations.clear();
}

void metal_emulation_wait_idle() {
    std::unique_lock lock(state().mutex);
    state().idle.wait(lock, [] { return state().working == 0; });
}

int metal_emulation_live_objects() {
    std::lock_guard lock(state().mutex);
    int sum = 0;
    for (const auto &[name, count] : state().live) sum += count;
    return sum;
}

const char *metal_emulation_live_object_names() {
    std::lock_guard lock(state().mutex);
    std::string &text = state().live_text;
    text.clear();
    for (const auto &[name, count] : state().live)
        if (count) text += (text.empty() ? "" : ", ") + name + " " + std::to_string(count);
    return text.c_str();
}

int metal_emulation_set(const char *name, long value) {
    std::atomic<long> *found = find_switch(name);
    if (!found) return -1;
    *found = value;
    return 0;
}

long metal_emulation_get(const char *name) {
    std::atomic<long> *found = find_switch(name);
    return found ? found->load() : -1;
}
