// Records violations and counts objects. Violations are recorded instead of thrown, so that the code under
// test cannot hide them.
#pragma once

#include <atomic>
#include <mutex>
#include <string>

namespace metal_emulation {

/// Record a violation. If the environment contains METAL_EMULATION_ABORT=1, the process aborts, for
/// debugging.
__attribute__((format(printf, 1, 2))) void violation(const char *format, ...);

/// Return `condition`, and record a violation if it is false.
#define METAL_EXPECT(condition, ...) ((condition) ? true : (::metal_emulation::violation(__VA_ARGS__), false))

/// Count live objects by class; called by +allocWithZone: and -dealloc.
void object_born(const char *class_name);
void object_died(const char *class_name);

/// Count command buffers from their commit to the destruction of their handlers.
void work_began();
void work_ended();

struct Switches {
    std::atomic<long> no_device{0};
    std::atomic<long> devices{1};
    std::atomic<long> removed_device{0};
    std::atomic<long> unsupported_device{0};
    std::atomic<long> successes_first{0};
    std::atomic<long> fail_queues{0};
    std::atomic<long> fail_libraries{0};
    std::atomic<long> fail_functions{0};
    std::atomic<long> fail_buffers{0};
    std::atomic<long> fail_textures{0};
    std::atomic<long> fail_texture_caches{0};
    std::atomic<long> fail_pipelines{0};
    std::atomic<long> fail_archives{0};
    std::atomic<long> fail_kernels{0};
    std::atomic<long> fail_command_buffers{0};
    std::atomic<long> fail_encoders{0};
    std::atomic<long> command_buffer_error{0};
    std::atomic<long> worker_delay_ms{0};
    std::atomic<long> keep_handlers{0};
    std::atomic<long> wrong_results{0};
    std::atomic<long> end_process{0};
    std::atomic<long> broken_rule{0};
    std::atomic<long> exceptions{0};
    std::atomic<long> archive_delay_ms{0};
    std::atomic<long> compilation_delay_ms{0};
    std::atomic<long> load_delay_ms{0};
    std::atomic<long> prediction_delay_ms{0};
    std::atomic<long> throw_failures{0};
    std::atomic<long> interrupt_delays{0};
    std::atomic<long> cold_ms{0};
    std::atomic<long> reverse_threads{0};
    std::atomic<long> thread_execution_width{32};
    std::atomic<long> max_threads{1024};
    std::atomic<long> discrete_memory{0};
    std::atomic<long> old_gpu{0};
    std::atomic<long> paravirtual{0};
    std::atomic<long> max_buffer_bytes{1l << 32};
    std::atomic<long> purge_first{0};
    std::atomic<long> archive_hits{0};
    std::atomic<long> compute_encoders_made{0};
    std::atomic<long> pipelines_made{0};
    std::atomic<long> dispatches_made{0};
    std::atomic<long> threads_started{0};
    std::atomic<long> threadgroups_started{0};
    std::atomic<long> buffers_made{0};
    std::atomic<long> private_buffers_made{0};
    std::atomic<long> shared_arguments{0};
    std::atomic<long> copied_bytes{0};
    std::atomic<long> command_buffers_made{0};
    std::atomic<long> no_copy_buffers_made{0};
    std::atomic<long> texture_caches_made{0};
    std::atomic<long> announced_bytes{0};
    std::atomic<long> bytes_of_weights{0};
    std::atomic<long> fail_compilations{0};
    std::atomic<long> fail_models{0};
    std::atomic<long> fail_predictions{0};
    std::atomic<long> fail_multi_arrays{0};
    std::atomic<long> wrong_predictions{0};
    std::atomic<long> models_compiled{0};
    std::atomic<long> models_loaded{0};
    std::atomic<long> predictions_made{0};
    std::atomic<long> compute_units{-1};
};
Switches &switches();

/// The behaviour of a kernel, which tests may change by METAL_EMULATION_KERNELS.
enum class Behaviour { right, wrong, abort, hang };
/// Return the behaviour of a kernel: a class of MPS, or a function of a library. A name in
/// METAL_EMULATION_KERNELS also stands for all kernels whose names begin with it and an underscore.
Behaviour behaviour_of(const char *kernel);
/// Return true for a file of shaders that METAL_EMULATION_REFUSED_FILES names: "neuron.metal,copy.metal"; "*"
/// names all files. Compiled libraries lack the functions of such a file, and its source does not compile.
bool is_refused_file(const std::string &name);
/// Append a line to the file METAL_EMULATION_COMPILATIONS, if it is set.
void note_compilation(const std::string &file);
/// End the process like MPS if an assertion fails.
[[noreturn]] void fail_assertion();
/// Block the calling thread forever, for commands that never end.
void never_end();

/// Raise an NSException, as a framework does for a use that it does not accept.
[[noreturn]] void raise_exception();

/// If a counting switch is above 0, decrement it and return true.
bool take_one_silently(std::atomic<long> &counter);

/// Raise an exception if throw_failures is set. An initializer releases its object before.
void raise_if_told();

/// Do both: if a counting switch is above 0, decrement it, and raise an exception or return true.
bool take_one(std::atomic<long> &counter);

} // namespace metal_emulation
