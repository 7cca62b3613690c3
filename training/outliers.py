"""Images that show none of the classes, made from the training photos and from random shapes.

The network learns to answer with equal probabilities on them (outlier exposure: Hendrycks et al., 2019), so that a
photo of something else gets a low probability. Every function returns images (count, 3, size, size) in 0..1.
"""

from __future__ import annotations

import math

import torch
from augment import per_image, uniform
from torch import Tensor
from torch.nn import functional

PATCH = 8


def pick(photos: Tensor, count: int) -> Tensor:
    """Return random ones of the photos, converted from uint8 to 0..1."""
    index = torch.randint(len(photos), (count,), device=photos.device)
    return photos[index].float() / 255


def shuffled_patches(photos: Tensor, count: int) -> Tensor:
    """Return mosaics. The patches of each mosaic come from four photos and are in random order."""
    size = photos.shape[-1]
    patches = functional.unfold(pick(photos, count), PATCH, stride=PATCH).transpose(1, 2)
    rows = torch.arange(count, device=photos.device)[:, None]
    source = (rows + torch.randint(4, (count, patches.shape[1]), device=photos.device)) % count
    order = torch.rand(count, patches.shape[1], device=photos.device).argsort(1)
    return functional.fold(patches[source, order].transpose(1, 2), size, PATCH, stride=PATCH)


def magnified(photos: Tensor, count: int) -> Tensor:
    """Enlarge small details of photos to whole images: colour blobs, edges and textures."""
    images = pick(photos, count)
    extent = uniform(count, 0.1, 0.25, photos.device)
    zero = torch.zeros_like(extent)
    x, y = uniform(2 * count, -0.75, 0.75, photos.device).view(2, count)
    matrices = torch.stack((torch.stack((extent, zero, x), 1), torch.stack((zero, extent, y), 1)), 1)
    grid = functional.affine_grid(matrices, list(images.shape), align_corners=False)
    return stretched(functional.grid_sample(images, grid, mode="bicubic", align_corners=False))


def stretched(images: Tensor) -> Tensor:
    """Restore the contrast: scale each image to the mean 0.5 and a standard deviation that is typical of photos."""
    mean = images.mean((1, 2, 3), keepdim=True)
    deviation = images.std((1, 2, 3), keepdim=True).clamp_min(1e-3)
    wanted = per_image(uniform(len(images), 0.15, 0.28, images.device))
    return (0.5 + (images - mean) * (wanted / deviation)).clamp(0, 1)


def averages(photos: Tensor, count: int) -> Tensor:
    """Return means of five photos each, one of them flipped. No object can be recognised in them."""
    images = sum((pick(photos, count) for _ in range(4)), start=pick(photos, count).flip(3)) / 5
    return stretched(images)


def scrambled_phases(photos: Tensor, count: int) -> Tensor:
    """Randomise the phases of photos' spectra. This keeps colours and textures, but no shapes."""
    images = pick(photos, count)
    noise = torch.rand(count, 1, *images.shape[2:], device=photos.device)
    turn = torch.polar(torch.ones_like(noise), torch.fft.fft2(noise).angle())
    turn[:, :, 0, 0] = 1
    return torch.fft.ifft2(torch.fft.fft2(images) * turn).real.clamp(0, 1)


def colors(count: int, device: torch.device) -> Tensor:
    """Return random colours (n, 3), from greys to fully saturated ones."""
    grey = torch.rand(count, 1, device=device)
    return torch.lerp(grey, torch.rand(count, 3, device=device), torch.rand(count, 1, device=device))


def gradients(count: int, size: int, device: torch.device) -> Tensor:
    """Return linear gradients between two random colours each."""
    axis = torch.linspace(-1, 1, size, device=device)
    angle = uniform(count, 0, 2 * math.pi, device)[:, None, None]
    position = torch.cos(angle) * axis[None, None, :] + torch.sin(angle) * axis[None, :, None]
    first, second = colors(2 * count, device).view(2, count, 3, 1, 1)
    return torch.lerp(first, second, ((position + 1) / 2).clamp(0, 1)[:, None])


class Canvas:
    """A batch of images onto which soft blobs are painted. Each call of `blob` paints one onto every image."""

    def __init__(self, images: Tensor) -> None:
        self.images = images
        self.count, _, size, _ = images.shape
        self.device = images.device
        axis = torch.linspace(-1, 1, size, device=self.device)
        self.x = axis[None, None, :]
        self.y = axis[None, :, None]
        self.softness = 2.0 / size

    def random(self, low: float, high: float) -> Tensor:
        """Return a random number in low..high for each image."""
        return uniform(self.count, low, high, self.device)[:, None, None]

    def blob(
        self, x: Tensor, y: Tensor, rx: Tensor, ry: Tensor, color: Tensor,
        lobes: Tensor | float = 0.0, depth: Tensor | float = 0.0,
    ) -> None:  # fmt: skip
        """Paint an ellipse of a color (n, 3) at x, y (-1..1) with the radii rx, ry. Its outline has waves.

        There are `lobes` waves along the outline; `depth` is their amplitude as a share of the radius.
        """
        u, v = (self.x - x) / rx, (self.y - y) / ry
        outline = 1 + depth * torch.cos(lobes * torch.atan2(v, u))
        distance = (outline - torch.sqrt(u * u + v * v)) * torch.minimum(rx, ry)
        mask = torch.sigmoid(distance / self.softness * 3)[:, None]
        shade = 1 + self.random(-0.25, 0.25) * u.clamp(-1, 1) + self.random(-0.25, 0.25) * v.clamp(-1, 1)
        self.images = torch.lerp(self.images, color[:, :, None, None] * shade[:, None], mask)

    def textured(self, texture: Tensor) -> Tensor:
        """Return the painted images with the fine texture of other images added."""
        detail = texture - functional.avg_pool2d(texture, 5, 1, 2, count_include_pad=False)
        return (self.images + detail * self.random(0, 0.8)[:, None]).clamp(0, 1)


def backgrounds(photos: Tensor, count: int) -> Tensor:
    """Return images of which one third are blurred photos, one third gradients, and one third scrambled photos."""
    size, third = photos.shape[-1], count // 3
    blurred = functional.avg_pool2d(pick(photos, third), 9, 1, 4, count_include_pad=False)
    rest = count - 2 * third
    return torch.cat((blurred, gradients(third, size, photos.device), scrambled_phases(photos, rest)))


def still_lifes(photos: Tensor, count: int) -> Tensor:
    """Paint blobs of random colours, which resemble flowers, fruit, cups, plates or signs.

    In about half of the images the blobs are nested.
    """
    canvas = Canvas(backgrounds(photos, count))
    nested = torch.rand(count, 1, 1, device=photos.device) < 0.5
    x, y, radius = canvas.random(-0.4, 0.4), canvas.random(-0.4, 0.4), canvas.random(0.4, 0.9)
    for _ in range(5):
        lobes = canvas.random(0, 12).round()
        color = colors(count, photos.device)
        stretch = canvas.random(0.7, 1.4)
        canvas.blob(x, y, radius * stretch, radius / stretch, color, lobes, canvas.random(0, 0.3))
        x = torch.where(nested, x, canvas.random(-1, 1))
        y = torch.where(nested, y, canvas.random(-1, 1))
        radius = torch.where(nested, radius * canvas.random(0.4, 0.9), canvas.random(0.1, 0.6))
    return canvas.textured(pick(photos, count))


def skin(count: int, device: torch.device) -> Tensor:
    """Return random skin colours (n, 3) from dark to pale."""
    dark = torch.tensor((0.30, 0.18, 0.12), device=device)
    pale = torch.tensor((0.96, 0.80, 0.70), device=device)
    tone = torch.lerp(dark, pale, torch.rand(count, 1, device=device))
    return (tone * uniform(3 * count, 0.9, 1.1, device).view(count, 3)).clamp(0, 1)


def portraits(photos: Tensor, count: int) -> Tensor:
    """Paint one or two people from head to waist, with seven blobs for each."""
    canvas = Canvas(backgrounds(photos, count))
    device = photos.device
    for absent in (
        torch.rand(count, 1, 1, device=device) < 0.6,
        torch.zeros(count, 1, 1, device=device).bool(),
    ):
        # If there is only one person, place the other one far outside of the image.
        x = canvas.random(-0.6, 0.6) + 10 * absent
        y, width = canvas.random(-0.6, 0.1), canvas.random(0.2, 0.5)
        height = width * canvas.random(1.1, 1.5)
        tone, dim = skin(count, device), uniform(count, 0.2, 0.7, device)[:, None]
        cloth, hair = colors(2 * count, device).view(2, count, 3)
        canvas.blob(x, y + height * 3.4, width * 2.2, height * 2.4, cloth)
        canvas.blob(x, y + height * 1.1, width * 0.5, height * 0.6, tone * 0.9)
        canvas.blob(x, y - height * canvas.random(0.1, 0.4), width * 1.15, height * 1.05, hair * 0.5)
        canvas.blob(x, y, width, height, tone)
        eye = canvas.random(0.1, 0.2)
        for side in (-0.4, 0.4):
            canvas.blob(
                x + side * width, y - height * 0.15, width * eye, height * eye * 0.7, tone * dim * 0.5
            )
        mouth = torch.stack((tone[:, 0], tone[:, 1] * 0.6, tone[:, 2] * 0.6), dim=1)
        canvas.blob(x, y + height * 0.5, width * 0.35, height * canvas.random(0.05, 0.15), mouth * dim)
    return canvas.textured(pick(photos, count))


def scenes(photos: Tensor, count: int) -> Tensor:
    """Return backgrounds without objects."""
    return backgrounds(photos, count)


RECIPES = (
    (shuffled_patches, 0.2), (portraits, 0.25), (still_lifes, 0.25),
    (scenes, 0.1), (magnified, 0.1), (averages, 0.05), (scrambled_phases, 0.05),
)  # fmt: skip


def make_outliers(photos: Tensor, count: int) -> Tensor:
    """Return about `count` uint8 images (n, 3, size, size) of none of the classes, from uint8 photos of that size."""
    parts = [recipe(photos, int(count * share)) for recipe, share in RECIPES]
    return (torch.cat(parts) * 255).round().to(torch.uint8)
