"""Each version of Landlock is asked for what it knows, as recorded from the system calls."""

import ctypes
import os
import struct
from pathlib import Path

import pytest

from spatial_agent.sandbox.kernel import landlock, syscalls

#: ABI -> bytes of the ruleset's attributes, rights on files, on TCP, scopes; from the kernel's documentation.
RULESETS = {
    1: (8, 0x1FFF, 0, 0),
    2: (8, 0x3FFF, 0, 0),
    3: (8, 0x7FFF, 0, 0),
    4: (16, 0x7FFF, 3, 0),
    5: (16, 0xFFFF, 3, 0),
    6: (24, 0xFFFF, 3, 3),
    7: (24, 0xFFFF, 3, 3),
    20: (24, 0xFFFF, 3, 3),
}


@pytest.mark.parametrize("version", RULESETS)
def test_an_older_kernel_is_asked_for_what_it_knows(
    version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, rules = list[tuple[int, ...]](), list[int]()

    def kernel(name: str, *arguments: int) -> int:
        if name == "landlock_create_ruleset" and arguments[2] == 1:
            return version
        if name == "landlock_create_ruleset":
            attributes = ctypes.string_at(arguments[0], arguments[1]).ljust(24, b"\0")
            asked.append((arguments[1], *struct.unpack("QQQ", attributes)))
            return os.open("/dev/null", os.O_RDONLY)
        if name == "landlock_add_rule":
            rules.append(struct.unpack("<Q", ctypes.string_at(arguments[2], 8))[0])
        return 0

    monkeypatch.setattr(syscalls, "call", kernel)
    (tmp_path / "file").touch()
    landlock.restrict(readable=[tmp_path, tmp_path / "file"], writable=[tmp_path, tmp_path / "file"])
    # To read: execute, read files, read folders; to write: all but execute and making devices.
    assert asked == [RULESETS[version]]
    known = RULESETS[version][1]
    assert rules == [0b1101, 0b0101, known & 0xF7BE, known & 0xC006]
