// What tests see of the emulation: misuse it noticed, objects still alive, and switches that make it fail on
// purpose. Plain C, so that ctypes reaches it in the process where the engine runs.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/// Number of violations of Metal's and MPS's rules since the last reset, and the text of each.
int metal_emulation_violation_count(void);
const char *metal_emulation_violation(int index);

/// Forgets the violations and puts every switch back.
void metal_emulation_reset(void);

/// Returns when every committed command buffer has run and its handlers have been destroyed.
void metal_emulation_wait_idle(void);

/// Objects of Metal and MPS alive now, the device itself left out; and what they are, as "MTLBuffer 2,
/// MPSImage 1".
int metal_emulation_live_objects(void);
const char *metal_emulation_live_object_names(void);

/// Sets a switch, one of those below; returns 0, or -1 for a name that is none. Counters ("next ...") count
/// down. The environment variable METAL_EMULATION_SWITCHES sets them from the beginning:
/// "wrong_results=1,devices=2".
///   no_device                1: there is no device
///   devices                  so many of: the default, an external GPU, two headless GPUs of one name
///   removed_device           that one of them (from 1) is gone: not listed, its command buffers fail
///   unsupported_device       1: MPSSupportsMTLDevice says no
///   successes_first          so many that those called fail_... would let fail succeed first
///   fail_queues              the next so many command queues cannot be made
///   fail_libraries           the next so many libraries cannot be made
///   fail_functions           the next so many functions with constants cannot be made
///   fail_buffers             the next so many buffers, contexts and locks of pixels cannot be made
///   fail_textures            the next so many textures cannot be made
///   fail_texture_caches      the next so many caches of textures, and textures of them, cannot be made
///   fail_pipelines           the next so many pipelines cannot be made
///   fail_kernels             the next so many kernels of MPS cannot be made
///   fail_command_buffers     the next so many command buffers cannot be made
///   fail_encoders            the next so many compute and blit encoders cannot be made
///   command_buffer_error     the next command buffer to run ends in this MTLCommandBufferError
///   worker_delay_ms          every command buffer takes at least so long
///   keep_handlers            1: handlers die with their command buffer, not when it is done
///   wrong_results            1: MPS kernels answer wrongly (each value times two, plus one); 2: with zeros
///   end_process              encoding a kernel of MPS ends the process by the signal of this number
///   broken_rule              1: encoding a kernel of MPS breaks a rule
///   reverse_threads          1: threads of a threadgroup and threadgroups run last to first
///   thread_execution_width   32 unless told
///   max_threads              most threads of a threadgroup, 1024 unless told
///   max_buffer_bytes         the device's maxBufferLength, 4 GiB unless told
///   purge_first              1: MPS purges a convolution's weights before it loads them, too
///   buffers_made             counts up: buffers with memory of their own
///   no_copy_buffers_made     counts up: buffers over the caller's memory
///   texture_caches_made      counts up: of Core Video
///   announced_bytes          what MPS was told last of a command buffer's temporary images
///   bytes_of_weights         counts up: of the weights that convolutions loaded
///   discrete_memory          1: a device without unified memory and with Mac2 as its only family
int metal_emulation_set(const char *name, long value);
long metal_emulation_get(const char *name);

#ifdef __cplusplus
}
#endif
