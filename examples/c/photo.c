#include "photo.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef WITH_JPEG
#include <jpeglib.h>
#endif
#ifdef WITH_PNG
#include <png.h>
#endif

#if defined(WITH_JPEG) && defined(WITH_PNG)
const char *const photo_kinds = "JPEG, PNG or PPM";
#elif defined(WITH_JPEG)
const char *const photo_kinds = "JPEG or PPM (CMake found no libpng)";
#elif defined(WITH_PNG)
const char *const photo_kinds = "PNG or PPM (CMake found no libjpeg)";
#else
const char *const photo_kinds = "PPM (CMake found neither libjpeg nor libpng)";
#endif

enum { LARGEST_SIDE = 32768 };

/* Allocates memory for an image of this size. Sets `problem`, and returns NULL if that fails. */
static unsigned char *allocate(mpscnn_image *image, long width, long height, const char **problem) {
    unsigned char *pixels = NULL;
    *problem = "expected a photo of at most 32768 pixels a side";
    if (width > 0 && height > 0 && width <= LARGEST_SIDE && height <= LARGEST_SIDE) {
        image->width = (int)width;
        image->height = (int)height;
        *problem = "out of memory";
        pixels = malloc((size_t)3 * (size_t)width * (size_t)height);
    }
    return pixels;
}

/* ---- PPM ----------------------------------------------------------------------------------------------- */

/* Reads a number of the header; 0 if there is none. Comments extend from '#' to the end of the line. */
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

static unsigned char *read_ppm(FILE *file, mpscnn_image *image, const char **problem) {
    unsigned char *pixels;
    int width, height;
    fseek(file, 2, SEEK_SET);
    width = read_number(file);
    height = read_number(file);
    if (read_number(file) != 255) {
        *problem = "expected a binary PPM (P6) with 8 bits per sample";
        return NULL;
    }
    pixels = allocate(image, width, height, problem);
    getc(file); /* the one white space after the header */
    if (pixels) {
        const size_t size = (size_t)3 * (size_t)width * (size_t)height;
        if (fread(pixels, 1, size, file) == size) return pixels;
        *problem = "the file ends within the pixels";
        free(pixels);
    }
    return NULL;
}

/* ---- JPEG ---------------------------------------------------------------------------------------------- */

#ifdef WITH_JPEG
/* libjpeg's errors end here instead of in exit(). */
typedef struct jpeg_failure {
    struct jpeg_error_mgr base;
    jmp_buf place;
    unsigned char *pixels; /* changed between setjmp and longjmp */
    char message[JMSG_LENGTH_MAX];
} jpeg_failure;

static void jpeg_failed(j_common_ptr jpeg) {
    jpeg_failure *failure = (jpeg_failure *)jpeg->err;
    failure->base.format_message(jpeg, failure->message);
    longjmp(failure->place, 1);
}

static void jpeg_warned(j_common_ptr jpeg) { jpeg_failed(jpeg); } /* a photo that ends early, too */

static unsigned char *read_jpeg(FILE *file, mpscnn_image *image, const char **problem) {
    static jpeg_failure failure; /* its message outlives the call */
    struct jpeg_decompress_struct jpeg;
    jpeg.err = jpeg_std_error(&failure.base);
    failure.base.error_exit = jpeg_failed;
    failure.base.output_message = jpeg_warned;
    failure.pixels = NULL;
    jpeg_create_decompress(&jpeg);
    if (setjmp(failure.place)) {
        jpeg_destroy_decompress(&jpeg);
        free(failure.pixels);
        *problem = failure.message;
        return NULL;
    }
    rewind(file);
    jpeg_stdio_src(&jpeg, file);
    jpeg_read_header(&jpeg, TRUE);
    jpeg.out_color_space = JCS_RGB;
    jpeg_start_decompress(&jpeg);
    failure.pixels = allocate(image, (long)jpeg.output_width, (long)jpeg.output_height, problem);
    if (failure.pixels) {
        while (jpeg.output_scanline < jpeg.output_height) {
            JSAMPROW row = failure.pixels + (size_t)3 * jpeg.output_width * jpeg.output_scanline;
            jpeg_read_scanlines(&jpeg, &row, 1);
        }
        jpeg_finish_decompress(&jpeg);
    }
    jpeg_destroy_decompress(&jpeg);
    return failure.pixels;
}
#endif

/* ---- PNG ----------------------------------------------------------------------------------------------- */

#ifdef WITH_PNG
static unsigned char *read_png(FILE *file, mpscnn_image *image, const char **problem) {
    static png_image png; /* its message outlives the call */
    unsigned char *pixels = NULL, *rgba = NULL;
    memset(&png, 0, sizeof(png));
    png.version = PNG_IMAGE_VERSION;
    rewind(file);
    *problem = png.message;
    if (!png_image_begin_read_from_stdio(&png, file)) return NULL;
    png.format = PNG_FORMAT_RGBA;
    pixels = allocate(image, (long)png.width, (long)png.height, problem);
    if (pixels) rgba = malloc(PNG_IMAGE_SIZE(png));
    if (rgba && png_image_finish_read(&png, NULL, rgba, 0, NULL)) {
        size_t i, count = (size_t)png.width * png.height;
        for (i = 0; i < count; ++i) memcpy(pixels + 3 * i, rgba + 4 * i, 3); /* without the transparency */
    } else {
        if (rgba) *problem = png.message;
        free(pixels);
        pixels = NULL;
    }
    free(rgba);
    png_image_free(&png);
    return pixels;
}
#endif

/* ---- All kinds ----------------------------------------------------------------------------------------- */

unsigned char *read_photo(const char *path, mpscnn_image *image) {
    FILE *file = fopen(path, "rb");
    unsigned char *pixels = NULL;
    const char *problem = "cannot open it";
    if (file) {
        unsigned char first[4] = {0};
        const size_t count = fread(first, 1, sizeof(first), file);
        problem = NULL;
        if (count >= 2 && memcmp(first, "P6", 2) == 0) pixels = read_ppm(file, image, &problem);
#ifdef WITH_JPEG
        if (count >= 2 && memcmp(first, "\xff\xd8", 2) == 0) pixels = read_jpeg(file, image, &problem);
#endif
#ifdef WITH_PNG
        if (count == 4 && memcmp(first, "\x89PNG", 4) == 0) pixels = read_png(file, image, &problem);
#endif
        fclose(file);
    }
    if (!pixels && problem) fprintf(stderr, "classify: %s: %s\n", path, problem);
    if (!pixels && !problem) fprintf(stderr, "classify: %s: expected %s\n", path, photo_kinds);
    image->pixels = pixels;
    image->format = MPSCNN_RGB8;
    return pixels;
}
