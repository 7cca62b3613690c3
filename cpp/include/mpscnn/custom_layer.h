/* mpscnn: functions of the program as layers of a network. Part of mpscnn.h, which includes this file and
 * states general rules.
 */
#ifndef MPSCNN_CUSTOM_LAYER_H
#define MPSCNN_CUSTOM_LAYER_H

#include "mpscnn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A layer that functions of the program compute. Both functions, `run` and `shape`, get float32 tensors,
 * batch first. They return 0, or another number for a failure. Then the call that adds, compiles or runs
 * the layer fails with "layer 'name': " and the text in `message`, which is zero-terminated and truncated to
 * `capacity` bytes. Several threads may call the functions concurrently. They must not throw, and must not
 * use the session that runs them. */
typedef struct mpscnn_custom_layer {
    size_t size; /* sizeof(mpscnn_custom_layer) */
    /* Compute the output: write output->data, which has the shape that `shape` set. Tensors are row-major
     * without gaps, and inputs may only be read. Their memory is valid until the function returns. The
     * function is called by the thread that runs the session. */
    int (*run)(const mpscnn_tensor *inputs, int input_count, const mpscnn_tensor *output, char *message,
               size_t capacity, void *context);
    /* Set rank and shape of the output; its first extent is the inputs' batch. Extents may be -1. The
     * tensors have no data. If `shape` is NULL, the output has the shape of the first input. */
    int (*shape)(const mpscnn_tensor *inputs, int input_count, mpscnn_tensor *output, char *message,
                 size_t capacity, void *context);
    /* A function that is called when nothing uses the layer any more, or NULL. It is not called if adding
     * the layer fails. */
    void (*release)(void *context);
    void *context;
} mpscnn_custom_layer;

/* Add a layer that a function of the program computes. It runs on the CPU in float32, in any precision of
 * the network, also between layers that a GPU computes. It has no gradient. A network with such a layer
 * cannot be saved (MPSCNN_ERROR_UNSUPPORTED), nor recreated from its JSON. `layer` is copied. */
MPSCNN_API mpscnn_status mpscnn_graph_add_custom(mpscnn_graph *graph, const char *name, const int *inputs,
                                                 int input_count, const mpscnn_custom_layer *layer,
                                                 int *value);

#ifdef __cplusplus
}
#endif

#endif
