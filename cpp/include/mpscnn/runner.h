/* mpscnn: a runner runs many frames, several at a time, and delivers their results in order. Part of
 * mpscnn.h, which includes this file and states general rules.
 *
 * A runner has inflight x max_batch permits. A frame holds one from its submission until its turn to be
 * delivered. Submitting waits for a permit, so an endless stream of frames takes bounded memory. Every
 * submitted frame is delivered exactly once, in the order of submission, to its handler. Several threads
 * may use a runner. In a forked child, the functions that submit, mark, cancel, close or wait return
 * MPSCNN_ERROR_STATE for a runner of the parent.
 */
#ifndef MPSCNN_RUNNER_H
#define MPSCNN_RUNNER_H

#include "mpscnn.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mpscnn_runner mpscnn_runner;

typedef struct mpscnn_runner_options {
    size_t size MPSCNN_UNLESS_SET(sizeof(mpscnn_runner_options));
    /* the largest number of requests in flight, up to 32; 0: 3 */
    int inflight MPSCNN_UNLESS_SET(0);
    /* processor threads for each request; 0: the cores are divided among the requests */
    int threads MPSCNN_UNLESS_SET(0);
    /* the largest number of images that are gathered into one request, up to 1024; 0: 1. Frames of
     * different sizes are never gathered. */
    int max_batch MPSCNN_UNLESS_SET(0);
    /* not 0: check results, see mpscnn_session_options */
    int check_finite MPSCNN_UNLESS_SET(0);
    /* the number of seconds that a frame may wait for others to form a request, up to 1e6; 0: none */
    double max_wait MPSCNN_UNLESS_SET(0);
    /* limit for each concurrent request, see mpscnn_session_options */
    uint64_t max_memory MPSCNN_UNLESS_SET(0);
} mpscnn_runner_options;

/* Create a runner. On the processor at most cores / threads requests run in parallel, but at least one. If
 * the images of a batch depend on each other, as with statistics of the batch, `max_batch` must be 1. The
 * runner keeps its program alive. `options` may be NULL. */
MPSCNN_API mpscnn_status mpscnn_runner_create(mpscnn_program *program, const mpscnn_runner_options *options,
                                              mpscnn_runner **runner);
/* Close the runner and wait until every frame has been delivered. In a handler it waits until every frame
 * has run; the frames are delivered after the handler has returned. */
MPSCNN_API void mpscnn_runner_release(mpscnn_runner *runner);
/* Return {"sessions", "threads", "permits"}: the number of requests that run in parallel, threads for each,
 * and the largest number of frames in flight. */
MPSCNN_API mpscnn_status mpscnn_runner_describe(const mpscnn_runner *runner, mpscnn_text **json);

/* A function that is called at the end of a frame. `status` and `message` are the result of the frame:
 * MPSCNN_ERROR_CANCELLED if it never began. It is called on one of the runner's threads, for one frame after
 * another; later frames wait meanwhile. It may submit frames, but gets MPSCNN_ERROR_STATE if all permits are
 * taken. `message` is valid during the call. */
typedef void (*mpscnn_frame_handler)(mpscnn_status status, const char *message, void *context);

/* Submit a run. Tensors are as for mpscnn_session_run; their memory belongs to the runner until the handler
 * is called. If this function fails, the handler is not called. If a request of several frames fails, it is
 * run again frame by frame. `frame`, which may be NULL, receives a number for mpscnn_runner_cancel. */
MPSCNN_API mpscnn_status mpscnn_runner_submit(mpscnn_runner *runner, const mpscnn_tensor *inputs,
                                              int input_count, const mpscnn_tensor *outputs, int output_count,
                                              mpscnn_frame_handler handler, void *context, uint64_t *frame);
/* Submit a run with a handler that neither blocks nor calls the runner, for example one that notifies
 * another thread. It is called, in the order of submission, usually on the thread that ended a frame. Then
 * no thread has to be woken, which makes frames of less than some milliseconds faster. */
MPSCNN_API mpscnn_status mpscnn_runner_submit_brief(mpscnn_runner *runner, const mpscnn_tensor *inputs,
                                                    int input_count, const mpscnn_tensor *outputs,
                                                    int output_count, mpscnn_frame_handler handler,
                                                    void *context, uint64_t *frame);
/* Submit a photo. It is preprocessed on the runner's threads as the model file describes, for a program of
 * that model with one image input of a fixed size. The pixels must not change until the handler is called. */
MPSCNN_API mpscnn_status mpscnn_runner_submit_image(mpscnn_runner *runner, const mpscnn_model *model,
                                                    const mpscnn_image *image, const mpscnn_tensor *outputs,
                                                    int output_count, mpscnn_frame_handler handler,
                                                    void *context, uint64_t *frame);
/* Submit a photo for a program of any network, with `preprocess` as in mpscnn_preprocess. */
MPSCNN_API mpscnn_status mpscnn_runner_submit_photo(mpscnn_runner *runner, const mpscnn_image *image,
                                                    const char *preprocess, const mpscnn_tensor *outputs,
                                                    int output_count, mpscnn_frame_handler handler,
                                                    void *context, uint64_t *frame);
/* Submit a photo for mpscnn_model_classify, mpscnn_model_detect or mpscnn_model_segment, all on the
 * runner's threads. The results are written before the handler is called with MPSCNN_OK, and only then.
 * Model, pixels and the memory of results must stay valid until the handler is called; `options` need not. */
MPSCNN_API mpscnn_status mpscnn_runner_classify(mpscnn_runner *runner, const mpscnn_model *model,
                                                const mpscnn_image *image, int top,
                                                mpscnn_predictions **predictions,
                                                mpscnn_frame_handler handler, void *context, uint64_t *frame);
MPSCNN_API mpscnn_status mpscnn_runner_detect(mpscnn_runner *runner, const mpscnn_model *model,
                                              const mpscnn_image *image, const mpscnn_detect_options *options,
                                              mpscnn_detections **detections, mpscnn_frame_handler handler,
                                              void *context, uint64_t *frame);
MPSCNN_API mpscnn_status mpscnn_runner_segment(mpscnn_runner *runner, const mpscnn_model *model,
                                               const mpscnn_image *image, uint8_t *labels, float *scores,
                                               int classes, mpscnn_frame_handler handler, void *context,
                                               uint64_t *frame);
/* Submit a photo for mpscnn_model_segment_with. */
MPSCNN_API mpscnn_status mpscnn_runner_segment_with(mpscnn_runner *runner, const mpscnn_model *model,
                                                    const mpscnn_image *image,
                                                    const mpscnn_segment_options *options, uint8_t *labels,
                                                    float *scores, int classes, mpscnn_frame_handler handler,
                                                    void *context, uint64_t *frame);
/* Take a permit without running anything. The handler is called when all earlier frames have been
 * delivered. */
MPSCNN_API mpscnn_status mpscnn_runner_mark(mpscnn_runner *runner, mpscnn_frame_handler handler,
                                            void *context);
/* Cancel a frame. `cancelled` receives 1 if the frame had not begun. Then its handler gets
 * MPSCNN_ERROR_CANCELLED when all earlier frames have been delivered. */
MPSCNN_API mpscnn_status mpscnn_runner_cancel(mpscnn_runner *runner, uint64_t frame, int *cancelled);
/* Accept no more frames; submitting then returns MPSCNN_ERROR_STATE. Frames that have not begun are
 * cancelled if `cancel` is not 0. */
MPSCNN_API mpscnn_status mpscnn_runner_close(mpscnn_runner *runner, int cancel);
/* Wait until every frame has been delivered. Returns MPSCNN_ERROR_STATE in a handler. */
MPSCNN_API mpscnn_status mpscnn_runner_wait(mpscnn_runner *runner);

#ifdef __cplusplus
}
#endif

#endif
