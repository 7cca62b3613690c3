"""Compose training images: one to three objects, cut out of photos of one class, on a random background.

A network may learn the usual surroundings of a class, such as meadows for horses. In these images the background is
unrelated to the class. Objects are small and sharp, and may be anywhere. Images without objects belong to no class.
"""

from __future__ import annotations

import math

import torch
from augment import affine, chosen, per_image, uniform
from outliers import magnified
from torch import Tensor
from torch.nn import functional

OBJECTS = 3
GROUND_SIZE = 96
BORDER = 2
NEAREST = 4
CHUNK = 500
LOG_SCALE = (math.log(0.38), math.log(1.0))
LOG_ASPECT = 0.6
ROTATION = 0.25

# The colours of grass, leaves, sand, earth, asphalt, sky, water and snow. Backgrounds vary widely around them.
PALETTE = (
    (0.35, 0.55, 0.20), (0.30, 0.48, 0.15), (0.45, 0.60, 0.25), (0.20, 0.35, 0.15), (0.78, 0.70, 0.55),
    (0.50, 0.38, 0.26), (0.45, 0.45, 0.46), (0.60, 0.75, 0.92), (0.20, 0.40, 0.55), (0.92, 0.93, 0.96),
)  # fmt: skip


def rounded(size: int, device: torch.device) -> Tensor:
    """Return a mask (size, size) with a soft rounded square: 1 inside, 0 at the border."""
    axis = torch.linspace(-1, 1, size, device=device).abs() ** 3
    return torch.sigmoid((0.7 - axis[:, None] - axis[None, :]) * 12)


def object_masks(photos: Tensor) -> Tensor:
    """Return uint8 masks (n, 1, h, w) of the objects in the middle of uint8 photos (n, 3, h, w).

    Pixels that resemble the photo's border are background. If this gives no compact object, the mask is a rounded
    square.
    """
    return torch.cat([_object_masks(part) for part in photos.split(CHUNK)])


def _object_masks(photos: Tensor) -> Tensor:
    size = photos.shape[-1]
    colors = photos.float().flatten(2).transpose(1, 2) / 255
    ring = torch.ones(size, size, dtype=torch.bool, device=photos.device)
    ring[BORDER:-BORDER, BORDER:-BORDER] = False
    distance = torch.cdist(colors, colors[:, ring.flatten()]).topk(NEAREST, largest=False).values.mean(2)
    distance = distance / distance.mean(1, keepdim=True).clamp_min(1e-3)
    mask = torch.sigmoid((distance - 0.7) * 6).view(-1, 1, size, size)
    mask = functional.avg_pool2d(mask, 5, 1, 2, count_include_pad=False)
    mask = torch.sigmoid((mask - 0.45) * 12)
    inner = mask[:, :, size // 4 : -size // 4, size // 4 : -size // 4].mean((1, 2, 3))
    found = (inner > 0.6) & (mask.mean((1, 2, 3)) < 0.7)
    shape = rounded(size, photos.device)
    return (torch.where(per_image(found), mask * shape.clamp_min(0.1), shape) * 255).to(torch.uint8)


def noise(count: int, size: int, device: torch.device) -> Tensor:
    """Return band-limited noise (n, 1, size, size) of random coarseness, with a standard deviation of 1."""
    total = torch.zeros(count, 1, size, size, device=device)
    slope = uniform(count, -0.6, 1.0, device)
    cells = 2
    while cells <= size:
        layer = torch.randn(count, 1, cells, cells, device=device)
        layer = functional.interpolate(layer, size=(size, size), mode="bicubic")
        total += layer * per_image(torch.exp2(-slope * math.log2(cells)))
        cells *= 2
    return total / total.std((1, 2, 3), keepdim=True)


def ground_colors(count: int, device: torch.device) -> Tensor:
    """Return random colours (n, 3, 1, 1). About 75% are variations of the palette, the others any colour."""
    palette = torch.tensor(PALETTE, device=device)
    picked = palette[torch.randint(len(palette), (count,), device=device)]
    picked = picked * torch.exp(uniform(3 * count, -0.25, 0.25, device).view(count, 3))
    picked = picked * torch.exp(uniform(count, -0.5, 0.4, device))[:, None]
    free = torch.rand(count, 3, device=device)
    color = torch.where(torch.rand(count, 1, device=device) < 0.75, picked, free)
    return color.clamp(0, 1)[:, :, None, None]


def textures(photos: Tensor, count: int, size: int) -> Tensor:
    """Return images of coloured noise. About 20% are enlarged details of photos instead."""
    device = photos.device
    light = 1 + noise(count, size, device) * per_image(uniform(count, 0.02, 0.2, device))
    tint = torch.cat([noise(count, size, device) for _ in range(3)], dim=1)
    image = ground_colors(count, device) * light + tint * per_image(uniform(count, 0, 0.05, device))
    detail = functional.interpolate(magnified(photos, count), size=(size, size), mode="bicubic")
    detail = detail[:, torch.randperm(3, device=device)]
    return torch.where(chosen(count, 0.2, device), detail, image).clamp(0, 1)


def fences(images: Tensor) -> Tensor:
    """Draw rails and posts across the images."""
    count, device, size = len(images), images.device, images.shape[-1]
    axis = torch.linspace(0, 1, size, device=device)

    def bars(max_count: float) -> Tensor:
        period, phase, width = (
            uniform(count, low, high, device)[:, None]
            for low, high in ((1 / max_count, 0.6), (0, 1), (0.05, 0.3))
        )
        return ((axis / period + phase) % 1 < width).float()

    grid = torch.maximum(bars(4)[:, :, None], bars(12)[:, None, :])[:, None]
    return torch.lerp(images, ground_colors(count, device).expand_as(images), grid)


def grounds(photos: Tensor, count: int, size: int) -> Tensor:
    """Return uint8 backgrounds (count, 3, size, size). Each has one texture, or two that meet at a slanting line."""
    return torch.cat([_grounds(photos, min(CHUNK, count - start), size) for start in range(0, count, CHUNK)])


def _grounds(photos: Tensor, count: int, size: int) -> Tensor:
    device = photos.device
    below, above = textures(photos, count, size), textures(photos, count, size)
    above = torch.where(chosen(count, 0.3, device), fences(above), above)
    axis = torch.linspace(-1, 1, size, device=device)
    height, slant, softness = (
        uniform(count, low, high, device)[:, None, None]
        for low, high in ((-1.0, 0.6), (-0.3, 0.3), (0.02, 0.2))
    )
    horizon = height + slant * axis[None, None, :]
    share = torch.sigmoid((horizon - axis[None, :, None]) / softness)[:, None]
    two = torch.lerp(below, above, share)
    return (torch.where(chosen(count, 0.6, device), two, below) * 255).to(torch.uint8)


class Scenery:
    """Composes scenes from the objects of all training photos and a number of backgrounds."""

    def __init__(self, photos: Tensor, labels: Tensor, stock: int) -> None:
        self.photos, self.labels = photos, labels
        self.masks = object_masks(photos)
        self.grounds = grounds(photos, stock, GROUND_SIZE)
        self.by_class = torch.argsort(labels, stable=True)
        self.counts = torch.bincount(labels)
        self.starts = self.counts.cumsum(0) - self.counts

    def companions(self, index: Tensor) -> Tensor:
        """Choose another photo of the same class for each photo, and return the indices."""
        label = self.labels[index]
        offset = (torch.rand(len(index), device=index.device) * self.counts[label]).long()
        return self.by_class[self.starts[label] + offset]

    def compose(self, index: Tensor, size: int) -> Tensor:
        """Return scenes (n, 3, size, size) in 0..1 with objects of the photos' classes.

        For an index after the last photo, the scene has no objects.
        """
        count, device = len(index), index.device
        picked = torch.randint(len(self.grounds), (count,), device=device)
        scenes = self.grounds[picked].float() / 255
        scenes = functional.interpolate(scenes, size=(size, size), mode="bilinear", antialias=True)
        scenes = torch.where(chosen(count, 0.5, device), scenes.flip(3), scenes)
        empty = index >= len(self.photos)
        first = torch.where(empty, 0, index)
        number = torch.randint(1, OBJECTS + 1, (count,), device=device)
        scale = torch.exp(uniform(count, *LOG_SCALE, device)) / number.float() ** 0.15
        for position in range(OBJECTS):
            shown = (position < number) & ~empty
            source = first if position == 0 else self.companions(first)
            scenes = self.paste(scenes, source, scale, shown)
        return scenes

    def paste(self, scenes: Tensor, source: Tensor, scale: Tensor, shown: Tensor) -> Tensor:
        """Return the scenes with one more object and its shadow, in those scenes for which `shown` is true."""
        count, size, device = len(scenes), scenes.shape[-1], scenes.device
        cutout = torch.cat((self.photos[source], self.masks[source]), dim=1).float() / 255
        cutout[:, :3] = tinted(cutout[:, :3])
        flip = torch.where(torch.rand(count, device=device) < 0.5, -1.0, 1.0)
        # The extent is the size of the scene in units of the photo, which is the inverse of the object's scale.
        extent = torch.exp(uniform(count, -0.15, 0.15, device)) / scale
        aspect = torch.exp(uniform(count, -LOG_ASPECT / 2, LOG_ASPECT / 2, device))
        angle = uniform(count, -ROTATION, ROTATION, device)
        reach = (extent - 0.7).clamp_min(0.1)
        x, y = uniform(2 * count, -1, 1, device).view(2, count) * reach
        object_view = affine(flip * extent * aspect, extent / aspect, angle, x, y)
        pasted = sample_cutout(cutout, object_view, size)
        mask = pasted[:, 3:] * per_image(shown)
        # The shadow lies below the object, flattened and to a side.
        shadow_view = object_view.clone()
        shadow_view[:, :, 1] *= uniform(count, 1.5, 3, device)[:, None]
        shadow_view[:, 1, 2] = object_view[:, 1, 2] - uniform(count, 0.2, 0.8, device)
        shadow_view[:, 0, 2] += uniform(count, -0.7, 0.7, device)
        shadow = sample_cutout(cutout[:, 3:], shadow_view, size) * per_image(shown)
        dark = uniform(count, 0, 0.7, device) * (torch.rand(count, device=device) < 0.4)
        scenes = scenes * (1 - shadow * per_image(dark))
        return torch.lerp(scenes, pasted[:, :3], mask)


def sample_cutout(images: Tensor, matrices: Tensor, size: int) -> Tensor:
    """Transform images by matrices; pixels outside of an image are 0. Doubled resolution avoids aliasing."""
    shape = [len(images), images.shape[1], 2 * size, 2 * size]
    grid = functional.affine_grid(matrices, shape, align_corners=False)
    return functional.avg_pool2d(functional.grid_sample(images, grid, align_corners=False), 2)


def tinted(images: Tensor) -> Tensor:
    """Return the objects in other light. Each gets its own random contrast, saturation and brightness."""
    count, device = len(images), images.device
    mean = images.mean((1, 2, 3), keepdim=True)
    images = mean + (images - mean) * per_image(uniform(count, 0.7, 1.3, device))
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * per_image(uniform(count, 0.5, 1.3, device))
    return (images * per_image(uniform(count, 0.5, 1.4, device))).clamp(0, 1)
