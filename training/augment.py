"""Random views of a batch of photos, computed on the device that holds them.

The network has to classify whole photos of any shape squeezed into its small square input, so besides the
usual flips and shifts the views vary scale, aspect ratio, sharpness and colours widely.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

# The geometry of half of the views is plain: they are only flipped and slightly shifted, not zoomed or rotated. They
# stay close to the data set, so that the accuracy on its test images does not suffer from the stronger augmentation for
# photos. `random_appearance` makes no such difference between views.
PLAIN_SHARE = 0.5
PLAIN_SHIFT = 0.125
LOG_EXTENT = (math.log(0.55), math.log(1.9))
LOG_ASPECT = 0.5
ROTATION = 0.2


def uniform(count: int, low: float, high: float, device: torch.device) -> Tensor:
    """Return `count` random numbers in low..high."""
    return torch.rand(count, device=device) * (high - low) + low


def per_image(values: Tensor) -> Tensor:
    """Reshape values (n,) to (n, 1, 1, 1), so that they broadcast over images (n, 3, h, w)."""
    return values[:, None, None, None]


def chosen(count: int, share: float, device: torch.device) -> Tensor:
    """Return a mask (n, 1, 1, 1) that selects about `share` of the images."""
    return per_image(torch.rand(count, device=device) < share)


def affine(extent_x: Tensor, extent_y: Tensor, angle: Tensor, shift_x: Tensor, shift_y: Tensor) -> Tensor:
    """Return matrices (n, 2, 3) that map output positions to input positions, both in -1..1."""
    cosine, sine = torch.cos(angle), torch.sin(angle)
    row_x = torch.stack((extent_x * cosine, -extent_y * sine, shift_x), dim=1)
    row_y = torch.stack((extent_x * sine, extent_y * cosine, shift_y), dim=1)
    return torch.stack((row_x, row_y), dim=1)


def sample(images: Tensor, matrices: Tensor, size: int) -> Tensor:
    """Transform images by the matrices of `affine`. Beyond their edges images are mirrored."""
    shape = [len(images), 3, size, size]
    grid = functional.affine_grid(matrices, shape, align_corners=False)
    return functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )


def random_geometry(images: Tensor, size: int) -> Tensor:
    """Flip half of the images. Shift some images by whole pixels, and zoom, stretch, rotate and move the others."""
    count, device, pixels = len(images), images.device, images.shape[-1]
    flip = torch.where(torch.rand(count, device=device) < 0.5, -1.0, 1.0)

    reach = round(PLAIN_SHIFT * pixels)
    steps = torch.randint(-reach, reach + 1, (2, count), device=device) * (2.0 / pixels)
    one, zero = torch.ones_like(flip), torch.zeros_like(flip)
    plain = sample(images, affine(flip, one, zero, steps[0], steps[1]), size)

    extent = torch.exp(uniform(count, *LOG_EXTENT, device))
    aspect = torch.exp(uniform(count, -LOG_ASPECT / 2, LOG_ASPECT / 2, device))
    freedom = (extent - 1).abs() + PLAIN_SHIFT
    shift = uniform(2 * count, -1, 1, device).view(2, count) * freedom
    angle = uniform(count, -ROTATION, ROTATION, device)
    matrices = affine(flip * extent * aspect, extent / aspect, angle, shift[0], shift[1])
    # Sample at twice the resolution and average 2x2 pixels. This avoids aliasing in views that shrink the image, which
    # they do by a factor of at most about 2.
    zoomed = functional.avg_pool2d(sample(images, matrices, 2 * size), 2)
    return torch.where(chosen(count, PLAIN_SHARE, device), plain, zoomed)


def random_sharpness(images: Tensor) -> Tensor:
    """Blur or sharpen each image by a random amount."""
    blurred = functional.avg_pool2d(functional.pad(images, (1, 1, 1, 1), mode="reflect"), 3, stride=1)
    amount = per_image(uniform(len(images), -0.8, 0.8, images.device))
    return images + amount * (images - blurred)


def random_colors(images: Tensor) -> Tensor:
    """Change brightness, contrast, saturation and the balance of the channels."""
    count, device = len(images), images.device
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * per_image(uniform(count, 0.4, 1.5, device))
    mean = images.mean((1, 2, 3), keepdim=True)
    images = mean + (images - mean) * per_image(uniform(count, 0.6, 1.4, device))
    balance = uniform(3 * count, 0.85, 1.15, device).view(count, 3, 1, 1)
    return images * balance * per_image(uniform(count, 0.7, 1.3, device))


def random_cutout(images: Tensor) -> Tensor:
    """Cover a rectangle of each image with one random colour."""
    count, device, size = len(images), images.device, images.shape[-1]
    positions = torch.linspace(0, 1, size, device=device)
    width, height = uniform(2 * count, 0.1, 0.5, device).view(2, count, 1)
    x, y = uniform(2 * count, 0, 1, device).view(2, count, 1)
    inside = ((positions - y).abs() < height / 2)[:, :, None] & ((positions - x).abs() < width / 2)[
        :, None, :
    ]
    color = torch.rand(count, 3, 1, 1, device=device)
    return torch.where(inside[:, None], color, images)


def random_appearance(views: Tensor) -> Tensor:
    """Change sharpness and colours of views in 0..1, add noise, and cover a part. Return views in -1..1."""
    count, device = len(views), views.device
    views = torch.where(chosen(count, 0.4, device), random_sharpness(views), views)
    views = torch.where(chosen(count, 0.6, device), random_colors(views), views)
    views = torch.where(chosen(count, 0.05, device), views.mean(1, keepdim=True), views)
    noise = torch.randn_like(views) * per_image(uniform(count, 0, 0.05, device))
    views = torch.where(chosen(count, 0.2, device), views + noise, views)
    views = torch.where(chosen(count, 0.3, device), random_cutout(views), views)
    return views.clamp(0, 1) * 2 - 1


def to_input(images: Tensor, size: int) -> Tensor:
    """Convert uint8 images to the network's input without augmentation: scaled to -1..1 and resized."""
    scaled = images.float() / 127.5 - 1
    if scaled.shape[-1] == size:
        return scaled
    return functional.interpolate(scaled, size=(size, size), mode="bilinear", antialias=True)


def mixup(views: Tensor, targets: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Blend about `share` of the views, and their targets, with another view of the batch (Zhang et al., 2018)."""
    count, device = len(views), views.device
    weight = uniform(count, 0.0, 0.5, device) * (torch.rand(count, device=device) < share)
    other = torch.randperm(count, device=device)
    mixed = torch.lerp(views, views[other], per_image(weight))
    return mixed, torch.lerp(targets, targets[other], weight[:, None])
