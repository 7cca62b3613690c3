"""Confine this process on Linux: Landlock limits the files that it may read, and seccomp the calls of the system.

Neither needs privileges, and both work in containers. The system calls that are not listed here do not exist for the
process, so that calls of later kernels are refused as well. Without Landlock (before Linux 5.13, or where it is
disabled), a confined process opens no files at all.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import stat
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

#: The numbers of system calls on x86-64 and on arm64. None: the processor has no such call.
_CALLS: dict[str, tuple[int, int | None]] = {
    # memory
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214), "mremap": (25, 216),
    "mincore": (27, 232), "madvise": (28, 233), "get_mempolicy": (239, 236),
    # descriptors that are open; files that are opened for reading, and what is known of them
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67), "close": (3, 57),
    "lseek": (8, 62), "dup": (32, 23), "dup2": (33, None), "pipe": (22, None), "pipe2": (293, 59),
    "eventfd2": (290, 19), "poll": (7, None), "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72),
    "epoll_create1": (291, 20), "epoll_ctl": (233, 21), "epoll_wait": (232, None), "epoll_pwait": (281, 22),
    "fstat": (5, 80), "stat": (4, None), "lstat": (6, None), "newfstatat": (262, 79), "statx": (332, 291),
    "access": (21, None), "faccessat": (269, 48), "faccessat2": (439, 439), "readlink": (89, None),
    "readlinkat": (267, 78), "getdents64": (217, 61), "getcwd": (79, 17), "statfs": (137, 43), "fstatfs": (138, 44),
    # threads, signals within the process, and waiting
    "futex": (202, 98), "set_robust_list": (273, 99), "get_robust_list": (274, 100), "set_tid_address": (218, 96),
    "rseq": (334, 293), "membarrier": (324, 283), "arch_prctl": (158, None), "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123), "sched_getparam": (143, 121), "sched_getscheduler": (145, 120),
    "sched_get_priority_max": (146, 125), "sched_get_priority_min": (147, 126), "getcpu": (309, 168),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "restart_syscall": (219, 128), "nanosleep": (35, 101), "clock_nanosleep": (230, 115), "exit": (60, 93),
    "exit_group": (231, 94), "setitimer": (38, 103),
    # facts
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "gettimeofday": (96, 169), "time": (201, None),
    "times": (100, 153), "getpid": (39, 172), "gettid": (186, 178), "getppid": (110, 173), "getuid": (102, 174),
    "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177), "uname": (63, 160), "sysinfo": (99, 179),
    "getrusage": (98, 165), "getrlimit": (97, 163), "getrandom": (318, 278),
}  # fmt: skip
#: System calls that are allowed with some arguments only.
_CLONE, _OPEN, _OPENAT = (56, 220), (2, None), (257, 56)
_FCNTL, _IOCTL, _PRCTL, _PRLIMIT, _TGKILL = (72, 25), (16, 29), (157, 167), (302, 261), (234, 131)
_THREAD = 0x10000  # CLONE_THREAD
#: The bits of open's flags that write, create or remove: the access mode, O_CREAT, O_TRUNC, O_APPEND and O_TMPFILE.
_WRITING = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC | os.O_APPEND | 0o20000000
#: F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL and F_DUPFD_CLOEXEC. Others send signals to processes.
_DESCRIPTOR_COMMANDS = (0, 1, 2, 3, 4, 1030)
#: TCGETS and FIONREAD, TIOCGWINSZ, FIONCLEX and FIOCLEX.
_DEVICE_COMMANDS = (0x5401, 0x541B, 0x5413, 0x5450, 0x5451)
#: PR_SET_NAME, PR_GET_NAME and PR_SET_VMA, which name threads and memory.
_PROCESS_COMMANDS = (15, 16, 0x53564D41)

# The programs of seccomp: instructions of classic BPF over (number, architecture, instruction pointer, arguments).
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_NO_NEW_PRIVILEGES = 38
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_FILTER, _ALL_THREADS = 1, 1

# Landlock, whose system calls have the same numbers on all processors.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION, _BENEATH = 1, 1
_READ_FILE, _READ_FOLDER, _WRITE_FILE = 1 << 2, 1 << 3, 1 << 1
#: All rights that each version of Landlock knows.
_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}


def unsupported() -> str:
    """Return why this machine cannot confine a process; "" if it can."""
    if platform.machine() not in _ARCHITECTURES or sys.maxsize < 1 << 32:
        return f"processes are confined on x86-64 and arm64 in 64 bits, and this is {platform.machine()}"
    return ""


def allow_reading(places: Iterable[Path]) -> bool:
    """Let this thread, and those that it starts, read files of these files and folders, and no others, and write none.

    Returns False if the kernel has no Landlock. Raises OSError if it has, and refuses.
    """
    call = ctypes.CDLL(None, use_errno=True).syscall
    version = call(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)
    if version < 1:
        return False
    rights = _RIGHTS[max(known for known in _RIGHTS if known <= version)]
    attribute = struct.pack("<Q", rights)
    ruleset = _checked(call(_CREATE_RULESET, attribute, ctypes.c_size_t(len(attribute)), 0))
    for place in places:
        try:
            opened = os.open(place, os.O_PATH | os.O_CLOEXEC)
        except OSError:  # this machine does not have it
            continue
        allowed = _READ_FILE | (_READ_FOLDER if stat.S_ISDIR(os.fstat(opened).st_mode) else 0)
        if str(place) == os.devnull:
            allowed |= _WRITE_FILE
        rule = struct.pack("<Qi", allowed, opened)
        _checked(call(_ADD_RULE, ruleset, _BENEATH, rule, 0))
        os.close(opened)
    _without_new_privileges()
    _checked(call(_RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)
    return True


def seal(*, may_open: bool) -> None:
    """Forbid all threads of this process to do anything but compute, and to read files if `may_open`.

    Raises OSError if the kernel refuses.
    """
    machine = platform.machine()
    program = _program(machine, os.getpid(), may_open=may_open)
    code = ctypes.create_string_buffer(program, len(program))
    pointer = struct.pack("<HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    _without_new_privileges()
    call = ctypes.CDLL(None, use_errno=True).syscall
    if other := _checked(call(_SECCOMP[machine], _SET_FILTER, _ALL_THREADS, pointer)):
        raise OSError(errno.ESRCH, f"thread {other} cannot be confined")


def _checked(result: int) -> int:
    """Return the result of a system call. Raises OSError if it failed."""
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _without_new_privileges() -> None:
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    _checked(prctl(_NO_NEW_PRIVILEGES, *map(ctypes.c_ulong, (1, 0, 0, 0))))


def _program(machine: str, process: int, *, may_open: bool) -> bytes:
    """Return the filter of system calls: 8 bytes an instruction."""
    column, architecture = _ARCHITECTURES[machine]
    made = [
        _instruction(_LOAD, _ARCHITECTURE),
        _instruction(_EQUAL, architecture, 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER),
    ]

    def add(numbers: tuple[int, int | None], body: list[bytes]) -> None:
        if (number := numbers[column]) is not None:
            made.extend([_instruction(_EQUAL, number, 0, len(body)), *body])

    for numbers in _CALLS.values():
        add(numbers, [_instruction(_RETURN, _ALLOW)])
    # A new thread has CLONE_THREAD, a new process has not.
    add(_CLONE, [*_argument(0), _instruction(_ANY_BIT, _THREAD, 0, 1), *_decision(errno.EPERM)])
    for numbers, place in ((_OPEN, 1), (_OPENAT, 2)):
        reading = [*_argument(place), _instruction(_ANY_BIT, _WRITING, 1, 0), *_decision(errno.EACCES)]
        add(numbers, reading if may_open else [_instruction(_RETURN, _REFUSE | errno.EACCES)])
    for numbers, place, allowed in (
        (_FCNTL, 1, _DESCRIPTOR_COMMANDS),
        (_IOCTL, 1, _DEVICE_COMMANDS),
        (_PRCTL, 0, _PROCESS_COMMANDS),
        (_TGKILL, 0, (process,)),
    ):
        add(numbers, [*_argument(place), *_one_of(allowed)])
    # The pointer to new limits must be null.
    halves = [
        *_argument(2),
        _instruction(_EQUAL, 0, 0, 3),
        _instruction(_LOAD, _ARGUMENTS + 8 * 2 + 4),
        _instruction(_EQUAL, 0, 0, 1),
    ]
    add(_PRLIMIT, [*halves, *_decision(errno.EPERM)])
    made.append(_instruction(_RETURN, _REFUSE | errno.ENOSYS))
    return b"".join(made)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)


def _argument(place: int) -> list[bytes]:
    """Load the lower half of an argument."""
    return [_instruction(_LOAD, _ARGUMENTS + 8 * place)]


def _decision(number: int) -> list[bytes]:
    """Return an allowance, and after it a refusal with this error."""
    return [_instruction(_RETURN, _ALLOW), _instruction(_RETURN, _REFUSE | number)]


def _one_of(allowed: tuple[int, ...]) -> list[bytes]:
    """Allow the loaded value if it is one of these."""
    tests = [_instruction(_EQUAL, value, len(allowed) - place, 0) for place, value in enumerate(allowed)]
    return [*tests, _instruction(_RETURN, _REFUSE | errno.EPERM), _instruction(_RETURN, _ALLOW)]
