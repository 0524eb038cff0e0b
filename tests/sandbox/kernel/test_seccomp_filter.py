"""The filters' instructions, run by an interpreter of our own, decide as a plainly written table says.

The numbers of the calls are read from the kernel's headers, so that a wrong one in the library is found.
"""

import random
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import pytest

from spatial_agent.sandbox.kernel import seccomp, syscalls
from spatial_agent.sandbox.kernel.syscalls import Architecture

ALLOW, KILL = 0x7FFF0000, 0x80000000
EPERM, ENOSYS = 0x00050000 | 1, 0x00050000 | 38
READ_FD, WRITE_FD = 3, 4
DIRTY = 0xDEAD_BEEF << 32

INCLUDE = Path("/usr/include")
HEADERS = {
    "x86_64": (INCLUDE / "x86_64-linux-gnu/asm/unistd_64.h", INCLUDE / "asm/unistd_64.h"),
    "aarch64": (INCLUDE / "asm-generic/unistd.h",),
}
AUDIT_ARCHITECTURES = {"i386": 0x40000003, "x86_64": 0xC000003E, "arm": 0x40000028, "aarch64": 0xC00000B7}
ARCHITECTURES = {"x86_64": syscalls.X86_64, "aarch64": syscalls.AARCH64}

#: All a program may call without conditions.
FREE = set(
    re.findall(
        r"\w+",
        """
        munmap mremap brk sched_yield nanosleep gettimeofday time getrandom getpid gettid rt_sigreturn
        restart_syscall exit exit_group
        """,
    )
)
Arguments = list[tuple[int, ...]]
#: Clocks of the machine and of oneself; not alarms, devices and other processes.
CLOCKS: tuple[Arguments, Arguments] = (
    [(0,), (1,), (2,), (3,), (7,), (11,), (DIRTY | 1,)],
    [(8,), (9,), (10,), (12,), (-6,), (0xFFFFFFF3,)],
)
#: What is decided by arguments -> arguments that pass, and arguments that do not.
PROGRAM: dict[str, tuple[Arguments, Arguments]] = {
    "read": ([(3,), (DIRTY | 3,)], [(0,), (4,), (3 << 32,), (0xFFFFFFFF,), (0x103,)]),
    "write": ([(4,), (DIRTY | 4,)], [(1,), (2,), (3,), (4 << 32,), (DIRTY,)]),
    "mmap": (
        [
            (0, 9, 3, 0x22),
            (0, 9, 0, 0x22),
            (0, 9, 3, 0x4022),
            (0, 9, 3, 0x32),
            (0, 9, DIRTY | 3, DIRTY | 0x22),
        ],
        [
            *[(0, 9, 7, 0x22), (0, 9, 4, 0x22), (0, 9, DIRTY | 5, 0x22)],  # executable
            *[(0, 9, 3, 0x02), (0, 9, 1, 0x01), (0, 9, 1, 0x12), (0, 9, 3, 0x22 << 32)],  # of a file
            *[(0, 9, 3, 0x21), (0, 9, 3, 0x23), (0, 9, 3, 0x28)],  # shared, checked shared, droppable
            *[(0, 9, 3, 0x40022), (0, 9, 3, DIRTY | 0x54040022)],  # huge pages
        ],
    ),
    "mprotect": ([(0, 9, 3), (0, 9, 0), (0, 9, DIRTY | 1)], [(0, 9, 4), (0, 9, 7), (0, 9, DIRTY | 5)]),
    "madvise": ([(0, 9, 4), (0, 9, 8), (0, 9, 14)], [(0, 9, 0), (0, 9, 12), (0, 9, 100), (0, 9, 101)]),
    "futex": (
        [(0, 0), (0, 1), (0, 128), (0, 129), (0, 137), (0, 393), (0, 138), (0, DIRTY | 129)],
        [(0, 3), (0, 4), (0, 5), (0, 6), (0, 7), (0, 8), (0, 134), (0, 139), (0, 140), (0, 13), (0, 512)],
    ),
    "clock_gettime": CLOCKS,
    "clock_getres": CLOCKS,
    "clock_nanosleep": CLOCKS,
}
EXPERT: dict[str, tuple[Arguments, Arguments]] = {
    # What fork, vfork and pthread_create of C libraries pass; then every kind of namespace.
    "clone": (
        [(0x01200011,), (0x4111,), (0x003D0F00,), (DIRTY | 17,)],
        [*((1 << bit | 17,) for bit in (17, 25, 26, 27, 28, 29, 30)), (DIRTY | 1 << 28,)],
    ),
    "socket": (
        [(1,), (2,), (10,), (DIRTY | 2,)],
        [(0,), (16,), (17,), (38,), (40,), (44,), (DIRTY | 17,), (2 << 32,)],
    ),
    "socketpair": ([(1,)], [(30,), (16,), (1 << 32,)]),
    "ioctl": ([(0, 0x541B), (0, 0x5401), (0, 0xC020462A)], [(0, 0x5412), (0, 0x541C), (0, 1 << 32 | 0x5412)]),
}
#: What an expert must not call at all, where the processor has it.
FORBIDDEN = set(
    re.findall(
        r"\w+",
        """
        mount umount2 pivot_root chroot mount_setattr open_tree move_mount fsopen fsconfig fsmount
        fspick quotactl quotactl_fd swapon swapoff name_to_handle_at open_by_handle_at fanotify_init
        unshare setns ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_getfd add_key
        request_key keyctl bpf io_uring_setup io_uring_enter io_uring_register userfaultfd
        perf_event_open lookup_dcookie modify_ldt uselib personality kexec_load kexec_file_load
        init_module finit_module delete_module reboot syslog acct vhangup iopl ioperm sethostname
        setdomainname settimeofday clock_settime clock_adjtime adjtimex shmget shmat msgget semget
        memfd_create memfd_secret
        """,
    )
)


@dataclass(frozen=True)
class Call:
    number: int
    arguments: tuple[int, ...] = ()
    architecture: int = 0

    def bytes(self) -> bytes:
        words = [value % 2**64 for value in (*self.arguments, 0, 0, 0, 0, 0, 0)[:6]]
        return struct.pack("<IIQ6Q", self.number % 2**32, self.architecture, 0x7F0012345678, *words)


def interpret(program: bytes, data: bytes) -> int:
    """Return what a classic BPF program returns; the meaning of its codes as in the kernel's filter.txt."""
    code = [struct.unpack_from("<HBBI", program, at) for at in range(0, len(program), 8)]
    accumulator, at = 0, 0
    while True:
        operation, if_true, if_false, value = code[at]
        at += 1
        match operation:
            case 0x20:  # BPF_LD | BPF_W | BPF_ABS
                accumulator = struct.unpack_from("<I", data, value)[0]
            case 0x54:  # BPF_ALU | BPF_AND | BPF_K
                accumulator &= value
            case 0x05:  # BPF_JMP | BPF_JA
                at += value
            case 0x15:  # BPF_JMP | BPF_JEQ | BPF_K
                at += if_true if accumulator == value else if_false
            case 0x25:  # BPF_JMP | BPF_JGT | BPF_K
                at += if_true if accumulator > value else if_false
            case 0x35:  # BPF_JMP | BPF_JGE | BPF_K
                at += if_true if accumulator >= value else if_false
            case 0x06:  # BPF_RET | BPF_K
                return int(value)
            case _:
                raise AssertionError(f"instruction {at - 1} is {operation:#x}")


def numbers_of(architecture: str) -> dict[str, int]:
    header = next((path for path in HEADERS[architecture] if path.is_file()), None)
    if header is None:
        pytest.skip(f"the kernel's header of {architecture} is not installed (linux-libc-dev)")
    text = header.read_text(encoding="utf-8")
    numbers = {
        name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\s", text)
    }
    return {
        name: number for name, number in numbers.items() if name not in ("syscalls", "arch_specific_syscall")
    }


@pytest.fixture(params=["x86_64", "aarch64"])
def known(request: pytest.FixtureRequest) -> Architecture:
    """An architecture whose header is there."""
    return ARCHITECTURES[request.param]


@pytest.fixture
def numbers(known: Architecture) -> dict[str, int]:
    """All its calls, from the header; a 64-bit kernel does not have those with 64-bit time."""
    found = numbers_of(known.name)
    return {name: number for name, number in found.items() if not name.endswith("time64")}


def decide(program: bytes, known: Architecture, number: int, *arguments: int) -> int:
    return interpret(program, Call(number, arguments, AUDIT_ARCHITECTURES[known.name]).bytes())


def test_the_numbers_are_those_of_the_kernels_headers(known: Architecture, numbers: dict[str, int]) -> None:
    assert dict(known.numbers) == {name: numbers[name] for name in known.numbers}
    assert set(syscalls.X86_64.numbers) - set(known.numbers) == {
        name for name in syscalls.X86_64.numbers if name not in numbers
    }
    assert known.audit == AUDIT_ARCHITECTURES[known.name]


def test_programs_can_make_the_calls_of_the_table_and_no_other(
    known: Architecture, numbers: dict[str, int]
) -> None:
    program = seccomp.allow_list(known, READ_FD, WRITE_FD)
    assert set(seccomp.ALLOWED) == FREE | set(PROGRAM)
    generator = random.Random(7)
    for name, number in numbers.items():
        if name in PROGRAM:
            continue
        expected = ALLOW if name in FREE else ENOSYS if name == "clone3" else EPERM
        for _ in range(20):
            arguments = tuple(
                generator.choice((0, 1, 3, 4, 0x22, generator.getrandbits(64))) for _ in range(6)
            )
            assert decide(program, known, number, *arguments) == expected, name


@pytest.mark.parametrize("name", PROGRAM)
def test_programs_are_held_to_arguments(name: str, known: Architecture, numbers: dict[str, int]) -> None:
    program = seccomp.allow_list(known, READ_FD, WRITE_FD)
    passing, refused = PROGRAM[name]
    assert [decide(program, known, numbers[name], *given) for given in passing] == [ALLOW] * len(passing)
    assert [decide(program, known, numbers[name], *given) for given in refused] == [EPERM] * len(refused)


def test_each_program_has_its_own_two_descriptors(known: Architecture, numbers: dict[str, int]) -> None:
    program = seccomp.allow_list(known, 70, 80)
    readable = [fd for fd in range(300) if decide(program, known, numbers["read"], fd) == ALLOW]
    writable = [fd for fd in range(300) if decide(program, known, numbers["write"], fd) == ALLOW]
    assert (readable, writable) == ([70], [80])


def test_experts_can_make_all_calls_but_those_of_the_table(
    known: Architecture, numbers: dict[str, int]
) -> None:
    program = seccomp.deny_list(known)
    assert set(seccomp.DENIED) == FORBIDDEN | set(EXPERT) | {"clone3"}
    assert len(FORBIDDEN & set(numbers)) > 45
    for name, number in numbers.items():
        if name in EXPERT:
            continue
        newer = number > 450 or name == "clone3"
        expected = ENOSYS if newer else EPERM if name in FORBIDDEN else ALLOW
        assert decide(program, known, number, 0, 0x5412, 4) == expected, name
    assert {decide(program, known, number) for number in (451, 467, 600, 0x3FFFFFFF)} == {ENOSYS}


@pytest.mark.parametrize("name", EXPERT)
def test_experts_are_held_to_arguments(name: str, known: Architecture, numbers: dict[str, int]) -> None:
    program = seccomp.deny_list(known)
    passing, refused = EXPERT[name]
    assert [decide(program, known, numbers[name], *given) for given in passing] == [ALLOW] * len(passing)
    assert [decide(program, known, numbers[name], *given) for given in refused] == [EPERM] * len(refused)


def filters(known: Architecture) -> tuple[bytes, bytes]:
    return seccomp.allow_list(known, READ_FD, WRITE_FD), seccomp.deny_list(known)


@pytest.mark.parametrize("known", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_calls_by_another_convention_kill(known: Architecture) -> None:
    others = [audit for name, audit in AUDIT_ARCHITECTURES.items() if name != known.name]
    for program in filters(known):
        for audit in (*others, 0, 0xFFFFFFFF):
            calls = [Call(number, (3,), audit) for number in range(512)]
            assert {interpret(program, call.bytes()) for call in calls} == {KILL}


def test_calls_of_x32_kill() -> None:
    for program in filters(syscalls.X86_64):
        for number in range(1024):
            assert decide(program, syscalls.X86_64, 0x40000000 | number, 3) == KILL
        assert decide(program, syscalls.X86_64, -1) == KILL


@pytest.mark.parametrize("known", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_filters_are_as_the_kernel_wants_them(known: Architecture) -> None:
    for program in filters(known):
        count, rest = divmod(len(program), 8)
        assert rest == 0
        assert count <= 4096
        for at in range(count):
            operation, if_true, if_false, value = struct.unpack_from("<HBBI", program, 8 * at)
            steps = {0x05: [value], 0x06: [-1]}.get(operation, [if_true, if_false])
            assert all(at + 1 + step < count for step in steps)
            if operation == 0x20:
                assert value % 4 == 0
                assert value <= 60
        assert struct.unpack_from("<H", program, 8 * (count - 1)) == (0x06,)
