#pragma once

// Shared by shaders and host, so fields have the same size and order on both sides.

/// Extents of an MPSImage, whose texture has images * slices slices of four feature channels each.
struct ImageParams {
    unsigned int width, height, channels;
    unsigned int slices; ///< slices of one image
    unsigned int images;
};
