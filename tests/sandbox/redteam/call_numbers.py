"""Numbers of the system calls that attacks make."""

import platform

_X86_64 = {
    "add_key": 248, "bpf": 321, "chroot": 161, "clock_gettime": 228, "clone": 56, "clone3": 435,
    "close": 3, "fanotify_init": 300, "fcntl": 72, "inotify_add_watch": 254, "inotify_init1": 294,
    "io_uring_enter": 426, "io_uring_setup": 425, "keyctl": 250, "memfd_create": 319, "mlock": 149,
    "mount": 165, "mq_open": 240, "mq_timedsend": 242, "msgsnd": 69, "open_by_handle_at": 304,
    "openat": 257, "openat2": 437, "perf_event_open": 298, "personality": 135, "pidfd_getfd": 438,
    "pidfd_open": 434, "pidfd_send_signal": 424, "prlimit64": 302, "process_vm_readv": 310,
    "process_vm_writev": 311, "ptrace": 101, "read": 0, "rt_sigqueueinfo": 129,
    "sched_setaffinity": 203, "setns": 308, "setpriority": 141, "setresuid": 117, "syslog": 103,
    "tgkill": 234, "unshare": 272, "userfaultfd": 323,
}  # fmt: skip
_AARCH64 = {
    "add_key": 217, "bpf": 280, "chroot": 51, "clock_gettime": 113, "clone": 220, "clone3": 435,
    "close": 57, "fanotify_init": 262, "fcntl": 25, "inotify_add_watch": 27, "inotify_init1": 26,
    "io_uring_enter": 426, "io_uring_setup": 425, "keyctl": 219, "memfd_create": 279, "mlock": 228,
    "mount": 40, "mq_open": 180, "mq_timedsend": 182, "msgsnd": 189, "open_by_handle_at": 265,
    "openat": 56, "openat2": 437, "perf_event_open": 241, "personality": 92, "pidfd_getfd": 438,
    "pidfd_open": 434, "pidfd_send_signal": 424, "prlimit64": 261, "process_vm_readv": 270,
    "process_vm_writev": 271, "ptrace": 117, "read": 63, "rt_sigqueueinfo": 138,
    "sched_setaffinity": 122, "setns": 268, "setpriority": 140, "setresuid": 147, "syslog": 116,
    "tgkill": 131, "unshare": 97, "userfaultfd": 282,
}  # fmt: skip

#: Names to numbers on this machine.
CALLS = {"x86_64": _X86_64, "aarch64": _AARCH64}.get(platform.machine(), _X86_64)
