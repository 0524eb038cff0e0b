"""Ids that nobody can guess."""

import secrets

#: Random bytes of an id: 128 bits.
ID_BYTES = 16


def new_id(prefix: str) -> str:
    """Return a new id: up to four small letters that say of what, then 32 random hexadecimal digits.

    >>> len(new_id("sc"))
    35
    """
    return f"{prefix}_{secrets.token_hex(ID_BYTES)}"
