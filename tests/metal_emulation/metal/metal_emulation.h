// The interface of the emulation for tests: recorded violations of rules, live objects, and switches that
// cause failures. It is plain C, so that ctypes can call it in the process where the engine runs.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/// Return the number of violations of Metal's and MPS's rules since the last reset, and the text of each.
int metal_emulation_violation_count(void);
const char *metal_emulation_violation(int index);

/// Forget all violations and reset all switches.
void metal_emulation_reset(void);

/// Wait until every committed command buffer has run and its handlers have been destroyed.
void metal_emulation_wait_idle(void);

/// Return the number of live objects of Metal and MPS, without the device. Their names are a text like
/// "MTLBuffer 2, MPSImage 1".
int metal_emulation_live_objects(void);
const char *metal_emulation_live_object_names(void);

/// Set a switch. Return 0, or -1 for an unknown name. Switches for the next n calls (n is their value) count
/// down. The environment variable METAL_EMULATION_SWITCHES sets switches when the process starts:
/// "wrong_results=1,devices=2".
///   no_device                1: there is no device
///   devices                  the number of devices, in this order: the default,
///                            an external GPU, two headless GPUs with the same name
///   removed_device           this device (from 1) is removed: it is not listed, and its
///                            command buffers fail
///   unsupported_device       1: MPSSupportsMTLDevice says no
///   successes_first          n calls succeed before the switches fail_... take effect
///   fail_queues              the next n command queues cannot be made
///   fail_libraries           the next n libraries cannot be made
///   fail_functions           the next n functions with constants cannot be made
///   fail_buffers             the next n buffers, contexts and locks of pixels cannot be made
///   fail_textures            the next n textures cannot be made
///   fail_texture_caches      the next n caches of textures, and textures of them, cannot be made
///   fail_pipelines           the next n pipelines cannot be made
///   fail_archives            the next n archives of pipelines cannot be made or written
///   fail_kernels             the next n kernels of MPS cannot be made
///   fail_command_buffers     the next n command buffers cannot be made
///   fail_encoders            the next n compute and blit encoders cannot be made
///   command_buffer_error     the next command buffer to run ends with this MTLCommandBufferError
///   worker_delay_ms          every command buffer takes at least this number of milliseconds,
///                            or until the switch is set to fewer
///   keep_handlers            1: handlers are destroyed with their command buffer, not when
///                            it has finished
///   wrong_results            1: MPS kernels return each value times two, plus one;
///                            2: they return zeros
///   end_process              encoding an MPS kernel ends the process with this signal
///   broken_rule              1: encoding an MPS kernel breaks a rule
///   exceptions               the next n encodings of an MPS kernel raise an NSException
///   archive_delay_ms         writing an archive of pipelines takes this number of milliseconds
///   throw_failures           1: the switches fail_... raise an NSException instead
///   compilation_delay_ms     compiling a model of Core ML takes this number of milliseconds
///   load_delay_ms            loading a compiled model takes this number of milliseconds
///   prediction_delay_ms      a prediction of one image takes this number of milliseconds
///   interrupt_delays         1: a delayed call of Core ML begins with SIGINT (Ctrl-C) for the process
///   cold_ms                  counts down: command buffers take 20 ms longer, until they have done so for
///   this
///                            number of milliseconds
///   reverse_threads          1: threads of a threadgroup and threadgroups run last to first
///   thread_execution_width   the number of threads in a simdgroup, default 32
///   max_threads              the largest number of threads in a threadgroup, default 1024
///   max_buffer_bytes         the device's maxBufferLength, default 4 GiB
///   purge_first              1: MPS also purges a convolution's weights before it loads
///                            them
///   archive_hits             counts up: pipelines that an archive had
///   compute_encoders_made    counts up: compute encoders, without those of MPS
///   pipelines_made           counts up: pipelines, without those of MPS
///   dispatches_made          counts up: dispatches, without those of MPS
///   threads_started          counts up: threads of whole simdgroups that dispatches start
///   threadgroups_started     counts up: their threadgroups
///   buffers_made             counts up: buffers with new memory
///   private_buffers_made     counts up: those of them that only the GPU accesses
///   shared_arguments         counts up: arguments of kernels that are buffers of other storage
///   copied_bytes             counts up: bytes that are copied between buffers
///   command_buffers_made     counts up: command buffers
///   no_copy_buffers_made     counts up: buffers over the caller's memory
///   texture_caches_made      counts up: Core Video's texture caches
///   announced_bytes          the last announced bytes of a command buffer's temporary
///                            images
///   bytes_of_weights         counts up: bytes of weights that convolutions have loaded
///   fail_compilations        the next n models of Core ML cannot be compiled
///   fail_models              the next n compiled models cannot be loaded
///   fail_predictions         the next n predictions fail
///   fail_multi_arrays        the next n arrays of Core ML cannot be made
///   wrong_predictions        1: predictions are each value times two, plus one
///   models_compiled          counts up: models that were compiled
///   models_loaded            counts up: compiled models that were loaded
///   predictions_made         counts up: predictions of one image
///   compute_units            the compute units of the model that was loaded last
///   discrete_memory          1: the device has no unified memory, and is of none of the
///                            families Apple 1 to Apple 7 and Metal 3
///   old_gpu                  1: the device is of the families Mac 1 and Common 1 only
///   paravirtual              1: the same, and its name is that of a virtual machine's GPU
///
/// The environment variable METAL_EMULATION_KERNELS names kernels that fail: classes of MPS and functions of
/// shaders. "MPSCNNSoftMax=wrong,neuron=abort,MPSCNNPoolingMax=hang". A name also
/// stands for all kernels whose names begin with it and an underscore, such as neuron_half.
///
/// The environment variable METAL_EMULATION_COUNTS names a file, which gets a line with all counts that end
/// in
/// "_made" for each process that ends by itself.
///
/// The environment variable METAL_EMULATION_REFUSED_FILES names files of shaders that do not compile, such as
/// "neuron.metal,copy.metal"; "*" names all. METAL_EMULATION_COMPILATIONS names a file, which gets a line
/// with the name of each file of shaders that is compiled at run time. The line "concurrent" means that the
/// device was asked for all of the compiler's processes.
///
/// metal_emulation_get returns a switch or a count, or -1 for an unknown name.
int metal_emulation_set(const char *name, long value);
long metal_emulation_get(const char *name);

/// Return the memory of a CVPixelBuffer as an IOSurface, also if the buffer was made without one. Languages
/// that cannot make the dictionary of attributes need this.
void *metal_emulation_surface(void *pixel_buffer);

#ifdef __cplusplus
}
#endif
