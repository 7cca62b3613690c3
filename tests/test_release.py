"""Test the steps of a release that need no account: versions, notes, bill of materials, workflow, recipe.

The packages are built by `nox -s release`.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[1]
SCRIPT = PROJECT / ".ci" / "release.py"
FILES = ("CMakeLists.txt", "CITATION.cff", "CHANGELOG.md", "README.md", "pyproject.toml")
ADDRESS = "https://example.org/us/mpscnn"


@pytest.fixture
def release(tmp_path: Path) -> dict[str, Any]:
    """Return the functions of .ci/release.py for a copy of the files that it reads. Their changelog has a release."""
    functions = runpy.run_path(str(SCRIPT))
    for name in FILES:
        (tmp_path / name).write_text((PROJECT / name).read_text("utf-8"))
    changelog = tmp_path / "CHANGELOG.md"
    changelog.write_text(
        re.sub(r"^(## [\d.]+), unreleased$", r"\1, 2026-12-24", changelog.read_text(), flags=re.M)
    )
    functions["main"].__globals__["ROOT"] = tmp_path
    return functions


def version() -> str:
    found = re.search(r"project\(mpscnn VERSION ([\d.]+)", (PROJECT / "CMakeLists.txt").read_text())
    assert found
    return found[1]


def test_a_tag_of_the_version_can_be_released(release: dict[str, Any]) -> None:
    release["main"](["check", f"v{version()}"])


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("CMakeLists.txt", version(), "9.8.7", "the tag is v.*CMakeLists.txt has the version 9.8.7"),
        ("CITATION.cff", f"version: {version()}", "version: 9.8.7", "CITATION.cff has the version 9.8.7"),
        ("CHANGELOG.md", ", 2026-12-24", ", unreleased", "unreleased.*write the day of the release"),
        ("CHANGELOG.md", f"## {version()}", "## 9.8.7", "has no section for"),
    ],
)
def test_a_tag_is_refused_where_files_do_not_agree(
    release: dict[str, Any], tmp_path: Path, file: str, old: str, new: str, message: str
) -> None:
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new))
    with pytest.raises(SystemExit, match=message):
        release["main"](["check", f"v{version()}"])


def test_files_of_the_project_have_one_version() -> None:
    assert f"\nversion: {version()}\n" in (PROJECT / "CITATION.cff").read_text()
    assert f"\n## {version()}" in (PROJECT / "CHANGELOG.md").read_text()


def test_the_registry_page_links_to_files_of_the_tag(release: dict[str, Any], tmp_path: Path) -> None:
    release["main"](["links", ADDRESS])
    written, page = (PROJECT / "README.md").read_text("utf-8"), (tmp_path / "README.md").read_text("utf-8")
    block = re.compile(r"^```.*?^```$", re.M | re.S)
    assert block.findall(page) == block.findall(written)
    link = re.compile(r"(!?)\[[^\]]*\]\(([^)]+)\)")
    assert len(link.findall(page)) == len(link.findall(written))
    for image, target in link.findall(page):
        kind = "raw" if image else "blob"
        prefix = f"{ADDRESS}/{kind}/v{version()}/"
        assert target.startswith(prefix), target
        assert (PROJECT / target.removeprefix(prefix).partition("#")[0]).exists(), target
    assert f"]({ADDRESS}/blob/v{version()}/README.md#speed)" in page

    # Python 3.10 lacks tomllib, but pytest installs tomli there.
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    before, after = (
        toml.loads((folder / "pyproject.toml").read_text("utf-8")) for folder in (PROJECT, tmp_path)
    )
    addresses = after["project"].pop("urls")
    assert after == before
    assert addresses["Source"] == ADDRESS
    assert all(address.startswith(ADDRESS) for address in addresses.values())
    with pytest.raises(SystemExit, match=r"pyproject\.toml has addresses already"):
        release["main"](["links", ADDRESS])


def test_notes_are_the_section_of_the_version(release: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## 0.2.0, 2027-01-02\nNew.\n\n"
        "## 0.1.0, 2026-12-24\n### Engines\n"
        "- A line that\n  goes on ([page](docs/page.md), [site](https://a.b)).\n- Next.\n\n"
        "## 0.0.9, 2026-01-01\nOld.\n"
    )
    assert release["notes"]("0.1.0", ADDRESS) == (
        "### Engines\n- A line that goes on "
        f"([page]({ADDRESS}/blob/v0.1.0/docs/page.md), [site](https://a.b)).\n- Next.\n"
    )
    for wrong, message in (("0.3.0", "no section for 0.3.0"), ("0.1", "no section for 0.1")):
        with pytest.raises(SystemExit, match=message):
            release["notes"](wrong, ADDRESS)


def test_the_command_prints_the_notes_of_this_version() -> None:
    command = [sys.executable, str(SCRIPT), "notes", version(), ADDRESS]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "### Engines\n" in printed
    assert "\n## " not in printed
    assert "](docs/" not in printed


def test_the_bill_of_materials_names_what_is_needed_and_bundled(tmp_path: Path) -> None:
    wheel = tmp_path / "mpscnn.whl"
    wheel.write_bytes(b"wheel")
    bills = []
    for name in ("first.json", "second.json"):
        subprocess.run([sys.executable, str(SCRIPT), "sbom", str(tmp_path / name), str(wheel)], check=True)
        bills.append((tmp_path / name).read_text())
    assert bills[0] == bills[1]
    bill = json.loads(bills[0])
    own = bill["metadata"]["component"]
    assert (own["name"], own["version"]) == ("mpscnn", version())
    (file,) = own["components"]
    assert file["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(b"wheel").hexdigest()}]
    scopes = {component["name"]: component["scope"] for component in bill["components"]}
    assert scopes["numpy"] == scopes["pillow"] == scopes["pybind11"] == "required"
    assert scopes["fastapi"] == "optional"
    assert "scikit-build-core" not in scopes
    models = {path.stem: path for path in (PROJECT / "python/mpscnn/models/data").glob("*.safetensors")}
    listed = {
        component["name"]: component["hashes"][0]["content"]
        for component in bill["components"]
        if component["type"] == "machine-learning-model"
    }
    assert listed == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in models.items()}
    references = [component["bom-ref"] for component in bill["components"]]
    assert len(references) == len(set(references))
    assert {one["ref"] for one in bill["dependencies"]} == {own["bom-ref"], *references}


def test_the_workflow_publishes_only_tags_and_without_a_password() -> None:
    text = (PROJECT / ".github" / "workflows" / "release.yml").read_text()
    assert "secrets." not in text
    jobs = dict(re.findall(r"^  (\w[\w-]*):\n(.*?)(?=^  \w|\Z)", text.partition("\njobs:\n")[2], re.M | re.S))
    others = {"other-tests-on-macs"}
    wheels = {"macos", "newest-macos", "linux", "linux-tests"}
    assert set(jobs) - others == wheels | {"tag", "source", "attest", "publish", "release"}
    assert "needs: [tag, newest-macos, linux-tests, source]" in jobs["attest"]
    assert "if: startsWith(github.ref, 'refs/tags/v')" in jobs["publish"]
    assert "needs: publish" in jobs["release"]
    assert [name for name, job in jobs.items() if "id-token: write" in job] == ["attest", "publish"]
    assert [name for name, job in jobs.items() if "contents: write" in job] == ["release"]
    assert all("timeout-minutes" in job for job in jobs.values())
    # Tests that may fail stop no job, and their logs are no files of the release.
    assert not [name for name, job in jobs.items() if re.search(rf"needs: .*({'|'.join(others)})", job)]
    for job in ("attest", "publish", "release"):
        assert '        with:\n          pattern: "{wheels-*,source' in jobs[job]
    builds = {"macos": "python -m cibuildwheel", "linux": "nox -s wheels", "source": "nox -s release"}
    for job, build in builds.items():
        assert 0 < jobs[job].find(".ci/release.py links") < jobs[job].find(build)


def test_wheels_for_macs_are_tested_by_what_each_user_needs() -> None:
    text = (PROJECT / "pyproject.toml").read_text("utf-8")
    commands = re.search(r"^\[tool\.cibuildwheel\]\n.*?^test-command = \[\n(.*?)^\]", text, re.M | re.S)
    assert commands
    for part in ("import mpscnn", "mpscnn classify", "mpscnn verify", "tests/operations/test_convolution.py"):
        assert part in commands[1]


@pytest.mark.parametrize(("major", "newest"), [("16", "16.4"), ("26", "26.10"), ("27", None)])
def test_workflows_for_macs_take_the_newest_xcode_that_is_there(
    major: str, newest: str | None, tmp_path: Path
) -> None:
    """A folder without `Contents/Developer` is no installation, and version 260 is not a version 26."""
    for version in ("16.4", "26.2", "26.10", "260"):
        (tmp_path / f"Xcode_{version}.app" / "Contents" / "Developer").mkdir(parents=True)
    (tmp_path / "Xcode_26.11.app").mkdir()
    command = [PROJECT / ".ci" / "newest_xcode.sh", major]
    ran = subprocess.run(
        command,
        env={**os.environ, "APPLICATIONS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    if newest is None:
        assert ran.returncode == 1
        assert f"{tmp_path} has no Xcode 27. It has: Xcode_16.4.app" in ran.stderr
    else:
        assert ran.stdout == f"DEVELOPER_DIR={tmp_path}/Xcode_{newest}.app/Contents/Developer\n"


@pytest.mark.parametrize("name", ["checks", "macs"])
def test_steps_that_use_a_gpu_have_a_limit(name: str) -> None:
    """A GPU of a hosted machine may hang. Then the job would end without its reports."""
    text = (PROJECT / ".github" / "workflows" / f"{name}.yml").read_text()
    steps = re.split(r"^      - ", text, flags=re.M)[1:]
    with_gpu = [
        step for step in steps if re.search("--device[= ]metal|mpscnn.devices|tests/metal -m gpu", step)
    ]
    assert with_gpu
    assert not [step for step in with_gpu if "timeout-minutes: " not in step]
    assert "GITHUB_STEP_SUMMARY" in text


def test_what_gpus_of_hosted_machines_compute_fails_no_job() -> None:
    """They compute garbage for other projects, too. Only a Mac of this project must be right."""
    text = (PROJECT / ".github" / "workflows" / "checks.yml").read_text()
    steps = re.split(r"^      - ", text[text.index("\n  macos:") :], flags=re.M)[1:]
    with_gpu = [
        step for step in steps if re.search(r"--device[= ]metal|pytest(?! --ignore=tests/metal$)", step, re.M)
    ]
    assert len(with_gpu) == 4
    assert not [step for step in with_gpu if "continue-on-error: true" not in step]


@pytest.mark.parametrize("name", ["checks", "macs"])
def test_jobs_on_macs_end_after_their_steps(name: str) -> None:
    """A job that reaches its own limit first uploads no reports."""
    text = (PROJECT / ".github" / "workflows" / f"{name}.yml").read_text()
    jobs = [job for job in re.split(r"^  (?=\w+:$)", text, flags=re.M) if "mpscnn verify" in job]
    assert jobs
    for job in jobs:
        head, *steps = re.split(r"^      - ", job, flags=re.M)
        (whole,) = re.findall(r"^    timeout-minutes: (\d+)", head, re.M)
        limits = [
            int(limit)
            for step in steps
            for limit in re.findall(r"^        timeout-minutes: (\d+)", step, re.M)
        ]
        assert sum(limits) + 5 <= int(whole), "five minutes are for steps without a limit"
        loading = [step for step in steps if re.search("brew|pip |-downloadComponent", step)]
        assert not [step for step in loading if "timeout-minutes: " not in step]


def test_a_verification_of_a_mac_says_that_it_has_started() -> None:
    """A step that reaches its limit writes nothing more. The CPU engine must be right on every machine."""
    text = (PROJECT / ".github" / "workflows" / "checks.yml").read_text()
    steps = re.split(r"^      - ", text, flags=re.M)[1:]
    (on_gpu,) = (step for step in steps if "verify --device metal" in step)
    assert on_gpu.index(": started.") < on_gpu.index("verify --device metal")
    (on_cpu,) = (step for step in steps if "verify --device cpu" in step)
    assert on_cpu != on_gpu
    assert "continue-on-error" not in on_cpu


def test_workflows_name_scripts_and_sessions_that_exist() -> None:
    sessions = set(
        re.findall(r"^@nox\.session.*?^def (\w+)", (PROJECT / "noxfile.py").read_text(), re.M | re.S)
    )
    for workflow in (PROJECT / ".github" / "workflows").glob("*.yml"):
        text = workflow.read_text()
        assert not [name for name in re.findall(r"\.ci/\w+\.py", text) if not (PROJECT / name).is_file()]
        assert set(re.findall(r"nox -s (\w+)", text)) <= sessions


@pytest.mark.parametrize(
    ("platform", "runs"),
    [
        ("manylinux_2_28_aarch64", True),
        ("manylinux_2_27_aarch64", True),
        ("manylinux_2_17_aarch64.manylinux2014_aarch64", True),
        ("manylinux_2_29_aarch64", False),
        ("manylinux_2_27_x86_64", False),
        ("musllinux_1_2_aarch64", False),
        ("linux_aarch64", False),
    ],
)
def test_a_cross_compiled_wheel_runs_on_its_target_and_newer_systems(platform: str, runs: bool) -> None:
    runs_on = runpy.run_path(str(PROJECT / ".ci" / "cross_wheel.py"))["runs_on"]
    assert runs_on(Path(f"mpscnn-0.1.0-cp311-cp311-{platform}.whl"), "manylinux_2_28_aarch64") is runs
