/* mpscnn: a runner takes many frames, runs several at a time and hands them out in their order. Part of
 * mpscnn.h, which includes this file; the rules stated there hold here.
 *
 * A runner has inflight x max_batch permits. A frame has one from its submission until its turn to be handed
 * out; submitting waits for one, so that an endless stream of frames takes bounded memory. Every frame that
 * was taken is handed out exactly once, in the order of submission, to the handler given with it. A runner
 * may be used from several threads; in a process forked later it is refused with MPSCNN_ERROR_STATE.
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
    /* requests in flight, up to 32; 0: 3 */
    int inflight MPSCNN_UNLESS_SET(0);
    /* of the processor, for each request; 0: its cores are shared out among the requests */
    int threads MPSCNN_UNLESS_SET(0);
    /* images that may be gathered into one request, up to 1024; 0: 1. Frames of another size are requests of
     * their own. */
    int max_batch MPSCNN_UNLESS_SET(0);
    /* see mpscnn_session_options */
    int check_finite MPSCNN_UNLESS_SET(0);
    /* seconds that a frame may wait for others to be gathered with; 0: none */
    double max_wait MPSCNN_UNLESS_SET(0);
    /* as in mpscnn_session_options, for each request that is worked on */
    uint64_t max_memory MPSCNN_UNLESS_SET(0);
} mpscnn_runner_options;

/* On the processor at most cores / threads requests are computed in parallel, but at least one. The runner
 * keeps its program. `options` may be NULL. */
MPSCNN_API mpscnn_status mpscnn_runner_create(mpscnn_program *program, const mpscnn_runner_options *options,
                                              mpscnn_runner **runner);
/* Closes it and waits until every frame has been handed out; called by a handler it does not wait. */
MPSCNN_API void mpscnn_runner_release(mpscnn_runner *runner);
/* {"sessions", "threads", "permits"}: requests computed in parallel, threads for each, largest number of
 * frames in flight. */
MPSCNN_API mpscnn_status mpscnn_runner_describe(const mpscnn_runner *runner, mpscnn_text **json);

/* `status` and `message` say how the frame went: MPSCNN_ERROR_CANCELLED where it never began. Called on a
 * thread of the runner's, for one frame after the other; frames after it wait meanwhile. It may submit, but
 * where all permits are taken gets MPSCNN_ERROR_STATE. `message` is valid during the call. */
typedef void (*mpscnn_frame_handler)(mpscnn_status status, const char *message, void *context);

/* Tensors as for mpscnn_session_run; their memory is the runner's until the handler is called. After a
 * failure the handler is not called. A request that fails with several frames is run again frame by frame.
 * `frame`, which may be NULL, receives a number to cancel it by. */
MPSCNN_API mpscnn_status mpscnn_runner_submit(mpscnn_runner *runner, const mpscnn_tensor *inputs,
                                              int input_count, const mpscnn_tensor *outputs, int output_count,
                                              mpscnn_frame_handler handler, void *context, uint64_t *frame);
/* The same for a handler that neither blocks nor calls the runner, such as one that says to another thread
 * that the frame is done. It is called, in its turn too, on the thread that ended a frame, which spares the
 * runner's waking a thread for it: frames of less than some milliseconds gain from that. */
MPSCNN_API mpscnn_status mpscnn_runner_submit_brief(mpscnn_runner *runner, const mpscnn_tensor *inputs,
                                                    int input_count, const mpscnn_tensor *outputs,
                                                    int output_count, mpscnn_frame_handler handler,
                                                    void *context, uint64_t *frame);
/* A photo, preprocessed on the runner's threads as the model file says, for a program of that model with one
 * image input of a fixed size. The pixels are the runner's until the handler is called. */
MPSCNN_API mpscnn_status mpscnn_runner_submit_image(mpscnn_runner *runner, const mpscnn_model *model,
                                                    const mpscnn_image *image, const mpscnn_tensor *outputs,
                                                    int output_count, mpscnn_frame_handler handler,
                                                    void *context, uint64_t *frame);
/* The same for a program of any network, with `preprocess` as for mpscnn_preprocess. */
MPSCNN_API mpscnn_status mpscnn_runner_submit_photo(mpscnn_runner *runner, const mpscnn_image *image,
                                                    const char *preprocess, const mpscnn_tensor *outputs,
                                                    int output_count, mpscnn_frame_handler handler,
                                                    void *context, uint64_t *frame);
/* A photo as mpscnn_model_classify, mpscnn_model_detect and mpscnn_model_segment take it, all of it on the
 * runner's threads: what they write is written before the handler is called with MPSCNN_OK, and not
 * otherwise. Model, pixels and the memory of results must stay until the handler is called; `options` need
 * not. */
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
/* Takes a permit and runs nothing: the handler is called when all frames before it have been handed out. */
MPSCNN_API mpscnn_status mpscnn_runner_mark(mpscnn_runner *runner, mpscnn_frame_handler handler,
                                            void *context);
/* `cancelled` receives whether the frame had not begun: then its handler gets MPSCNN_ERROR_CANCELLED in its
 * turn. */
MPSCNN_API mpscnn_status mpscnn_runner_cancel(mpscnn_runner *runner, uint64_t frame, int *cancelled);
/* Takes no more frames; submitting is MPSCNN_ERROR_STATE from now on. Frames that have not begun are
 * cancelled if `cancel` is not 0. */
MPSCNN_API mpscnn_status mpscnn_runner_close(mpscnn_runner *runner, int cancel);
/* Waits until every frame has been handed out. MPSCNN_ERROR_STATE in a handler. */
MPSCNN_API mpscnn_status mpscnn_runner_wait(mpscnn_runner *runner);

#ifdef __cplusplus
}
#endif

#endif
