// The interface of the emulated Core ML for tests. It is plain C, so that ctypes can call it.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// A float32 tensor without gaps. `name` is that of the model's input or output.
typedef struct core_ml_emulation_tensor {
    const char *name;
    int rank;
    int64_t shape[8];
    const float *data;
} core_ml_emulation_tensor;

/// Receives an output. The tensor is copied.
typedef void (*core_ml_emulation_give)(const core_ml_emulation_tensor *output, void *results);

/// Compute the outputs of a model, a copy of the folder or file that was compiled, and call `give` with each.
/// Return null, or the text of an error, which stays valid until the next call.
typedef const char *(*core_ml_emulation_runner)(const char *model, const core_ml_emulation_tensor *inputs,
                                                int count, core_ml_emulation_give give, void *results);

/// Set the function that computes. The emulation cannot compute anything by itself. Without a function, the
/// program that the environment variable CORE_ML_EMULATION_RUNNER names does: it is called with the model and
/// a folder. The folder has a file inputs.txt, with a line "name extent extent ..." for each input, and their
/// numbers in inputs.bin. The program writes outputs.txt and outputs.bin of the same kind.
void core_ml_emulation_set_runner(core_ml_emulation_runner runner);

#ifdef __cplusplus
}
#endif
