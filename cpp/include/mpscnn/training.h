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
 * [layers], "missed_updates": {layer: count}, "seed", "statistics_rate", "accumulate", "average_rate",
 * "weighted", "check_finite", "precision"}; what is left out keeps its default, and NULL leaves out all. The
 * loss has the parameters of the operation "loss" (docs/operations.md), or it is that of a single-shot
 * detector, {"kind": "multibox", "boxes", "scores": names of the network's outputs, and the parameters of
 * "multibox_loss"}; the optimiser has those of docs/training.md. "missed_updates": how many changes of the
 * weights a layer's moments have not seen, since it was frozen; Adam corrects for the beginning of the others
 * alone. "accumulate": batches whose mean gradient makes new weights. "average_rate": share of the weights'
 * moving average that stays; 0: there is none. "weighted": each step takes weights of the losses.
 * "check_finite": each step looks at all that it computes. "precision": "float32", or on a GPU "float16" for
 * what layers hand to each other. The network has one output, or those of a detector, and all its weights;
 * where the output is a softmax and the loss softmax_cross_entropy, the loss is of what the softmax reads,
 * and so are a detector's scores. `device`: as of mpscnn_program_compile. threads: of the CPU; 0: one for
 * each core that the process may use. */
MPSCNN_API mpscnn_status mpscnn_trainer_create(const mpscnn_graph *network, const char *options,
                                               const char *device, int threads, mpscnn_trainer **trainer);
MPSCNN_API void mpscnn_trainer_release(mpscnn_trainer *trainer);

/* One step: float32 or float16 inputs of the network and, if it is weighted, weights of the losses; labels.
 * These two have the shape of the prediction, class i of an image as 1 in place i; of a detector (n, anchors,
 * 4 + classes), as mpscnn_detector_targets makes them for each image. `loss` is that of before the step, and
 * so is `prediction`, which may be NULL: what the loss compares with the labels. MPSCNN_ERROR_STATE for a
 * loss that is not finite: nothing has changed then. */
MPSCNN_API mpscnn_status mpscnn_trainer_step(mpscnn_trainer *trainer, const mpscnn_tensor *inputs,
                                             int input_count, const mpscnn_tensor *labels,
                                             float learning_rate, const mpscnn_tensor *prediction,
                                             double *loss);

/* Computes such a step several times without changing the weights, and reports how long every part of it
 * took, as mpscnn_session_profile does: forward, backward and the new weights; where gradients are added over
 * several batches, their sums instead of these. `trace` and `options` may be NULL. */
MPSCNN_API mpscnn_status mpscnn_trainer_profile(mpscnn_trainer *trainer, const mpscnn_tensor *inputs,
                                                int input_count, const mpscnn_tensor *labels,
                                                const mpscnn_profile_options *options, mpscnn_text **json,
                                                mpscnn_text **trace);

/* {"steps", "updates": how often the weights have changed, "prediction": [extents, -1 for the batch],
 * "prediction_layers": those of the network that compute it, "variables": [{"name", "shape", "layer", "role",
 * "trained"}]}: weights and what the optimiser keeps of them. */
MPSCNN_API mpscnn_status mpscnn_trainer_describe(const mpscnn_trainer *trainer, mpscnn_text **json);
/* Copies a variable to `values`, or from there; `count` is the variable's number of floats. */
MPSCNN_API mpscnn_status mpscnn_trainer_read(mpscnn_trainer *trainer, const char *name, float *values,
                                             size_t count);
MPSCNN_API mpscnn_status mpscnn_trainer_write(mpscnn_trainer *trainer, const char *name, const float *values,
                                              size_t count);
/* How many steps have been made: what dropout and Adam go on from. */
MPSCNN_API mpscnn_status mpscnn_trainer_set_steps(mpscnn_trainer *trainer, int64_t steps);

/* The network with its present weights, as a graph of its own. */
MPSCNN_API mpscnn_status mpscnn_trainer_network(const mpscnn_trainer *trainer, mpscnn_graph **network);
/* The same with the weights' moving averages, which MPSCNN_ERROR_PARAMETER refuses where there are none. */
MPSCNN_API mpscnn_status mpscnn_trainer_averages(const mpscnn_trainer *trainer, mpscnn_graph **network);

/* Gradients of a network's inputs and weights, as a graph that is compiled and run as any other. Its inputs,
 * by name: those of the network; "training.labels" in the shape of the prediction; "training.weights", if
 * `options` have "weighted"; "training.step" (1, 1), a number that dropout's masks follow from; weights as
 * "conv1.weight" (a vector as (1, size)), and mean and variance of a batch normalization as "norm.statistics"
 * (1, 2, 1, channels). Its outputs: the loss, the prediction, and a gradient as "conv1.weight.gradient" for
 * each input and weight that has one. `of_output`: not 0 for no loss: "training.labels" are the gradient of
 * the prediction. Options of an optimiser are ignored. */
MPSCNN_API mpscnn_status mpscnn_gradient_graph(const mpscnn_graph *network, const char *options,
                                               int of_output, mpscnn_graph **gradients);

#ifdef __cplusplus
}
#endif

#endif /* MPSCNN_TRAINING_H */
