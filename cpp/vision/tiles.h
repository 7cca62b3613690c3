/// Tiles: overlapping parts of a photo that a network sees one by one, so that small objects are larger in
/// its input. The tiles and the merging of boxes are those of SAHI (Akyon et al. 2022, "Slicing Aided Hyper
/// Inference and Fine-tuning for Small Object Detection").
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "vision/boxes.h"
#include "vision/image_view.h"

namespace mpscnn::vision {

struct TileOptions {
    int side;       ///< height and width of a tile in pixels of the photo
    double overlap; ///< the share of its side that a tile has in common with the next one, from 0 to below 1
};

/// A part of the upright photo, in pixels.
struct PhotoPart {
    int left, top, width, height;
};

/// A tile, and those of its pixels whose nearest tile it is. The latter cover the photo without overlap.
struct Tile {
    PhotoPart seen, own;
};

/// The largest number of tiles of a photo. All tiles are inputs of one batch.
inline constexpr std::size_t max_tiles = 1024;

/// Return the tiles of an upright photo, row by row. The last ones of a row or column end at the photo's
/// edge. A photo that is smaller than a tile is one tile. Throws Error(parameter) for options out of range,
/// and if there would be more than max_tiles.
std::vector<Tile> tiles_of(int width, int height, const TileOptions &options);

/// Return a view of a part of the photo, in the photo's memory. Chroma has one sample for two pixels, so a
/// part of a photo with chroma may be larger by one pixel on its left and its top: `part` becomes what the
/// view shows.
ImageView part_of(const ImageView &image, PhotoPart &part);

/// A box that was found on a tile or on the whole photo, in pixels of the photo.
struct TileBox {
    Box box;
    float score;
    int label;
};

/// The boxes that are one object, as indices of TileBox. The first one has the highest score.
struct MergedBoxes {
    Box box;
    std::vector<std::size_t> parts;
};

enum class MergeMethod {
    /// Greedy merging: a box is united with all boxes of lower scores of which it covers at least half, or
    /// which cover half of it.
    unite,
    /// Suppression: a box is removed if its intersection over union with a better one is at least a half.
    suppress,
};

/// Merge boxes of overlapping tiles, the best first. With `per_class`, boxes of different labels are not
/// merged. At most 30,000 boxes are compared, the best ones.
std::vector<MergedBoxes> merge_tiles(std::span<const TileBox> boxes, MergeMethod method, bool per_class);

} // namespace mpscnn::vision
