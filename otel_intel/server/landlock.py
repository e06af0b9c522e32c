"""Confine a process to the files it needs, with Landlock.

Needed because every user of the embedded server can call ``file()``, and no grant forbids it. Linux only, with direct
system calls (https://docs.kernel.org/userspace-api/landlock.html): the binding on PyPI is an alpha without a release
(https://github.com/Edward-Knight/landlock).
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_VERSION: Final = 1
_PATH_BENEATH: Final = 1
_NO_NEW_PRIVS: Final = 38  # https://man7.org/linux/man-pages/man2/PR_SET_NO_NEW_PRIVS.2const.html

# Number of access rights by version of the kernel's interface; a kernel refuses rights that it does not know.
_RIGHTS: Final = {2: 14, 3: 15, 5: 16}
_EXECUTE: Final = 1 << 0
_WRITE_FILE: Final = 1 << 1
_READ_FILE: Final = 1 << 2
_READ_DIR: Final = 1 << 3


def supported() -> bool:
    """Tell whether this system can confine a process: Linux 5.19 or later with Landlock enabled.

    The first version (Linux 5.13) is not enough: it forbids to move any file from one folder to another.
    """
    return _abi() >= min(_RIGHTS)


def confine(read: Iterable[Path], write: Iterable[Path]) -> None:
    """Limit this process for ever to these files and folders and what is below them; skip those that do not exist.

    Applies to the calling thread and the threads that it starts. Nothing may be executed; the network is not limited.

    Args:
        read: Files to read; folders to list, too.
        write: Folders to read and change.

    Raises:
        OSError: The kernel refuses.
    """
    abi = _abi()
    handled = (1 << max(rights for version, rights in _RIGHTS.items() if version <= abi)) - 1
    ruleset = _syscall(_CREATE_RULESET, ctypes.c_char_p(struct.pack("=Q", handled)), ctypes.c_size_t(8), 0)
    rules = [(path, _READ_FILE | _READ_DIR) for path in read] + [(path, handled & ~_EXECUTE) for path in write]
    for path, rights in rules:
        try:
            # Keep it open: the kernel drops an unused file of /proc and later makes a new one, which the rule misses.
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _READ_FILE | _WRITE_FILE
        rule = struct.pack("=Qi", rights, descriptor)
        _syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.c_char_p(rule), 0)
    _checked(ctypes.CDLL(None, use_errno=True).prctl(_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0))))
    _syscall(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _abi() -> int:
    if sys.platform != "linux":
        return 0
    try:
        return _syscall(_CREATE_RULESET, ctypes.c_char_p(None), ctypes.c_size_t(0), _VERSION)
    except OSError:
        return 0


def _syscall(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return _checked(libc.syscall(ctypes.c_long(number), *arguments))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {os.strerror(number)}")
    return result
