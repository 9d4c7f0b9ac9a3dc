# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Files in an uncompressed tar file: their names and places, and whether the tar file is whole.

`tarfile` takes a damaged header for the end, and hands out a last member whose bytes are not all there.
"""

import os
import tarfile
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple


NOWHERE = (0, 0)
SPARSE_RECORDS, SPARSE_NAME = "GNU.sparse.", "GNU.sparse.name"


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
        self._file, self._bytes = file, file.seek(0, os.SEEK_END)
        file.seek(0)

    def read(self, member: Member) -> bytes:
        """The content of a file, also in the midst of the iteration, which finds its place by itself."""
        self._file.seek(member.offset)
        return self._file.read(member.size)

    def __iter__(self) -> Iterator[Member]:
        """Files in the order in which they stand, as far as they are whole.

        Raises:
            ValueError: A file is stored without its zeros.
        """
        known: dict[str, tuple[int, int]] = {}
        for header in self._headers():
            place = (header.offset_data, header.size)
            if header.issparse() or any(key.startswith(SPARSE_RECORDS) for key in header.pax_headers):
                name = header.pax_headers.get(SPARSE_NAME, header.name)
                way_out = "Write the shard without `--sparse`."
                raise ValueError(f"{self._file.name}/{name} is stored without its zeros. {way_out}")
            if header.islnk() or header.issym():
                place = known.get(header.linkname, NOWHERE) if header.islnk() else NOWHERE
            if header.isfile() or header.islnk() or header.issym():
                known[header.name] = place
                yield Member(header.name, *place)
            self.count += 1

    def _headers(self) -> Iterator[tarfile.TarInfo]:
        """Of the members that are whole."""
        try:
            with tarfile.open(fileobj=self._file, mode="r:") as tar:
                while (header := tar.next()) is not None:
                    is_stored = header.isreg() and not header.issparse()
                    if is_stored and header.offset_data + header.size > self._bytes:
                        raise ValueError(f"{header.name} is cut off")
                    yield header
                    tar.members.clear()  # it remembers every member
                self._demand_end(tar.offset)
        except (tarfile.TarError, ValueError, OverflowError) as error:
            self.damage = str(error)

    def _demand_end(self, offset: int) -> None:
        """Raise `ValueError` unless the mark of the end is where the members end."""
        self._file.seek(offset)
        block = self._file.read(tarfile.BLOCKSIZE)
        if len(block) < tarfile.BLOCKSIZE:
            raise ValueError("it ends without the mark of its end")
        if any(block):
            raise ValueError(f"byte {offset} is not where a member begins")
