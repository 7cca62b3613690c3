"""Render the conda recipe for every platform, without building it. Ends with the error of rattler-build."""

from __future__ import annotations

from pathlib import Path

from rattler_build import PlatformConfig, RenderConfig, Stage0Recipe, VariantConfig

RECIPE = Path(__file__).resolve().parents[1] / "conda" / "recipe.yaml"
PLATFORMS = ("linux-64", "linux-aarch64", "osx-64", "osx-arm64")

VARIANTS = """
python: [3.10.*, 3.14.*]
c_stdlib: [sysroot]
c_stdlib_version: ["2.28"]
"""

variants = VariantConfig.from_yaml(VARIANTS)
for platform in PLATFORMS:
    config = RenderConfig(platform=PlatformConfig(target_platform=platform))
    for variant in Stage0Recipe.from_file(RECIPE).render(variants, config):
        package = variant.recipe.package
        print(f"{platform}: {package.name} {package.version}")
