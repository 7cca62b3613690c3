/* Prints the five classes that a model finds most probable for a photo.
 *
 *     classify mobilenet_v2.safetensors photo.ppm
 *
 * The photo is a binary PPM (P6, 8 bits), which most image programs write:
 *     python3 -c "from PIL import Image; Image.open('photo.jpg').convert('RGB').save('photo.ppm')"
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include <mpscnn/mpscnn.h>

/* What one classification needs; all zero at first, released by release(). */
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

/* A number of the header; comments run from '#' to the end of the line. 0 when there is none. */
static int read_number(FILE *file) {
    int number = 0, c;
    do {
        c = getc(file);
        if (c == '#')
            while (c != '\n' && c != EOF) c = getc(file);
    } while (isspace(c));
    ungetc(c, file);
    return fscanf(file, "%d", &number) == 1 ? number : 0;
}

/* The pixels, to be freed; NULL after a message. */
static unsigned char *read_ppm(const char *path, mpscnn_image *image) {
    FILE *file = fopen(path, "rb");
    unsigned char *pixels = NULL;
    const char *problem = "cannot open it";
    if (file) {
        const int first = getc(file), second = getc(file);
        image->width = read_number(file);
        image->height = read_number(file);
        problem = "expected a binary PPM (P6) of at most 32768 pixels a side with 8 bits per sample";
        if (first == 'P' && second == '6' && image->width > 0 && image->height > 0 && image->width <= 32768 &&
            image->height <= 32768 && read_number(file) == 255) {
            const size_t size = (size_t)3 * (size_t)image->width * (size_t)image->height;
            getc(file); /* the one white space after the header */
            problem = "out of memory";
            pixels = malloc(size);
            if (pixels && fread(pixels, 1, size, file) != size) {
                problem = "the file ends within the pixels";
                free(pixels);
                pixels = NULL;
            }
        }
        fclose(file);
    }
    if (!pixels) fprintf(stderr, "classify: %s: %s\n", path, problem);
    image->pixels = pixels;
    image->format = MPSCNN_RGB8;
    return pixels;
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
    int rank;
    for (rank = 0; rank < mpscnn_predictions_count(predictions); ++rank) {
        mpscnn_prediction prediction;
        const mpscnn_status status = mpscnn_predictions_get(predictions, rank, &prediction);
        if (status != MPSCNN_OK) return status;
        printf("%6.2f %%  %s\n", 100.0 * (double)prediction.probability, prediction.label);
    }
    return MPSCNN_OK;
}

int main(int argc, char **argv) {
    mpscnn_image image = {0};
    classifier c = {0};
    mpscnn_status status;
    unsigned char *pixels;
    if (argc != 3) {
        fprintf(stderr, "usage: classify MODEL.safetensors PHOTO.ppm\n");
        return 2;
    }
    pixels = read_ppm(argv[2], &image);
    if (!pixels) return 1;
    status = classify(&c, argv[1], &image);
    if (status == MPSCNN_OK) status = print(c.predictions);
    if (status != MPSCNN_OK) fprintf(stderr, "classify: %s\n", mpscnn_last_error());
    release(&c);
    free(pixels);
    return status == MPSCNN_OK ? 0 : 1;
}
