/* Reads photos for the example: binary PPM files, and JPEG and PNG files where CMake has found their
 * libraries. */
#ifndef PHOTO_H
#define PHOTO_H

#include <mpscnn/mpscnn.h>

/* Reads a photo. Returns the pixels that `image` refers to, to be freed; NULL after a message. */
unsigned char *read_photo(const char *path, mpscnn_image *image);

/* The kinds of files that this build reads. */
extern const char *const photo_kinds;

#endif
