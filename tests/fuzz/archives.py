"""Archives for the differential test and the fuzzer: sound ones with all that is allowed, and broken ones.

All is drawn from one :class:`random.Random`: hypothesis draws and shrinks one, the long runs seed their own.
"""

from __future__ import annotations

import struct
import zlib
from random import Random
from typing import Any

__all__ = ["archive", "mutated", "sound"]

_LOCAL = "<4s5H3L2H"
_CENTRAL = "<4s6H3L5H2L"
_END = "<4s4H2LH"
#: in both headers alike
_FIELDS = ("needed", "flags", "method", "time", "date", "crc", "packed", "size")

_STEMS = [
    "a",
    "b",
    "A",
    "mod",
    "pkg",
    "__init__",
    "é",
    "ß",
    "ss",
    "名",
    "\U0001f40d",
    "e\u0301",
    "Å",
    "\u0130",
    "x y",
]
_STEMS += [
    "-r",
    "@a",
    "~",
    "#",
    "[a]",
    "a'b",
    "%s",
    "$HOME",
    "`id`",
    "!",
    "ﬁ",
    "\ufeff",
    "\u202e",
    "\u00ad",
    "con",
    "aux",
]
_STEMS += [
    "..a",
    ".a",
    "a;b",
    "a;1",
    "\x85",
    "\u2028",
    "\ue000",
    "\U0010fffd",
    "\u0345",
    "\u1100\u1161",
    "0",
    "LPT1",
]
_SUFFIXES = ["", ".py", ".pyc", ".txt", ".", " ", ";1", ":x", "?", "\x01", "/", "//", "/.", "/..", "\\", "\0"]
_ODD_NAMES = [b"/etc/a", b"C:/a", b"../a", b"a/../../b", b"\xff", b"a\xe9", b"", b".", b"/", b"a" * 300]


def _name(random: Random, *, odd: bool) -> bytes:
    if odd and random.random() < 0.4:
        return random.choice(_ODD_NAMES)
    depth = random.choice([1, 1, 1, 2, 3])
    stems = _STEMS if odd or random.random() < 0.3 else _STEMS[:6]
    name = "/".join(random.choice(stems) for _ in range(depth))
    return (name + random.choice(_SUFFIXES if odd else _SUFFIXES[:4])).encode()


def _times(random: Random) -> tuple[int, int]:
    if random.random() < 0.2:
        return random.getrandbits(16), random.getrandbits(16)
    return 0, 33


def _extra(random: Random, *, odd: bool) -> bytes:
    kinds = [0x000A, 0x5455, 0x5855, 0x7855, 0x7875]
    if odd:
        kinds += [1, 0x7075, 0x6375, 0x9901, 0x756E, 0x6C78, 0x4341, 0xCAFE, random.getrandbits(16)]
    made = b""
    for _ in range(random.choice([0, 0, 0, 1, 2])):
        kind = random.choice(kinds)
        usual = {0x5455: b"\1" + bytes(4), 0x7875: b"\1\4" + bytes(4) + b"\4" + bytes(4), 0x5855: bytes(8)}
        usual |= {0x000A: bytes(4) + b"\1\0\x18\0" + bytes(24), 0x7855: random.randbytes(4)}
        data = usual.get(kind, b"") if random.random() < 0.6 else random.randbytes(random.randrange(20))
        size = len(data) if not odd or random.random() < 0.7 else random.randrange(40)
        made += struct.pack("<2H", kind, size) + data
    return made


def _data(random: Random) -> bytes:
    if random.random() < 0.1:
        return random.choice(
            [b"PK\5\6" + bytes(18), b"PK\3\4" + bytes(26), b"PK\1\2" + bytes(42), b"PK\6\7" * 5]
        )
    return random.randbytes(random.randrange(12)) * random.choice([0, 1, 1, 2, 40])


def _entry(random: Random, *, odd: bool) -> dict[str, Any]:
    name = _name(random, odd=odd)
    folder = name.endswith(b"/") or (not odd and random.random() < 0.1)
    if folder and not name.endswith(b"/"):
        name += b"/"
    data = b"" if folder and not odd else _data(random)
    method = random.choice([0, 8, 8]) if not folder or random.random() < 0.3 else 0
    deflater = zlib.compressobj(random.choice([0, 1, 9]), zlib.DEFLATED, -15)
    raw = data if method == 0 else deflater.compress(data) + deflater.flush()
    time, date = _times(random)
    mode = random.choice([0o644, 0o755, 0o600, 0, 0o7777])
    kind = random.choice([0, 0o040000 if folder else 0o100000])
    marks = random.choice([0, 0x10 if folder else 0x20, 0x01])
    entry = {
        "raw": raw, "made": random.choice([20, 3 << 8 | 20, 3 << 8 | 30]), "needed": random.choice([10, 20]),
        "flags": random.choice([0, 0, 2, 4, 6]) | (0 if name.isascii() and random.random() < 0.9 else 0x800),
        "method": method, "time": time, "date": date, "crc": zlib.crc32(data), "packed": len(raw),
        "size": len(data), "name": name, "extra": _extra(random, odd=False), "comment": b"", "disk": 0,
        "internal": random.choice([0, 0, 1, random.getrandbits(16)]), "external": (kind | mode) << 16 | marks,
    }  # fmt: skip
    # the two headers may carry other times
    entry["local"] = {"extra": _extra(random, odd=False)} if random.random() < 0.2 else {}
    entry["central"] = {}
    return entry


_ODD_FIELDS: dict[str, list[Any]] = {
    "made": [0, 2 << 8, 11 << 8 | 20, 19 << 8, 255 << 8], "needed": [0, 45, 46, 63, 99, 0x100],
    "flags": [1, 8, 0x20, 0x40, 0x800, 0x2000, 0xFFFF], "method": [0, 8, 1, 9, 12, 14, 93, 95],
    "crc": [0, 1], "packed": [0, 1, 0xFFFFFFFF], "size": [0, 1, 0xFFFFFFFF, 1 << 31],
    "comment": [b"hi", b"PK\5\6" + bytes(18)], "disk": [1, 0xFFFF],
    "external": [0o120777 << 16, 0o010644 << 16, 0o040755 << 16, 0x10, 8, 0x40, 0xFFFFFFFF],
    "offset": [0, 1, 0xFFFFFFFF], "raw": [b"", b"\3\0", b"x"],
}  # fmt: skip


def _spoil(random: Random, entries: list[dict[str, Any]], end: dict[str, Any]) -> None:
    what = random.randrange(6)
    entry = random.choice(entries) if entries else {}
    if what == 0 or not entries:
        end[random.choice(["count", "here", "size", "offset", "disk", "comment_size"])] = random.choice(
            [0, 1, 2, 30, 0xFFFF, random.getrandbits(8)]
        )
    elif what == 1:
        entry["name"] = _name(random, odd=True)
        if not entry["name"].isascii():
            entry["flags"] |= 0x800
    elif what == 2:
        entry[random.choice(["local", "central"])]["extra"] = _extra(random, odd=True)
    elif what == 3:
        entry["name"] = random.choice(entries)["name"]
    else:
        field = random.choice(list(_ODD_FIELDS))
        place = random.choice([entry, entry["local"], entry["central"]])
        place[field] = random.choice(_ODD_FIELDS[field])


def _packed(entries: list[dict[str, Any]], end: dict[str, Any], random: Random, *, odd: bool) -> bytes:
    out, directory = bytearray(), bytearray()
    heads = []
    for entry in entries:
        offset = len(out)
        here, there = ({**entry, **entry[which]} for which in ("local", "central"))
        out += struct.pack(
            _LOCAL, b"PK\3\4", *(here[field] for field in _FIELDS),
            len(here["name"]), len(here["extra"]),
        ) + here["name"] + here["extra"] + here["raw"]  # fmt: skip
        heads.append(
            struct.pack(
                _CENTRAL, b"PK\1\2", there["made"], *(there[field] for field in _FIELDS),
                len(there["name"]), len(there["extra"]), len(there["comment"]),
                there["disk"], there["internal"], there["external"], there.get("offset", offset),
            ) + there["name"] + there["extra"] + there["comment"]
        )  # fmt: skip
        if odd and random.random() < 0.02:
            out += random.randbytes(3)
    if odd and random.random() < 0.05:
        random.shuffle(heads)
    directory += b"".join(heads)
    last = {
        "disk": 0, "there": 0, "here": len(heads), "count": len(heads), "size": len(directory),
        "offset": len(out), "comment_size": 0,
    } | end  # fmt: skip
    return bytes(out + directory + struct.pack(_END, b"PK\5\6", *last.values()))


def sound(random: Random) -> bytes:
    """Return an archive in which nothing is meant to be wrong; names may clash."""
    return _packed(
        [_entry(random, odd=False) for _ in range(random.choice([0, 1, 1, 2, 2, 3, 5]))],
        {},
        random,
        odd=False,
    )


def mutated(random: Random, raw: bytes) -> bytes:
    """Return *raw* with some bytes changed, cut out or put in."""
    made = bytearray(raw)
    for _ in range(random.choice([1, 1, 2, 4])):
        place = random.randrange(len(made) + 1)
        match random.randrange(5):
            case 0 if place < len(made):
                made[place] ^= 1 << random.randrange(8)
            case 1 if place < len(made):
                made[place] = random.choice([0, 0xFF, 0x7F, random.getrandbits(8)])
            case 2:
                del made[place : place + random.choice([1, 4, 22])]
            case 3:
                made[place:place] = random.choice(
                    [b"\0", b"PK\5\6", b"PK\1\2", random.randbytes(4), bytes(22)]
                )
            case _:
                other = random.randrange(len(made) + 1)
                made[place:place] = made[other : other + random.choice([4, 30, 46])]
    return bytes(made)


def archive(random: Random) -> bytes:
    """Return an archive: sound, broken in its description, or broken in its bytes."""
    way = random.random()
    if way < 0.55:
        return sound(random)
    if way < 0.85:
        entries = [_entry(random, odd=False) for _ in range(random.choice([0, 1, 1, 2, 3]))]
        end: dict[str, Any] = {}
        for _ in range(random.choice([1, 1, 1, 2, 3])):
            _spoil(random, entries, end)
        for entry in entries:
            if entry["packed"] == 0xFFFFFFFF:
                continue
            entry["name"] = entry["name"][:0xFFFF]
        return _packed(entries, end, random, odd=True)
    return mutated(random, sound(random))
