# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Files in an uncompressed tar file: their names and places, out of the headers.

`tarfile` tells more about each member, but takes many times as long, ends at a damaged header as if the file were at
its end, and does not say whether the last member is whole.
"""

import os
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple


BLOCK = 512
LONGEST_DESCRIPTION = 2**20  # bytes of a name or of pax records; more is damage
# kinds of members
FILES, WITHOUT_DATA = frozenset((b"0", b"\0", b"7")), frozenset((b"1", b"2", b"3", b"4", b"5", b"6"))
LINKS = HARD_LINK, SYMBOLIC_LINK = b"1", b"2"
SPARSE, GLOBAL_RECORDS = b"S", b"g"
PATH, LINK, SIZE = b"path", b"linkpath", b"size"
SPARSE_RECORDS, SPARSE_NAME = b"GNU.sparse.", b"GNU.sparse.name"
LONG_TEXTS = {b"L": PATH, b"K": LINK}  # GNU's, the others are pax
DESCRIPTIONS = frozenset((*LONG_TEXTS, b"x", b"X", GLOBAL_RECORDS))

NOWHERE = (0, 0)


class Member(NamedTuple):
    """A file in a tar file.

    Attributes:
        name: With its folders.
        offset: Where it begins; 0 for a link whose file is not among the members before it.
        size: Its bytes.
    """

    name: str
    offset: int
    size: int


class TarMembers:
    """Goes through the files of a tar file, once. Hard links are the files that they lead to.

    Args:
        file: The tar file.

    Attributes:
        count: Members so far that are whole, of any kind.
        damage: Why the iteration ended before the end of the file; None: it did not, or not yet.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.count = 0
        self.damage: str | None = None
        self._file, self._end = file, file.seek(0, os.SEEK_END)
        self._offset = self._size = 0
        self._general: dict[bytes, bytes] = {}  # what pax records say of all members that follow
        self._special: dict[bytes, bytes] = {}  # and of the next one

    def read(self, member: Member) -> bytes:
        """The content of a file."""
        self._file.seek(member.offset)
        return self._file.read(member.size)

    def __iter__(self) -> Iterator[Member]:
        """Files in the order in which they stand, as far as they are whole.

        Raises:
            ValueError: A file is stored without its zeros.
        """
        known: dict[bytes, tuple[int, int]] = {}
        while header := self._next():
            name, kind = self._special.get(PATH) or _name(header), header[156:157]
            place = (self._offset, self._size)
            self._skip()
            if kind == SPARSE or any(key.startswith(SPARSE_RECORDS) for key in self._special):
                name = os.fsdecode(self._special.get(SPARSE_NAME) or name)
                way_out = "Write the shard without `--sparse`."
                raise ValueError(f"{self._file.name}/{name} is stored without its zeros. {way_out}")
            if kind in LINKS:
                target = self._special.get(LINK) or _text(header[157:257])
                place = known.get(target, NOWHERE) if kind == HARD_LINK else NOWHERE
            if kind in LINKS or (kind in FILES and not name.endswith(b"/")):
                known[name] = place
                yield Member(os.fsdecode(name), *place)
            self._special = dict(self._general)
            self.count += 1

    def _next(self) -> bytes | None:
        """The header of the next member, what only describes it being read; None: there is none that is whole."""
        try:
            while (header := self._header()) and header[156:157] in DESCRIPTIONS:
                kind = header[156:157]
                found = self._description(kind)
                if kind == GLOBAL_RECORDS:
                    self._general |= found
                self._special |= found
        except ValueError as error:
            self.damage = str(error)
            return None
        return header

    def _header(self) -> bytes | None:
        """The block at the present place, which is moved behind it; None: the mark of the end."""
        self._file.seek(self._offset)
        header = self._file.read(BLOCK)
        if len(header) < BLOCK:
            raise ValueError("it ends without the mark of its end")
        filled = header.translate(None, b"\0")
        if not filled:
            return None
        if sum(filled) - sum(header[148:156]) + 8 * 32 != _number(header[148:156]):
            raise ValueError(f"byte {self._offset} is not where a member begins")
        self._offset += BLOCK
        size = self._special.get(SIZE)
        self._size = _number(header[124:136]) if size is None else _number(size, 10)
        if header[156:157] in WITHOUT_DATA:
            self._size = 0
        if self._offset + self._size > self._end:
            raise ValueError(f"{os.fsdecode(self._special.get(PATH) or _name(header))} is cut off")
        return header

    def _skip(self) -> None:
        """Go to the end of the member at the present place."""
        self._offset += -(-self._size // BLOCK) * BLOCK

    def _description(self, kind: bytes) -> dict[bytes, bytes]:
        """What the member at the present place says about the next one."""
        if self._size > LONGEST_DESCRIPTION:
            raise ValueError(f"the member behind byte {self._offset} has a description of {self._size} bytes")
        self._file.seek(self._offset)
        data = self._file.read(self._size)
        self._skip()
        return {LONG_TEXTS[kind]: _text(data)} if kind in LONG_TEXTS else _records(data)


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _name(header: bytes) -> bytes:
    name, folder = _text(header[:100]), _text(header[345:500])
    return folder + b"/" + name if folder and header[257:263] == b"ustar\0" else name  # GNU has dates there


def _number(field: bytes, base: int = 8) -> int:
    """A number of a header, from 8 GiB on binary, or of a pax record, with base 10."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if digits and not digits.isdigit():
        raise ValueError(f"a header has {field!r} for a number")
    return int(digits or b"0", base)


def _records(data: bytes) -> dict[bytes, bytes]:
    """Records of pax, such as `19 path=run/a.mp4` with a line feed, their lengths in front."""
    records, at = {}, 0
    while at < len(data) and data[at]:
        blank = data.find(b" ", at, at + 20)
        length = data[at : max(blank, at)]
        end = at + (int(length) if length.isdigit() else 0)
        key, equals, value = data[blank + 1 : end - 1].partition(b"=")
        if end <= max(blank, at) or not equals:
            raise ValueError(f"a pax header has the record {data[at : at + 40]!r}")
        records[key] = value
        at = end
    return records
