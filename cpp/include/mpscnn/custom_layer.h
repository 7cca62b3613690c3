/* mpscnn: functions of the program as layers of a network. Part of mpscnn.h, which includes this file; the
 * rules stated there hold here.
 */
#ifndef MPSCNN_CUSTOM_LAYER_H
#define MPSCNN_CUSTOM_LAYER_H

#include "mpscnn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Both functions get float32 tensors, batch first, and return 0, or another number for a failure: then the
 * call that they were called by fails with "layer 'name': " and the text, zero-terminated and cut at
 * `capacity` bytes, that they have left in `message`. Several threads may call them concurrently. They must
 * not throw, and must not use the session that runs them. */
typedef struct mpscnn_custom_layer {
    size_t size; /* sizeof(mpscnn_custom_layer) */
    /* Fills in output->data, which has the shape that `shape` said. Row-major without gaps; inputs are read
     * only. The memory is valid until the function returns. Called by the thread that runs the session. */
    int (*run)(const mpscnn_tensor *inputs, int input_count, const mpscnn_tensor *output, char *message,
               size_t capacity, void *context);
    /* Fills in rank and shape of the output; its first extent is the inputs' batch. Extents may be -1, and
     * the tensors have no data. NULL: the shape of the first input. */
    int (*shape)(const mpscnn_tensor *inputs, int input_count, mpscnn_tensor *output, char *message,
                 size_t capacity, void *context);
    /* Called when nothing refers to the layer any more; may be NULL. Not after a failure to add it. */
    void (*release)(void *context);
    void *context;
} mpscnn_custom_layer;

/* Adds a layer that a function of the program computes: on the CPU in float32, whatever the precision;
 * between what a GPU computes if that is the device. It has no gradient, and a network with it cannot be
 * saved (MPSCNN_ERROR_UNSUPPORTED) nor made again from its JSON. `layer` is copied. */
MPSCNN_API mpscnn_status mpscnn_graph_add_custom(mpscnn_graph *graph, const char *name, const int *inputs,
                                                 int input_count, const mpscnn_custom_layer *layer,
                                                 int *value);

#ifdef __cplusplus
}
#endif

#endif
