"""Run the steps of a release that need no account, so that they can be tried on any machine.

    python .ci/release.py check TAG            check that the tag, CMake, CITATION.cff and CHANGELOG.md have one version
    python .ci/release.py links URL            let README.md and pyproject.toml of this tree link to the repository, URL
    python .ci/release.py notes VERSION URL    print the notes: the version's section of CHANGELOG.md, with links to URL
    python .ci/release.py sbom FILE [WHEEL...] write a bill of materials (CycloneDX 1.6, JSON)

If a step fails, it prints the reason and ends with 1.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MODELS = Path("python", "mpscnn", "models", "data")
#: Packages whose code the binaries contain: pybind11 is a library of headers.
COMPILED_IN = ("pybind11",)


def project_version() -> str:
    """Return the version in CMakeLists.txt, which is the version of all packages."""
    found = re.search(r"project\(mpscnn VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text("utf-8"))
    if found is None:
        raise SystemExit("CMakeLists.txt states no version")
    return found[1]


def check(tag: str) -> None:
    """Exit with the reason if a tag cannot be released."""
    version = project_version()
    if tag != f"v{version}":
        raise SystemExit(f"the tag is {tag}, but CMakeLists.txt has the version {version}")
    cited = re.search(r"^version: *(\S+)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.MULTILINE)
    if cited is None or cited[1] != version:
        raise SystemExit(f"CITATION.cff has the version {cited and cited[1]}, not {version}")
    heading, _ = _section(version)
    if not re.search(r", \d{4}-\d{2}-\d{2}$", heading):
        raise SystemExit(
            f"CHANGELOG.md has {heading!r}: write the day of the release, as in '{version}, 2026-12-24'"
        )


def links(address: str) -> None:
    """Let README.md and pyproject.toml link to the repository at `address`, for the package's page in a registry.

    That page shows README.md, but has none of the files next to it, and no names for the headings.
    """
    version = project_version()
    readme, settings = ROOT / "README.md", ROOT / "pyproject.toml"
    readme.write_text(_absolute_links(readme.read_text("utf-8"), address, version, "README.md"), "utf-8")
    files = f"{address}/blob/v{version}"
    pages = {
        "Source": address,
        "Documentation": f"{files}/docs/README.md",
        "Changelog": f"{files}/CHANGELOG.md",
        "Issues": f"{address}/issues",
    }
    table = "".join(f'{name} = "{page}"\n' for name, page in pages.items())
    before, heading, after = settings.read_text("utf-8").partition("[project.optional-dependencies]\n")
    if not heading or "[project.urls]" in before + after:
        raise SystemExit("pyproject.toml has addresses already, or no optional dependencies before them")
    settings.write_text(f"{before}[project.urls]\n{table}\n{heading}{after}", "utf-8")


def notes(version: str, address: str) -> str:
    """Return the text of a version in CHANGELOG.md as the notes of a release.

    Links lead to the files of the tag in the repository at `address`. A line is a paragraph there, so lines are joined.
    """
    _, text = _section(version)
    return _absolute_links(re.sub(r"\n +(?=\S)", " ", text), address, version, "CHANGELOG.md")


def _absolute_links(text: str, address: str, version: str, file: str) -> str:
    """Return the text of `file` with links to files of the version's tag in the repository at `address`."""

    def absolute(found: re.Match[str]) -> str:
        image, words, target = found.groups()
        kind = "raw" if image else "blob"
        return f"{image}[{words}]({address}/{kind}/v{version}/{file if target[0] == '#' else ''}{target})"

    return re.sub(r"(!?)\[([^\]]*)\]\((?!\w+:)([^)\s]+)\)", absolute, text)


def _section(version: str) -> tuple[str, str]:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    found = re.search(
        rf"^## ({re.escape(version)}(?![\w.])[^\n]*)\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL
    )
    if found is None:
        raise SystemExit(f"CHANGELOG.md has no section for {version}")
    if not found[2].strip():
        raise SystemExit(f"CHANGELOG.md says nothing about {version}")
    return found[1], found[2].strip() + "\n"


def bill_of_materials(files: list[Path]) -> dict[str, Any]:
    """Return the bill of materials of these files: what they need, what is compiled in, and the bundled models."""
    # Python 3.10 lacks tomllib; pytest brings tomli there.
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    settings: dict[str, Any] = toml.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    project = settings["project"]
    version = project_version()
    own = f"pkg:pypi/mpscnn@{version}"
    components = [
        *_packages(project["dependencies"], "required"),
        *_packages(settings["build-system"]["requires"], "required", only=COMPILED_IN),
        *(
            component
            for extra in ("cli", "convert", "serve", "video", "evaluate")
            for component in _packages(project["optional-dependencies"][extra], "optional", extra=extra)
        ),
        *_models(),
    ]
    components = list({component["bom-ref"]: component for component in reversed(components)}.values())[::-1]
    needed = [component["bom-ref"] for component in components if component["scope"] == "required"]
    content = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": own,
                "name": "mpscnn",
                "version": version,
                "description": project["description"],
                "licenses": [{"license": {"id": project["license"]}}],
                "purl": own,
                "components": [_file(path) for path in sorted(files)],
            }
        },
        "components": components,
        "dependencies": [
            {"ref": own, "dependsOn": needed},
            *({"ref": component["bom-ref"]} for component in components),
        ],
    }
    digest = json.dumps(content, sort_keys=True)
    return {"serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest)}", **content}


def _packages(
    requirements: list[str], scope: str, extra: str = "", only: tuple[str, ...] = ()
) -> Iterator[dict[str, Any]]:
    for requirement in requirements:
        found = re.match(r"[\w.-]+", requirement)
        assert found
        name = re.sub(r"[-_.]+", "-", found[0]).lower()
        if only and name not in only:
            continue
        properties = [{"name": "mpscnn:requirement", "value": requirement}]
        if extra:
            properties.append({"name": "mpscnn:extra", "value": extra})
        purl = f"pkg:pypi/{name}"
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "purl": purl,
            "scope": scope,
            "properties": properties,
        }


def _models() -> Iterator[dict[str, Any]]:
    for path in sorted((ROOT / MODELS).glob("*.safetensors")):
        yield {
            "type": "machine-learning-model",
            "bom-ref": f"model:{path.stem}",
            "name": path.stem,
            "scope": "required",
            "hashes": [_sha256(path)],
            "licenses": [{"license": {"id": "Apache-2.0"}}],
        }


def _file(path: Path) -> dict[str, Any]:
    return {"type": "file", "bom-ref": f"file:{path.name}", "name": path.name, "hashes": [_sha256(path)]}


def _sha256(path: Path) -> dict[str, str]:
    return {"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}


def main(arguments: list[str]) -> None:
    """Run one step."""
    match arguments:
        case ["check", tag]:
            check(tag)
        case ["links", address]:
            links(address)
        case ["notes", version, address]:
            print(notes(version, address), end="")
        case ["sbom", target, *files]:
            bill = bill_of_materials([Path(file) for file in files])
            Path(target).write_text(json.dumps(bill, indent=2) + "\n", "utf-8")
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
