#pragma once

// The host fills this struct and shaders read it, so fields have the same size and order on both sides.

/// The extents of an MPSImage. Its texture has images * slices slices of four feature channels each.
struct ImageParams {
    unsigned int width, height, channels;
    unsigned int slices; ///< number of slices of one image
    unsigned int images;
};
