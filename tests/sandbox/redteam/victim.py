"""Another process of the same user, with something to hide; as a script it lives until its input ends."""

import ctypes
import json
import os
import sys
import tempfile

NOBODY = 65534
_SET_PTRACER, _ANYBODY = 0x59616D61, ctypes.c_ulong(-1)


def main() -> None:
    """Hide the secret given on the command line in memory, in a deleted file, and in the environment."""
    secret = sys.argv[1].encode()
    buffer = ctypes.create_string_buffer(secret)
    with tempfile.TemporaryFile() as file:
        file.write(secret)
        file.flush()
        if os.geteuid() == 0:
            _become_nobody()
        # Where only parents may debug, this one allows everybody to.
        ctypes.CDLL(None).prctl(_SET_PTRACER, _ANYBODY, 0, 0, 0)
        place = {"pid": os.getpid(), "address": ctypes.addressof(buffer), "descriptor": file.fileno()}
        print(json.dumps(place), flush=True)
        # Takes some processor time, so that there is something to time.
        sum(range(3_000_000))
        sys.stdin.read()


def _become_nobody() -> None:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    # A change of user hides a process from its own user; a process that was always that user's is not hidden.
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)


if __name__ == "__main__":
    main()
