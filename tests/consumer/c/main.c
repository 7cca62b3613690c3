/* A C99 program over mpscnn.h: a network of one neuron layer. */
#include <stdio.h>
#include <string.h>

#include <mpscnn/metal.h>
#include <mpscnn/mpscnn.h>

static int failed(mpscnn_status status) {
    if (status == MPSCNN_OK) return 0;
    printf("failed: %s\n", mpscnn_last_error());
    return 1;
}

static mpscnn_tensor tensor_of(float *data) {
    mpscnn_tensor tensor = {0};
    tensor.data = data;
    tensor.dtype = MPSCNN_FLOAT32;
    tensor.rank = 2;
    tensor.shape[0] = 1;
    tensor.shape[1] = 4;
    return tensor;
}

/* The functions of metal.h are there whatever the library was built with. */
static int refuses_no_device(const mpscnn_graph *graph) {
#ifdef __APPLE__
    const mpscnn_status expected = MPSCNN_ERROR_PARAMETER;
#else
    const mpscnn_status expected = MPSCNN_ERROR_UNSUPPORTED;
#endif
    mpscnn_program *program = NULL;
    return mpscnn_metal_program_compile(graph, NULL, NULL, NULL, &program) == expected &&
           mpscnn_metal_preprocess(NULL, NULL, NULL, NULL, "\"unit\"", NULL, 0) == expected;
}

int main(void) {
    const int64_t shape[] = {-1, 4};
    float source[] = {-1.0f, 0.5f, 3.0f, 9.0f}, destination[4] = {0};
    const float expected[] = {0.0f, 0.5f, 3.0f, 6.0f};
    const mpscnn_tensor input = tensor_of(source), output = tensor_of(destination);
    mpscnn_graph *graph = NULL;
    mpscnn_program *program = NULL;
    mpscnn_session *session = NULL;
    int value = 0, result = 1;
    if (!failed(mpscnn_graph_create("relu6", &graph)) &&
        !failed(mpscnn_graph_add_input(graph, "x", shape, 2, &value)) &&
        !failed(mpscnn_graph_add_node(graph, "neuron", "relu6", &value, 1,
                                      "{\"kind\": \"relun\", \"b\": 6.0}", NULL, &value)) &&
        !failed(mpscnn_graph_mark_output(graph, value)) &&
        !failed(mpscnn_program_compile(graph, NULL, &program)) &&
        !failed(mpscnn_session_create(program, NULL, &session)) &&
        !failed(mpscnn_session_run(session, &input, 1, &output, 1)) && refuses_no_device(graph))
        result = memcmp(destination, expected, sizeof expected) == 0 ? 0 : 1;
    mpscnn_session_release(session);
    mpscnn_program_release(program);
    mpscnn_graph_release(graph);
    if (result == 0) printf("mpscnn %s works\n", mpscnn_version());
    return result;
}
