/* mpscnn: training. Part of mpscnn.h, which includes this file; the rules stated there hold here.
 *
 * A trainer owns copies of a network's weights and what its optimiser keeps of them. One caller at a time.
 */
#ifndef MPSCNN_TRAINING_H
#define MPSCNN_TRAINING_H

#include "mpscnn.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mpscnn_trainer mpscnn_trainer;

/* `options`: {"loss": {"kind", ...}, "optimizer": {"kind": "sgd" | "rmsprop" | "adam", ...}, "frozen":
 * [layers], "seed", "statistics_rate"}; what is left out keeps its default, and NULL leaves out all. The loss
 * has the parameters of the operation "loss" (docs/operations.md), the optimiser those of docs/training.md.
 * The network has one output and all its weights; where that is a softmax and the loss softmax_cross_entropy,
 * the loss is of what the softmax reads. `device`: "auto" or "cpu". threads: 0: as many as the process may
 * use. */
MPSCNN_API mpscnn_status mpscnn_trainer_create(const mpscnn_graph *network, const char *options,
                                               const char *device, int threads, mpscnn_trainer **trainer);
MPSCNN_API void mpscnn_trainer_release(mpscnn_trainer *trainer);

/* One step: float32 or float16 inputs of the network, and labels in the shape of the prediction, class i of
 * an image as 1 in place i. `loss` is that of before the step, and so is `prediction`, which may be NULL:
 * what the loss compares with the labels. MPSCNN_ERROR_STATE for a loss that is not finite: nothing has
 * changed then. */
MPSCNN_API mpscnn_status mpscnn_trainer_step(mpscnn_trainer *trainer, const mpscnn_tensor *inputs,
                                             int input_count, const mpscnn_tensor *labels,
                                             float learning_rate, const mpscnn_tensor *prediction,
                                             double *loss);

/* {"steps", "prediction": [extents, -1 for the batch], "prediction_layer", "variables": [{"name", "shape",
 * "layer", "role", "trained"}]}: weights and what the optimiser keeps of them. */
MPSCNN_API mpscnn_status mpscnn_trainer_describe(const mpscnn_trainer *trainer, mpscnn_text **json);
/* Copies a variable to `values`, or from there; `count` floats, as many as it has. */
MPSCNN_API mpscnn_status mpscnn_trainer_read(mpscnn_trainer *trainer, const char *name, float *values,
                                             size_t count);
MPSCNN_API mpscnn_status mpscnn_trainer_write(mpscnn_trainer *trainer, const char *name, const float *values,
                                              size_t count);
/* How many steps have been made: what dropout and Adam go on from. */
MPSCNN_API mpscnn_status mpscnn_trainer_set_steps(mpscnn_trainer *trainer, int64_t steps);

/* The network with its present weights, as a graph of its own. */
MPSCNN_API mpscnn_status mpscnn_trainer_network(const mpscnn_trainer *trainer, mpscnn_graph **network);

#ifdef __cplusplus
}
#endif

#endif /* MPSCNN_TRAINING_H */
