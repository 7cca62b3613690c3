/* Prints the five classes that a model finds most probable for a photo.
 *
 *     classify mobilenet_v2.safetensors photo.jpg
 *
 * The photo is a JPEG or PNG file where CMake has found libjpeg and libpng, or a binary PPM (P6, 8 bits).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mpscnn/mpscnn.h>

#include "photo.h"

/* The objects of one classification. All fields are zero at first, and release() frees them. */
typedef struct classifier {
    mpscnn_model *model;
    mpscnn_graph *graph;
    mpscnn_program *program;
    mpscnn_session *session;
    mpscnn_predictions *predictions;
} classifier;

static void release(classifier *c) {
    mpscnn_predictions_release(c->predictions);
    mpscnn_session_release(c->session);
    mpscnn_program_release(c->program);
    mpscnn_graph_release(c->graph);
    mpscnn_model_release(c->model);
}

static mpscnn_status classify(classifier *c, const char *path, const mpscnn_image *image) {
    mpscnn_status status = mpscnn_model_load(path, &c->model);
    if (status == MPSCNN_OK) status = mpscnn_model_graph(c->model, &c->graph);
    if (status == MPSCNN_OK) status = mpscnn_program_compile(c->graph, NULL, &c->program);
    if (status == MPSCNN_OK) status = mpscnn_session_create(c->program, NULL, &c->session);
    if (status == MPSCNN_OK) status = mpscnn_model_classify(c->model, c->session, image, 5, &c->predictions);
    return status;
}

static mpscnn_status print(const mpscnn_predictions *predictions) {
    const int is_probability = strcmp(mpscnn_predictions_scores(predictions), "as is") != 0;
    int rank;
    for (rank = 0; rank < mpscnn_predictions_count(predictions); ++rank) {
        mpscnn_prediction prediction;
        const mpscnn_status status = mpscnn_predictions_get(predictions, rank, &prediction);
        if (status != MPSCNN_OK) return status;
        if (is_probability)
            printf("%6.2f %%  %s\n", 100.0 * (double)prediction.probability, prediction.label);
        else
            printf("%8.5g  %s\n", (double)prediction.probability, prediction.label);
    }
    return MPSCNN_OK;
}

int main(int argc, char **argv) {
    mpscnn_image image = {0};
    classifier c = {0};
    mpscnn_status status;
    unsigned char *pixels;
    if (argc != 3) {
        fprintf(stderr, "usage: classify MODEL.safetensors PHOTO\nPHOTO is a file of the kind %s\n",
                photo_kinds);
        return 2;
    }
    pixels = read_photo(argv[2], &image);
    if (!pixels) return 1;
    status = classify(&c, argv[1], &image);
    if (status == MPSCNN_OK) status = print(c.predictions);
    if (status != MPSCNN_OK) fprintf(stderr, "classify: %s\n", mpscnn_last_error());
    release(&c);
    free(pixels);
    return status == MPSCNN_OK ? 0 : 1;
}
