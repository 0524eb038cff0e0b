"""Numbers of the system calls that attacks make."""

import platform

_X86_64 = {
    "add_key": 248, "bpf": 321, "chmod": 90, "chroot": 161, "clock_gettime": 228, "clone": 56, "clone3": 435,
    "close": 3, "execveat": 322, "fanotify_init": 300, "fcntl": 72, "fork": 57, "fsetxattr": 190,
    "getpid": 39, "inotify_add_watch": 254, "inotify_init1": 294, "io_uring_enter": 426, "io_uring_setup": 425,
    "keyctl": 250, "kill": 62, "linkat": 265, "memfd_create": 319, "mkdirat": 258, "mknodat": 259, "mlock": 149,
    "mount": 165, "mq_open": 240, "mq_timedsend": 242, "msgsnd": 69, "newfstatat": 262, "open_by_handle_at": 304,
    "openat": 257, "openat2": 437, "perf_event_open": 298, "personality": 135, "pidfd_getfd": 438,
    "pidfd_open": 434, "pidfd_send_signal": 424, "prctl": 157, "prlimit64": 302, "process_vm_readv": 310,
    "process_vm_writev": 311, "ptrace": 101, "pwrite64": 18, "read": 0, "renameat2": 316, "rt_sigqueueinfo": 129,
    "sched_setaffinity": 203, "setns": 308, "setpriority": 141, "setresuid": 117, "setrlimit": 160, "setsid": 112,
    "shmat": 30, "shmget": 29, "symlinkat": 266, "syslog": 103, "tgkill": 234, "truncate": 76, "unlinkat": 263,
    "unshare": 272, "userfaultfd": 323, "fchmodat": 268, "vmsplice": 278,
}  # fmt: skip
_AARCH64 = {
    "add_key": 217, "bpf": 280, "chroot": 51, "clock_gettime": 113, "clone": 220, "clone3": 435,
    "close": 57, "execveat": 281, "fanotify_init": 262, "fcntl": 25, "fsetxattr": 7,
    "getpid": 172, "inotify_add_watch": 27, "inotify_init1": 26, "io_uring_enter": 426, "io_uring_setup": 425,
    "keyctl": 219, "kill": 129, "linkat": 37, "memfd_create": 279, "mkdirat": 34, "mknodat": 33, "mlock": 228,
    "mount": 40, "mq_open": 180, "mq_timedsend": 182, "msgsnd": 189, "newfstatat": 79, "open_by_handle_at": 265,
    "openat": 56, "openat2": 437, "perf_event_open": 241, "personality": 92, "pidfd_getfd": 438,
    "pidfd_open": 434, "pidfd_send_signal": 424, "prctl": 167, "prlimit64": 261, "process_vm_readv": 270,
    "process_vm_writev": 271, "ptrace": 117, "pwrite64": 68, "read": 63, "renameat2": 276, "rt_sigqueueinfo": 138,
    "sched_setaffinity": 122, "setns": 268, "setpriority": 140, "setresuid": 147, "setrlimit": 164, "setsid": 157,
    "shmat": 196, "shmget": 194, "symlinkat": 36, "syslog": 116, "tgkill": 131, "truncate": 45, "unlinkat": 35,
    "unshare": 97, "userfaultfd": 282, "fchmodat": 53, "vmsplice": 75,
}  # fmt: skip

#: Names to numbers on this machine.
CALLS = {"x86_64": _X86_64, "aarch64": _AARCH64}.get(platform.machine(), _X86_64)
