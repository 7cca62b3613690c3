"""Run pytest as on other machines and by other users.

    python .ci/environments.py [NAME...] -- pytest [ARGUMENT...]

NAME is one of `ENVIRONMENTS`; without names, the command runs in all of them, one after the other. At the end the
script prints what happened in each. If this machine cannot provide an environment, it prints the reason, which is no
failure.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The instruction sets whose kernels run all tests.
SETS = ("baseline", "avx2", "avx512", "neon")
#: A mount namespace, in which this process may mount and its child processes see the result.
MOUNTS = ("unshare", "--mount")
#: Programs that tests start where they are installed.
PROGRAMS = (
    *("c++", "g++", "gcc", "cc", "clang", "clang++", "cmake", "ninja", "make"),
    *("chromium", "chromium-browser", "google-chrome", "chromedriver"),
    *("nginx", "openssl", "curl", "rustc", "pkg-config"),
)


class NotPossible(Exception):
    """This machine cannot provide an environment; the message says why."""


class Run:
    """A command, and what its environment changes.

    Attributes:
        command: the command with its arguments. Environments put other programs before it.
        folder: a new folder, which is removed after the command.
        variables: the environment variables of the command.
        place: the directory in which the command runs.
        before: a function that the process of the command calls first.
    """

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self.command = list(command)
        self.folder = folder
        self.variables = dict(os.environ)
        self.place = ROOT
        self.before: Callable[[], object] = lambda: None

    def within(self, *program: str) -> None:
        """Run the command as arguments of a program, which must be able to run `true`."""
        tried = subprocess.run([*program, "true"], capture_output=True, text=True, check=False)
        if tried.returncode != 0:
            raise NotPossible(f"{' '.join(program)} fails: {tried.stderr.strip()}")
        self.command = [*program, *self.command]

    def first(self, script: str, *program: str) -> None:
        """Run a script of the shell before the command, as arguments of a program."""
        self.within(*program, "sh", "-ec", f'{script}\nexec "$@"', "sh")


def copy_of_sources(to: Path) -> Path:
    """Copy the files that git tracks, and those that it does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    return to


def another_user(run: Run) -> None:
    """A user who is not root, owns the checkout, and whose files nobody else may read."""
    run.before = lambda: os.umask(0o077)
    if os.geteuid() != 0:
        return
    home = run.folder / "home"
    home.mkdir()
    run.place = copy_of_sources(run.folder / "checkout")
    run.variables |= {"HOME": str(home), "TMPDIR": str(home), "USER": "nobody", "LOGNAME": "nobody"}
    run.folder.chmod(0o755)
    for path in (run.folder, *run.folder.rglob("*")):
        shutil.chown(path, "nobody", -1)
    user = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--inh-caps=-all")
    # Where the user may not enter the interpreter's folder, another Python may run under its name.
    asked = [*user, sys.executable, "-c", "import sys; print(sys.version)"]
    found = subprocess.run(asked, capture_output=True, text=True, check=False)
    if found.stdout.rstrip("\n") != sys.version:
        raise NotPossible(f"the user nobody may not run {Path(sys.executable).resolve()}")
    run.within(*user)


def odd_paths(run: Run) -> None:
    """Spaces and letters beyond ASCII in the paths of the checkout and of temporary files."""
    temporary = run.folder / "für den Übergang 写真"
    temporary.mkdir()
    run.place = copy_of_sources(run.folder / "mes projets d'été ∂" / "mpscnn")
    run.variables |= {"TMPDIR": str(temporary)}


def german(run: Run) -> None:
    """The language of Germany, and a time zone that once left out a day."""
    made = run.folder / "de_DE.UTF-8"
    command = ["localedef", "-i", "de_DE", "-f", "UTF-8", str(made)]
    if shutil.which("localedef") is None or subprocess.run(command, check=False).returncode != 0:
        raise NotPossible("localedef cannot make the locale de_DE.UTF-8: install the package locales")
    run.variables |= {"LOCPATH": str(run.folder), "LANG": "de_DE.UTF-8", "TZ": "Pacific/Apia"}
    run.variables = {name: value for name, value in run.variables.items() if not name.startswith("LC_")}


def small_limits(run: Run) -> None:
    """The limits of macOS: 256 open files, and 512 kB for the stack of a thread."""

    def limit() -> None:
        for kind, wanted in ((resource.RLIMIT_NOFILE, 256), (resource.RLIMIT_STACK, 512 << 10)):
            resource.setrlimit(kind, (wanted, resource.getrlimit(kind)[1]))

    run.before = limit


def one_processor(run: Run) -> None:
    """One processor."""
    run.within("taskset", "--cpu-list", str(min(os.sched_getaffinity(0))))


def many_processors(run: Run) -> None:
    """The system says that it has 64 processors."""
    library = run.folder / "announced_processors.so"
    source = ROOT / ".ci" / "announced_processors.c"
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NotPossible("no C compiler is installed")
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", str(source), "-o", str(library), "-ldl"], check=True)
    run.variables |= {"LD_PRELOAD": str(library), "MPSCNN_ANNOUNCED": "64"}


def no_ipv6(run: Run) -> None:
    """A network with 127.0.0.1 alone."""
    user = () if os.geteuid() == 0 else ("--map-root-user",)
    script = "ip link set lo up\necho 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6"
    run.first(f'export PATH="$PATH:/usr/sbin"\n{script}', "unshare", *user, "--net")


def read_only_home(run: Run) -> None:
    """A home in which nothing can be written."""
    home = run.folder / "home"
    home.mkdir(mode=0o500)
    run.variables = {
        name: value for name, value in run.variables.items() if name not in ("XDG_CACHE_HOME", "MPSCNN_CACHE")
    } | {"HOME": str(home)}
    if os.geteuid() == 0:  # root may write where permissions forbid it
        run.first(f"mount --bind -o ro {home} {home}\nmount -o remount,bind,ro {home}", *MOUNTS)


def few_programs(run: Run) -> None:
    """No browser, compiler, proxy and other programs that tests start where they are installed."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/bin"])
    found = {Path(place).resolve() for name in PROGRAMS if (place := shutil.which(name, path=path))}
    nothing = run.folder / "nothing"
    nothing.touch(mode=0o444)
    user = () if os.geteuid() == 0 else ("--map-root-user",)
    hidden = "\n".join(f"mount --bind {nothing} {place}" for place in sorted(found))
    run.first(hidden or ":", MOUNTS[0], *user, *MOUNTS[1:])


def like_a_mac(run: Run) -> None:
    """No /proc, as on macOS."""
    user = () if os.geteuid() == 0 else ("--map-root-user",)
    run.first("mount -t tmpfs none /proc", MOUNTS[0], *user, *MOUNTS[1:])


def random_hashes(run: Run) -> None:
    """Another order of sets in each run."""
    seed = str(random.SystemRandom().randrange(1, 2**32))
    print(f"PYTHONHASHSEED={seed}", flush=True)
    run.variables["PYTHONHASHSEED"] = seed


def shuffled(run: Run) -> None:
    """Tests in random order."""
    run.command.append(f"--shuffle={random.SystemRandom().randrange(1, 2**32)}")


def alone(run: Run) -> None:
    """Each file of tests in a process of its own."""
    run.command = [sys.executable, str(ROOT / ".ci" / "each_file_alone.py"), *run.command[1:]]


def one_set(name: str, run: Run) -> None:
    """The kernels of one instruction set."""
    run.variables["MPSCNN_CPU"] = name
    program = "import mpscnn; print(mpscnn.build_config()['instruction_set'])"
    command = [sys.executable, "-c", program]
    asked = subprocess.run(command, capture_output=True, text=True, check=False, env=run.variables)
    if asked.stdout.strip() != name:
        raise NotPossible(f"the package has no kernels for {name} that run here")


FUNCTIONS: tuple[Callable[[Run], None], ...] = (
    another_user,
    odd_paths,
    german,
    small_limits,
    one_processor,
    many_processors,
    no_ipv6,
    read_only_home,
    few_programs,
    like_a_mac,
    random_hashes,
    shuffled,
    alone,
)
ENVIRONMENTS: dict[str, Callable[[Run], None]] = {
    **{function.__name__: function for function in FUNCTIONS},
    **{name: partial(one_set, name) for name in SETS},
}


def result_in(name: str, command: Sequence[str]) -> str:
    """Run the command in an environment, and return "passed", or a sentence that says why it did not pass."""
    with tempfile.TemporaryDirectory(prefix="mpscnn-") as folder:
        run = Run(command, Path(folder).resolve())
        try:
            ENVIRONMENTS[name](run)
        except NotPossible as reason:
            return f"not possible on this machine: {reason}"
        ended = subprocess.run(
            run.command, cwd=run.place, env=run.variables, preexec_fn=run.before, check=False
        )
    return "passed" if ended.returncode == 0 else f"FAILED with exit code {ended.returncode}"


def main() -> int:
    """Run the command in the environments, and return 1 if it failed in one of them."""
    if "--" not in sys.argv:
        sys.exit(__doc__)
    place = sys.argv.index("--")
    names, command = sys.argv[1:place] or list(ENVIRONMENTS), sys.argv[place + 1 :]
    if unknown := [name for name in names if name not in ENVIRONMENTS]:
        sys.exit(f"there are no environments {unknown}; known: {', '.join(ENVIRONMENTS)}")
    results = {}
    for name in names:
        print(f"\n==== environment {name}", flush=True)
        results[name] = result_in(name, command)
        print(f"{name}: {results[name]}", flush=True)
    print("\n==== all environments")
    print(*(f"{name}: {result}" for name, result in results.items()), sep="\n", flush=True)
    return int(any(result.startswith("FAILED") for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
