/* Run a network once on zeros with libmpscnn alone, and say so; then run it again, and print the peak memory.
 *
 *     first_answer MODEL.safetensors THREADS RUNS
 *
 * Prints "has run" after the first run, and the peak resident memory in bytes (Linux) after all runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mpscnn/mpscnn.h>

/* Return a tensor of zeros with the shape of an input or output, for one image; data is NULL if there is no
 * memory. */
static mpscnn_tensor zeros(int64_t *shape, int rank) {
    mpscnn_tensor tensor;
    size_t count = 1;
    int axis;
    memset(&tensor, 0, sizeof tensor);
    tensor.dtype = MPSCNN_FLOAT32;
    tensor.rank = rank;
    for (axis = 0; axis < rank; ++axis) {
        tensor.shape[axis] = shape[axis] < 0 ? 1 : shape[axis];
        count *= (size_t)tensor.shape[axis];
    }
    tensor.data = calloc(count, sizeof(float));
    return tensor;
}

static mpscnn_status session_of(const char *path, int threads, mpscnn_program **program,
                                mpscnn_session **session) {
    mpscnn_session_options options = {0};
    mpscnn_model *model = NULL;
    mpscnn_graph *graph = NULL;
    mpscnn_status status = mpscnn_model_load(path, &model);
    options.size = sizeof options;
    options.threads = threads;
    if (status == MPSCNN_OK) status = mpscnn_model_graph(model, &graph);
    if (status == MPSCNN_OK) status = mpscnn_program_compile(graph, NULL, program);
    mpscnn_graph_release(graph);
    mpscnn_model_release(model);
    if (status == MPSCNN_OK) status = mpscnn_session_create(*program, &options, session);
    return status;
}

static void print_peak(void) {
    char line[256];
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "VmHWM:", 6) == 0) printf("%ld\n", 1024 * strtol(line + 6, NULL, 10));
    if (file) fclose(file);
}

int main(int argc, char **argv) {
    mpscnn_program *program = NULL;
    mpscnn_session *session = NULL;
    mpscnn_tensor input, output;
    int64_t shape[MPSCNN_MAX_RANK];
    const char *name;
    mpscnn_status status;
    int rank, run;
    if (argc != 4) return 2;
    status = session_of(argv[1], atoi(argv[2]), &program, &session);
    if (status == MPSCNN_OK) status = mpscnn_program_input(program, 0, &name, shape, &rank);
    if (status == MPSCNN_OK) input = zeros(shape, rank);
    if (status == MPSCNN_OK) status = mpscnn_program_output(program, 0, &name, shape, &rank);
    if (status == MPSCNN_OK) output = zeros(shape, rank);
    for (run = 0; status == MPSCNN_OK && run < atoi(argv[3]); ++run) {
        status = mpscnn_session_run(session, &input, 1, &output, 1);
        if (run == 0 && status == MPSCNN_OK) {
            puts("has run");
            fflush(stdout);
        }
    }
    if (status != MPSCNN_OK) {
        fprintf(stderr, "first_answer: %s\n", mpscnn_last_error());
        return 1;
    }
    print_peak();
    return 0; /* the system frees everything */
}
