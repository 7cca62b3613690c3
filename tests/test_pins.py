"""Test that workflows and images use fixed versions of what others publish: by hashes, which nobody can change."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PROJECT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
PINNED = sorted((PROJECT / ".ci" / "requirements").glob("*.txt"))
#: What pip may install in a workflow besides pinned tools: the package itself, with settings of its build or with the
#: packages that its tests need. Wheels lie in the folder wheels.
MACS_WHEEL, LINUX_WHEEL = (
    r"wheels/\*-cp312-cp312-macosx_\*\.whl",
    r'wheels -name "\*manylinux\*_\$\(uname -m\)\.whl"',
)
THE_PACKAGE = re.compile(
    r"-v '\.\[test\]'(?: -C cmake\.define\.\w+=\w+)?"
    rf"|{MACS_WHEEL}"
    rf'|"\$\((?:echo {MACS_WHEEL}|find {LINUX_WHEEL})\)\[cli\]"(?: "(?:pytest|hypothesis)>=[\d.]+")*'
)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_use_actions_and_images_by_hash(workflow: Path) -> None:
    text = workflow.read_text("utf-8")
    used = re.findall(r"\buses: (.*)", text)
    assert used
    for action in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action
    for image in re.findall(r"\b(?:container|image): (.*)", text):
        assert re.match(r"[\w./:-]+@sha256:[0-9a-f]{64}\b", image), image


def test_one_action_has_one_version() -> None:
    used = {line for path in WORKFLOWS for line in re.findall(r"\buses: (.*)", path.read_text("utf-8"))}
    names = [line.partition("@")[0] for line in used]
    assert len(names) == len(set(names)) > 5


def test_images_have_digests() -> None:
    bases = re.findall(r"^FROM (.*)", (PROJECT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert len(bases) == 2
    for base in bases:
        assert re.match(r"[\w./:-]+:3\.\d+-slim@sha256:[0-9a-f]{64}\b", base), base
    assert len({base.partition(" ")[0] for base in bases}) == 1


def test_workflows_install_tools_by_hash() -> None:
    walked = set()
    for path in (*WORKFLOWS, PROJECT / ".ci" / "run", PROJECT / "noxfile.py"):
        text = path.read_text("utf-8")
        for arguments in re.findall(r"\bpip install (?:--quiet )?(.*)", text) if path.suffix != ".py" else ():
            found = re.fullmatch(r"--require-hashes -r (\.ci/requirements/\w+\.txt)", arguments)
            assert found or THE_PACKAGE.fullmatch(arguments), f"{path.name}: pip install {arguments}"
            walked |= {found[1]} if found else set()
        walked |= {f".ci/requirements/{use}.txt" for use in re.findall(r'\bhashed\("(\w+)"\)', text)}
    assert walked == {path.relative_to(PROJECT).as_posix() for path in PINNED}


@pytest.mark.parametrize("file", PINNED, ids=lambda path: path.stem)
def test_pinned_tools_have_versions_and_hashes(file: Path) -> None:
    text = re.sub(r"^#.*\n", "", file.read_text("utf-8"), flags=re.MULTILINE)
    entries = text.replace("\\\n", " ").splitlines()
    versions: dict[str, set[str]] = {}
    for entry in entries:
        requirement, *hashes = entry.split(" --hash=")
        assert hashes, entry
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", value) for value in hashes), entry
        parsed = Requirement(requirement)
        (version,) = parsed.specifier
        assert version.operator == "==", entry
        versions.setdefault(parsed.name, set()).add(version.version)
    block = re.search(
        rf'^    "{file.stem}": \((.*?)\),\n',
        (PROJECT / ".ci" / "session_packages.py").read_text("utf-8"),
        re.M | re.S,
    )
    assert block, f"PINNED of session_packages.py does not have {file.stem}"
    for wanted in map(Requirement, re.findall(r'"([^"]+)"', block[1])):
        found = versions[wanted.name]
        assert all(wanted.specifier.contains(version) for version in found), f"{wanted}: run `nox -s pins`"
