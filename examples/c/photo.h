/* Reads photos for the example: binary PPM files, and JPEG and PNG files where CMake has found their
 * libraries. */
#ifndef PHOTO_H
#define PHOTO_H

#include <mpscnn/mpscnn.h>

/* Reads a photo. Returns the pixels, which `image` refers to and the caller frees. After a failure, prints a
 * message and returns NULL. */
unsigned char *read_photo(const char *path, mpscnn_image *image);

/* The kinds of files that this build reads. */
extern const char *const photo_kinds;

#endif
