/* mpscnn: training. Part of mpscnn.h, which includes this file and states general rules.
 *
 * A trainer owns copies of a network's weights, and the variables of its optimiser. Only one thread at a
 * time may use it.
 */
#ifndef MPSCNN_TRAINING_H
#define MPSCNN_TRAINING_H

#include "mpscnn.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mpscnn_trainer mpscnn_trainer;

/* Create a trainer. `options` is {"loss": {"kind", ...}, "optimizer": {"kind": "sgd" | "rmsprop" | "adam",
 * ...}, "frozen": [layers], "missed_updates": {layer: count}, "seed", "statistics_rate", "accumulate",
 * "average_rate", "weighted", "check_finite", "precision"}. Omitted members keep their defaults, and NULL
 * omits all of them.
 *
 * The loss has the parameters of the operation "loss" (docs/operations.md). For a single-shot detector it
 * is {"kind": "multibox", "boxes", "scores": names of the network's outputs, and the parameters of
 * "multibox_loss"}. The kinds "focal", "sigmoid_focal" and "dice", and the optimiser's parameters, are in
 * docs/training.md.
 *
 * "missed_updates": the number of updates that a layer's moments have missed since it was frozen; Adam's
 * correction does not count them. "accumulate": the number of batches whose mean gradient updates the
 * weights. "average_rate": the share of the weights' moving average that remains after an update; 0: no
 * average. "weighted": each step has weights of the losses, which "multibox" does not take. "check_finite":
 * each step checks all its results; for the CPU, which "auto" then chooses. "precision": "float32"; on the
 * CPU "bfloat16" for the factors of products; on a GPU "float16" for the values between layers.
 *
 * The network has one output, or the outputs of a detector, and all its weights. If the output is a softmax
 * and the loss is softmax_cross_entropy, focal or dice, the loss is computed from the input of the softmax;
 * the same holds for a detector's scores. `device` is as in mpscnn_compile_options, but must not be NULL.
 * `threads` is for the CPU, as in mpscnn_session_options. */
MPSCNN_API mpscnn_status mpscnn_trainer_create(const mpscnn_graph *network, const char *options,
                                               const char *device, int threads, mpscnn_trainer **trainer);
/* Create a trainer with a loss of the caller. `loss` is a graph with the inputs "prediction" and "labels",
 * and perhaps "weights" if the trainer is "weighted", all in the shape of the network's output. Its first
 * output has losses: the trainer minimizes the mean of its elements. Without a second output, the trainer
 * computes the gradient, for which each operation of the graph must have one. The second output is the
 * gradient of that mean with respect to the prediction; then the graph may have custom layers
 * (mpscnn_graph_add_custom). The "loss" of `options` is ignored. */
MPSCNN_API mpscnn_status mpscnn_trainer_create_with_loss(const mpscnn_graph *network,
                                                         const mpscnn_graph *loss, const char *options,
                                                         const char *device, int threads,
                                                         mpscnn_trainer **trainer);
MPSCNN_API void mpscnn_trainer_release(mpscnn_trainer *trainer);

/* Make one step. `inputs` are float32 or float16 inputs of the network and, if the trainer is "weighted",
 * weights of the losses. Labels and weights have the shape of the prediction; class i of an image is a 1 at
 * position i. For a detector, the shape of the labels is (n, anchors, 4 + classes), and
 * mpscnn_detector_targets writes those of an image. `loss` and `prediction` receive the values before the
 * step; `prediction`, which the loss compares with the labels, may be NULL. For a loss that is not finite, it
 * returns MPSCNN_ERROR_STATE and changes no variable. */
MPSCNN_API mpscnn_status mpscnn_trainer_step(mpscnn_trainer *trainer, const mpscnn_tensor *inputs,
                                             int input_count, const mpscnn_tensor *labels,
                                             float learning_rate, const mpscnn_tensor *prediction,
                                             double *loss);

/* Compute a step several times without changing the weights, and return the time of every part, like
 * mpscnn_session_profile. The parts are forward, backward and the new weights. If gradients are added over
 * several batches, the sums of gradients replace the new weights. `trace` and `options` may be NULL. */
MPSCNN_API mpscnn_status mpscnn_trainer_profile(mpscnn_trainer *trainer, const mpscnn_tensor *inputs,
                                                int input_count, const mpscnn_tensor *labels,
                                                const mpscnn_profile_options *options, mpscnn_text **json,
                                                mpscnn_text **trace);

/* Return {"steps", "updates": number of changes of the weights, "prediction": [extents, -1 for the batch],
 * "prediction_layers": layers of the network that compute it, "variables": [{"name", "shape", "layer",
 * "role", "trained"}]}. Variables are the weights and the variables of the optimiser. */
MPSCNN_API mpscnn_status mpscnn_trainer_describe(const mpscnn_trainer *trainer, mpscnn_text **json);
/* Copy a variable to or from `values`; `count` is the variable's number of floats. */
MPSCNN_API mpscnn_status mpscnn_trainer_read(mpscnn_trainer *trainer, const char *name, float *values,
                                             size_t count);
MPSCNN_API mpscnn_status mpscnn_trainer_write(mpscnn_trainer *trainer, const char *name, const float *values,
                                              size_t count);
/* Set the number of steps, on which dropout and Adam depend. A trainer makes fewer than 2^24 steps. */
MPSCNN_API mpscnn_status mpscnn_trainer_set_steps(mpscnn_trainer *trainer, int64_t steps);

/* Return the network with its current weights, as an independent graph. */
MPSCNN_API mpscnn_status mpscnn_trainer_network(const mpscnn_trainer *trainer, mpscnn_graph **network);
/* Return the network with the weights' moving averages; MPSCNN_ERROR_PARAMETER if there are none. */
MPSCNN_API mpscnn_status mpscnn_trainer_averages(const mpscnn_trainer *trainer, mpscnn_graph **network);

/* Return the gradients of a network's inputs and weights as a graph, which is compiled and run like any
 * other.
 *
 * Its inputs, by name, are the inputs of the network; "training.labels" in the shape of the prediction;
 * "training.weights", if `options` have "weighted"; "training.step" (1, 1), a number that determines
 * dropout's masks; weights as "conv1.weight" (a vector as (1, size)); and mean and variance of a batch
 * normalization as "norm.statistics" (1, 2, 1, channels). Its outputs are the loss, the prediction, and a
 * gradient such as "conv1.weight.gradient" for each input and weight that has one.
 *
 * If `of_output` is not 0, there is no loss, and "training.labels" are the gradient of the prediction.
 * Options of an optimiser are ignored. */
MPSCNN_API mpscnn_status mpscnn_gradient_graph(const mpscnn_graph *network, const char *options,
                                               int of_output, mpscnn_graph **gradients);

#ifdef __cplusplus
}
#endif

#endif /* MPSCNN_TRAINING_H */
