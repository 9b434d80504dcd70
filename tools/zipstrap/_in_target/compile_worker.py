"""Compile sources to byte-identical bytecode, inside the interpreter that will run it.

    argv    JOB_FILE ANSWER_FILE
    job     {"worker": "compile_worker", "schema": 1,     marshalled, version 2
             "optimize": 0 | 1 | 2,
             "sources":  PATH,                            all sources in one file
             "results":  PATH,                            where the bytecode goes, one .pyc after the other
             "index":    [[FILENAME, OFFSET, LENGTH], ...]}
    answer  {"worker": "compile_worker", "schema": 1,
             "index":    [[OFFSET, LENGTH] | [MESSAGE, LASTING], ...]}

FILENAME is what the code objects will carry. The answer has one row for each row of the job, in the same
order: where in the results the .pyc lies, or why there is none ("line 3: invalid syntax"), and whether the
same source will always fail so. It is JSON; the job is not, because the module json takes as long to import
as the interpreter to start. For each source one byte goes to stdout, for a progress bar, a few at a time.

Run with -I -S -B -W ignore. Exit status 0 says that every source was tried; 64, with "unsupported" in the
answer, that this interpreter is not one that zipstrap packs, or marshals code in a way not known here.

What is written is an unchecked hash-based .pyc (PEP 552): the source is hashed, but never looked for. The
code is marshalled, then written anew in the one form that :func:`canonical` describes.
"""

from __future__ import annotations

import _imp
import gc
import itertools
import marshal
import os
import struct
import sys
import time
from _frozen_importlib_external import MAGIC_NUMBER

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is not worth its time in the target
    from types import CodeType
    from typing import Any, Callable, Iterable

WORKER = "compile_worker"
SCHEMA = 1
UNSUPPORTED_STATUS = 64

#: Seconds between two steps of the progress bar.
PAUSE = 0.05

# A marshalled code object (CPython, Python/marshal.c, w_complex_object): the type byte, INTEGERS, OBJECTS,
# the first line's number, TABLES. Below stands for each object whether its strings are names.
if sys.version_info >= (3, 11):
    CODE_INTEGERS = 5 * 4  # argcount, posonlyargcount, kwonlyargcount, stacksize, flags
    # code, consts, names, localsplusnames, localspluskinds, filename, name, qualname
    CODE_OBJECTS = (False, False, True, True, False, False, True, True)
    CODE_TABLES = (False, False)  # linetable, exceptiontable
else:
    CODE_INTEGERS = 6 * 4  # argcount, posonlyargcount, kwonlyargcount, nlocals, stacksize, flags
    # code, consts, names, varnames, freevars, cellvars, filename, name
    CODE_OBJECTS = (False, False, True, True, True, True, False, True)
    CODE_TABLES = (False,)  # lnotab or linetable

#: Each type byte with FLAG_REF set: "keep this object, it will be referred to".
WITH_FLAG = {bytes((kind,)): bytes((kind | 0x80,)) for kind in range(128)}

#: How a tuple of each length below 256 begins; and, for each length, whether the strings in it are names.
TUPLES = [bytes((0x29, size)) for size in range(256)]
WITH_FLAG.update((start, bytes((0xA9, start[1]))) for start in TUPLES)
NAMES = [(True,) * size for size in range(256)]
CONSTANTS = [(False,) * size for size in range(256)]

#: One string has several spellings: interned or not, and, below 256 ASCII characters, short.
NOT_INTERNED = {b"Z": b"z", b"A": b"a", b"t": b"u"}

#: Strings of these are interned in constants too (Objects/codeobject.c, all_name_chars). Not a regular
#: expression: it would be no faster, and re takes half as long to import as the interpreter to start.
NAME_CHARACTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

int_at = struct.Struct("<i").unpack_from
int_after_kind = struct.Struct("<xi").unpack_from
pack_int = struct.Struct("<i").pack


class UnknownFormatError(ValueError):
    """Marshalled data is not of the form that this worker knows."""


def canonical(data: bytes) -> bytes:
    """Return marshalled code or constants (bytes) in the one form that depends on their value alone.

    ``marshal.dumps`` writes what it finds in memory: an object gets FLAG_REF if its reference count happens
    to be above one, equal objects are shared if they happen to be the same, a string is marked as interned
    if anything in the process interned it, a frozenset comes in the order of its hash table (up to 3.10).
    Here instead:

    - equal leaves, tuples, frozensets and slices are written once and referred to afterwards. Equal means: of
      the same type and written with the same bytes, so 1, 1.0 and True stay apart, and 0.0 and -0.0. Code
      objects are never merged;
    - FLAG_REF stands only where a reference follows. ``marshal.loads`` numbers flagged objects in the order
      in which they begin, so the numbers follow from the order of writing;
    - frozensets are sorted by the written form of their elements;
    - a string is interned if it first occurs as a name (or argument, qualified name, ...) or looks like an
      identifier, as the code object's constructor would have it.

    Raises UnknownFormatError for a type byte that it does not know.

    It reads and writes in a single pass, because it has to be fast. `out` collects pieces: bytes, or an int
    for "refer to the object that begins with the piece of that number". This number is an object's identity
    here; None, booleans, Ellipsis, small ints and the empty tuple are never referred to, and are their own
    identity. A tuple's identity is known only after its elements. If it turns out to have occurred before,
    then so have its elements, and its pieces, which can be but references, are dropped again.
    """
    out: list[Any] = []
    # the identities of the objects flagged in `data`
    refs: list[Any] = []
    # each by its length byte and text
    short_strings: dict[bytes, int] = {}
    # each other leaf by its bytes; without the type byte for byte strings, which are the most
    leaves: dict[Any, int] = {}
    # each by its elements' identities, after a mark of its kind (none for tuples)
    containers: dict[Any, int] = {}
    append = out.append
    add_ref = refs.append
    find_short_string = short_strings.get
    find_leaf = leaves.get
    add_container = containers.setdefault

    def read(data: bytes, at: int, roles: Iterable[bool], found: Callable[[Any], object]) -> int:
        """Read one object for each of `roles` (are its strings names?), return where the last one ends.

        `found` is called with the identity of each (`callable`, a builtin without effect, where nobody asks).
        """
        for is_name in roles:
            kind = data[at]
            if kind == 0x72:  # 'r', a reference
                (identity,) = int_after_kind(data, at)
                identity = refs[identity]
                append(identity)
                at += 5
            elif kind == 0xDA or kind == 0x7A or kind == 0xFA or kind == 0x5A:  # 'Z', 'z': short ASCII string
                start = at + 1
                at = start + 1 + data[start]
                text = data[start:at]
                identity = find_short_string(text)
                if identity is None:
                    identity = short_strings[text] = len(out)
                    append(b"Z" if is_name or not text[1:].translate(None, NAME_CHARACTERS) else b"z")
                    append(text)
                else:
                    append(identity)
                if kind > 0x7F:
                    add_ref(identity)
            elif kind == 0x73 or kind == 0xF3:  # 's': byte string
                start = at + 1
                (size,) = int_after_kind(data, at)
                at += 5 + size
                text = data[start:at]
                identity = find_leaf(text)
                if identity is None:
                    identity = leaves[text] = len(out)
                    append(b"s")
                    append(text)
                else:
                    append(identity)
                if kind == 0xF3:
                    add_ref(identity)
            elif kind == 0xA9 or kind == 0x29:  # ')': tuple of less than 256
                size = data[at + 1]
                if size:
                    if kind == 0xA9:
                        slot = len(refs)
                        add_ref(None)  # numbered before its elements
                    mark = len(out)
                    append(TUPLES[size])
                    elements: list[Any] = []
                    at = read(data, at + 2, (NAMES if is_name else CONSTANTS)[size], elements.append)
                    identity = add_container(tuple(elements), mark)
                    if identity != mark:
                        del out[mark:]
                        append(identity)
                    if kind == 0xA9:
                        refs[slot] = identity
                else:
                    identity = b")\0"
                    append(identity)
                    if kind == 0xA9:
                        add_ref(identity)
                    at += 2
            elif kind == 0xE3 or kind == 0x63:  # 'c': code
                identity = len(out)
                if kind == 0xE3:
                    add_ref(identity)
                start = at + 1
                at = start + CODE_INTEGERS
                append(b"c")
                append(data[start:at])
                start = read(data, at, CODE_OBJECTS, callable)
                at = start + 4
                append(data[start:at])
                at = read(data, at, CODE_TABLES, callable)
            elif kind == 0xE9 or kind == 0x69:  # 'i': 32-bit integer
                start = at + 1
                at += 5
                identity = data[start - 1 : at] if kind == 0x69 else b"i" + data[start:at]
                append(identity)
                if kind == 0xE9:
                    add_ref(identity)
            elif kind == 0x4E or kind == 0x46 or kind == 0x54:  # 'N', 'F', 'T'
                identity = data[at : at + 1]
                append(identity)
                at += 1
            else:
                identity, at = read_rare(data, at, is_name)
            found(identity)
        return at

    def read_rare(data: bytes, at: int, is_name: bool) -> tuple[int | bytes, int]:
        """Read one object of the other kinds, return its identity and where it ends."""
        flag = data[at] & 0x80
        kind = data[at] & 0x7F
        start = at + 1
        identity: int | bytes
        if kind == 0x3E:  # '>': frozenset
            slots: list[int] = []
            flat, at = flatten(data, at, slots)
            identity = read_sorted(flat)
            for slot in slots:
                # all is written by now, so that this only looks it up
                mark = len(out)
                found: list[Any] = []
                read(refs[slot][0], 0, (False,), found.append)
                del out[mark:]
                refs[slot] = found[0]
            return identity, at
        if kind == 0x28 or kind == 0x3A:  # '(': long tuple; ':': slice (3.14+)
            if flag:
                slot = len(refs)
                add_ref(None)
            mark = len(out)
            if kind == 0x28:
                (size,) = int_at(data, start)
                at = start + 4
                elements: list[Any] = []
            else:
                size = 3
                at = start
                elements = [":"]
            append(b"(" if kind == 0x28 else b":")
            append(data[start:at])
            at = read(data, at, itertools.repeat(is_name, size), elements.append)
            identity = close_container(tuple(elements), mark)
            if flag:
                refs[slot] = identity
            return identity, at
        if kind in b"NFT.S":
            identity = bytes((kind,))
            append(identity)
            at = start
        else:
            at = end_of_leaf(data, at)
            text = data[start:at]
            if kind == 0x61 or kind == 0x41:  # 'a', 'A': long ASCII string
                leaf = b"a", text
                spelling = b"A" if is_name or not text[4:].translate(None, NAME_CHARACTERS) else b"a"
            elif kind == 0x75 or kind == 0x74:  # 'u', 't': any other string
                leaf = b"u", text
                spelling = b"t" if is_name else b"u"
            else:
                spelling = bytes((kind,))
                leaf = spelling, text
            known = find_leaf(leaf)
            if known is None:
                identity = leaves[leaf] = len(out)
                append(spelling)
                append(text)
            else:
                identity = known
                append(identity)
        if flag:
            add_ref(identity)
        return identity, at

    def close_container(key: tuple[Any, ...], mark: int) -> int:
        """Return the identity of the container whose pieces begin at `mark`; drop them if it was written."""
        if key not in containers:
            containers[key] = mark
            return mark
        del out[mark:]
        append(containers[key])
        return containers[key]

    def read_sorted(flat: bytes) -> int:
        """Write a frozenset, given in the form of `flatten`, and return its identity."""
        (size,) = int_at(flat, 1)
        mark = len(out)
        append(b">")
        append(flat[1:5])
        key: list[Any] = [">"]
        read(flat, 5, itertools.repeat(False, size), key.append)
        return close_container(tuple(key), mark)

    def flatten(data: bytes, at: int, slots: list[int]) -> tuple[bytes, int]:
        """Return one constant as bytes without references, flags and interning, and where it ends.

        Equal constants give equal bytes, so frozensets can be sorted by them. An object flagged in `data`
        gets its number at once, noted in `slots`. Until it has an identity, `refs` holds it flattened, in a
        tuple.
        """
        flag = data[at] & 0x80
        kind = data[at] & 0x7F
        if kind == 0x72:
            (index,) = int_after_kind(data, at)
            known = refs[index]
            if known.__class__ is tuple:
                flat = known[0]
            else:
                flat = known if known.__class__ is bytes else spell(known)[0]
            return flat, at + 5
        if flag:
            slot = len(refs)
            slots.append(slot)
            add_ref(None)
        head = bytes((kind,))
        start = at + 1
        if kind == 0x29 or kind == 0x28 or kind == 0x3E or kind == 0x3A:
            if kind == 0x29:
                size = data[start]
                at = start + 1
            elif kind == 0x3A:
                size = 3
                at = start
            else:
                (size,) = int_at(data, start)
                at = start + 4
            head += data[start:at]
            elements = []
            for _ in range(size):
                element, at = flatten(data, at, slots)
                elements.append(element)
            if kind == 0x3E:
                elements.sort()
            flat = head + b"".join(elements)
        else:
            at = end_of_leaf(data, at)
            flat = NOT_INTERNED.get(head, head) + data[start:at]
        if flag:
            refs[slot] = (flat,)
        return flat, at

    def spell(identity: int) -> tuple[bytes, int]:
        """Return what was written for `identity` in the form of `flatten`, and where the pieces go on."""
        kind = out[identity]
        if kind[0] == 0x29:
            kind, text = kind[:1], kind[1:]
            place = identity + 1
        elif len(kind) > 1 or kind in b"NFT.S":  # never referred to, and written as one piece
            return kind, identity + 1
        else:
            text = out[identity + 1]
            place = identity + 2
        if kind == b")":
            size = text[0]
        elif kind == b":":
            size = 3
        elif kind == b"(" or kind == b">":
            (size,) = int_at(text, 0)
        elif kind == b"c":
            raise UnknownFormatError("a code object in a frozenset")
        else:
            return NOT_INTERNED.get(kind, kind) + text, place
        elements = []
        for _ in range(size):
            if out[place].__class__ is int:
                element, _ = spell(out[place])
                place += 1
            else:
                element, place = spell(place)
            elements.append(element)
        if kind == b">":
            elements.sort()
        return kind + text + b"".join(elements), place

    if read(data, 0, (False,), callable) != len(data):
        raise UnknownFormatError("marshalled data goes on after its end")
    reference: dict[int, bytes] = {}
    for number, identity in enumerate(sorted({piece for piece in out if piece.__class__ is int})):
        out[identity] = WITH_FLAG[out[identity]]
        reference[identity] = b"r" + pack_int(number)
    text = b"".join([piece if piece.__class__ is bytes else reference[piece] for piece in out])
    # the functions above refer to each other, and hold all this until a collection, which `work` forbids
    for collected in (out, refs, short_strings, leaves, containers):
        collected.clear()
    return text


def end_of_leaf(data: bytes, at: int) -> int:
    """Return where the leaf (an object without elements) at `at` ends."""
    kind = data[at] & 0x7F
    if kind in b"NFT.S":
        return at + 1
    if kind in b"zZ":
        return at + 2 + data[at + 1]
    if kind == 0x69:  # 'i'
        return at + 5
    if kind == 0x67:  # 'g': float
        return at + 9
    if kind == 0x79:  # 'y': complex
        return at + 17
    if kind in b"suaAtl":
        size: int
        (size,) = int_at(data, at + 1)
        # a long integer is counted in digits of 15 bits, below zero if it is
        return at + 5 + (2 * abs(size) if kind == 0x6C else size)
    raise UnknownFormatError("marshal type %r at byte %d is not known" % (chr(kind), at))


def bytecode(data: bytes, filename: str, optimize: int) -> bytes:
    """Return the .pyc of the source `data` (bytes)."""
    code = compile(data, filename, "exec", dont_inherit=True, optimize=optimize)
    plain = marshal.dumps(code)
    limit = sys.getrecursionlimit()
    try:
        try:
            text = canonical(plain)
        except RecursionError:
            # marshal itself goes no deeper than 2000; compile() must keep its limit, or results would differ
            sys.setrecursionlimit(limit + 6000)
            text = canonical(plain)
    finally:
        sys.setrecursionlimit(limit)
    source_hash = _imp.source_hash(int.from_bytes(MAGIC_NUMBER, "little"), data)
    # flags 1: named by a hash, which is not to be checked
    return b"".join((MAGIC_NUMBER, pack_int(1), source_hash, text))


def checked(plain: bytes, code: CodeType) -> bytes:
    """Return marshalled `code` in canonical form, after a look whether the same code comes back from it."""
    text = canonical(plain)
    back = marshal.loads(text)
    if not same_code(back, code) and canonical(marshal.dumps(back)) != text:
        raise UnknownFormatError("other code comes back from its canonical form")
    return text


def same_code(one: CodeType, other: CodeType) -> bool:
    """Tell whether two code objects are surely the same; False means that a closer look is needed.

    Their own == takes time exponential in the depth of nested functions (measured), and leaves out the file
    name. Version 2 of marshal knows neither references nor interning. A frozenset's order may differ up to
    3.10.
    """
    try:
        return marshal.dumps(one, 2) == marshal.dumps(other, 2)
    except ValueError:
        # it knows no slices either (3.14+)
        return False


def explain(error: Exception) -> str:
    """Return why a source did not compile, in one line."""
    if isinstance(error, SyntaxError):
        text = str(error.msg)
        if error.lineno:
            text = "line %d: %s" % (error.lineno, text)
    else:
        text = str(error)
    return " ".join(text.split()) or type(error).__name__


def unsupported() -> str:
    """Return what is wrong with this interpreter, or an empty text."""
    if sys.implementation.name != "cpython" or sys.version_info < (3, 8):
        return "%s %d.%d" % ((sys.implementation.name,) + sys.version_info[:2])
    # a later version is judged by what it does
    source = (
        "def outer(a, *b, c=1, **d):\n"
        "    def inner(x, /, y): return a, x in {1, 'two', (3.5, None)}, 1j, 10**30, ..., y[1:2]\n"
        "    return inner, [c for c in b if c is d], b'bytes', (True, -0.0), 'caf\xe9', 'not a name'\n"
    )
    code = compile(source.encode(), "<probe>", "exec", dont_inherit=True, optimize=0)
    try:
        checked(marshal.dumps(code), code)
    except Exception as error:
        return "a Python %d.%d with another marshal format (%s)" % (sys.version_info[:2] + (explain(error),))
    return ""


def work(job: dict[str, Any]) -> list[list[object]]:
    """Do the `job`, return the rows of the answer."""
    # no cycle outlives a source here, and the collector would go through all code again and again
    gc.disable()
    rows: list[list[object]] = []
    end = 0
    with open(job["sources"], "rb") as sources, open(job["results"], "wb") as results:
        done = 0
        told = time.monotonic()
        for filename, offset, length in job["index"]:
            sources.seek(offset)
            data = sources.read(length)
            try:
                pyc = bytecode(data, filename, job["optimize"])
            except Exception as error:
                # memory and recursion depend on the machine; what is wrong in the source does not
                rows.append([explain(error), not isinstance(error, (MemoryError, RecursionError))])
            else:
                results.write(pyc)
                rows.append([end, len(pyc)])
                end += len(pyc)
            done += 1
            now = time.monotonic()
            if now - told > PAUSE:  # each time wakes the host
                os.write(1, b"." * done)
                done = 0
                told = now
        os.write(1, b"." * done)
    return rows


def to_json(answer: dict[str, Any]) -> str:
    """Return `answer` as JSON, which needs the module json only for messages."""
    rows = answer.get("index")
    if rows is None or any(row[1].__class__ is not int for row in rows):
        import json

        return json.dumps(answer)
    return '{"worker": "%s", "schema": %d, "index": %r}' % (answer["worker"], answer["schema"], rows)


def main(argv: list[str]) -> int:
    """Read the job, write the answer, return the exit status."""
    job_file, answer_file = argv
    answer: dict[str, Any] = {"worker": WORKER, "schema": SCHEMA}
    name = unsupported()
    if name:
        answer["unsupported"] = name
    else:
        with open(job_file, "rb") as file:
            job = marshal.load(file)
        if (job["worker"], job["schema"]) != (WORKER, SCHEMA):
            raise SystemExit("%s: the job is for %s, schema %s" % (WORKER, job["worker"], job["schema"]))
        answer["index"] = work(job)
    with open(answer_file, "w", encoding="utf-8") as file:
        file.write(to_json(answer))
    return UNSUPPORTED_STATUS if name else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
