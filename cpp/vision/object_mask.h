/// Masks of objects: the pixels of the photo that belong to an object.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "vision/boxes.h"
#include "vision/preprocess.h"

namespace mpscnn::vision {

/// Masks that all objects of a photo have in common, [height][width][channels]. They cover the network's
/// input evenly. An object's mask is their sum, weighted by the object's coefficients (Bolya et al. 2019,
/// "YOLACT: Real-time Instance Segmentation").
struct Prototypes {
    const float *numbers;
    int height, width, channels;
};

/// The mask of one object. Only the part of the grid around the object's box is kept, so that many objects
/// need little memory. Pixels of the photo are computed when they are asked for.
class ObjectMask {
public:
    /// `box` is in pixels of the photo, and not empty. `mapping` maps a network's input of `input_height` x
    /// `input_width` to the photo. Throws Error(parameter) for a coefficient that is not finite.
    ObjectMask(const Prototypes &prototypes, std::span<const float> coefficients, const Box &box,
               const Transform &mapping, int input_height, int input_width);

    /// The pixels of the photo that the box touches.
    int left() const { return across_.first_pixel; }
    int top() const { return down_.first_pixel; }
    int width() const { return across_.pixels; }
    int height() const { return down_.pixels; }

    /// Write 1 for each pixel that belongs to the object, otherwise 0; height() rows of width() pixels. A
    /// pixel belongs to it if its centre is in the box and the mask there, interpolated bilinearly, is above
    /// 0.
    void write(std::uint8_t *pixels) const;

private:
    /// Pixels and points of the grid along one axis. The point of pixel i is i * scale + offset.
    struct AxisPart {
        float low, high; ///< the edges of the box
        int first_pixel, pixels, first_point, points;
        double scale, offset;
    };

    static AxisPart part(float low, float high, double photo_scale, double photo_offset, int input_extent,
                         int grid_extent);

    AxisPart across_, down_;
    std::vector<float> grid_; ///< [down_.points][across_.points]
};

} // namespace mpscnn::vision
