"""What ELF programs need from shared libraries, read from the files themselves.

Used to pack a program with the libraries of another Debian than the one it was linked on: `closure` finds them,
`missing` says which versioned symbols that Debian does not have, before a machine finds out at boot.
Only 64-bit little-endian objects, which is all that Apus supports.
"""

import os
import struct


class NotELF(Exception):
    pass


class Object:
    """One program or shared library: its soname, what it needs and what it offers, from its dynamic section."""

    def __init__(self, path):
        self.path = path
        self.soname = None
        self.needed = []
        self.interpreter = None
        self.defined = set()  # (name, version or None)
        self.undefined = []  # (name, version or None, is weak, is data)
        self.wanted_versions = []  # (library, version)
        self.offered_versions = set()
        with open(path, "rb") as file:
            self.data = file.read()
        if self.data[:6] != b"\x7fELF\x02\x01":
            raise NotELF(path)
        self._read()
        del self.data

    def _text(self, offset):
        return self.data[offset : self.data.index(b"\0", offset)].decode()

    def _file_offset(self, address):
        for start, offset, size in self._loads:
            if start <= address < start + size:
                return address - start + offset
        raise NotELF(f"{self.path}: no segment holds address {address:#x}")

    def _read(self):
        header_offset, = struct.unpack_from("<Q", self.data, 32)
        entry_size, count = struct.unpack_from("<HH", self.data, 54)
        self._loads, dynamic = [], None
        for index in range(count):
            kind, _, offset, address, _, size = struct.unpack_from("<IIQQQQ", self.data, header_offset + index * entry_size)
            if kind == 1:
                self._loads.append((address, offset, size))
            elif kind == 2:
                dynamic = (offset, size)
            elif kind == 3:
                self.interpreter = self._text(offset)
        if dynamic is None:
            return
        entries = list(struct.iter_unpack("<QQ", self.data[dynamic[0] : dynamic[0] + dynamic[1]]))
        entries = entries[: next((i for i, e in enumerate(entries) if e[0] == 0), len(entries))]
        tags = dict(entries)
        self._strings = self._file_offset(tags[5])
        self.needed = [self._text(self._strings + value) for tag, value in entries if tag == 1]
        if 14 in tags:
            self.soname = self._text(self._strings + tags[14])
        versions = {0: None, 1: None}
        versions.update(self._definitions(tags))
        versions.update(self._requirements(tags))
        self._symbols(tags, versions)

    def _definitions(self, tags):
        names = {}
        if 0x6FFFFFFC not in tags:
            return names
        at = self._file_offset(tags[0x6FFFFFFC])
        for _ in range(tags[0x6FFFFFFD]):
            _, flags, index, _, _, auxiliary, following = struct.unpack_from("<HHHHIII", self.data, at)
            name, = struct.unpack_from("<I", self.data, at + auxiliary)
            if not flags & 1:  # VER_FLG_BASE names the file itself
                names[index] = self._text(self._strings + name)
                self.offered_versions.add(names[index])
            at += following
        return names

    def _requirements(self, tags):
        names = {}
        if 0x6FFFFFFE not in tags:
            return names
        at = self._file_offset(tags[0x6FFFFFFE])
        for _ in range(tags[0x6FFFFFFF]):
            _, count, library, auxiliary, following = struct.unpack_from("<HHIII", self.data, at)
            entry = at + auxiliary
            for _ in range(count):
                _, flags, index, name, next_entry = struct.unpack_from("<IHHII", self.data, entry)
                names[index & 0x7FFF] = self._text(self._strings + name)
                if not flags & 2:  # VER_FLG_WEAK: the loader lets a missing one pass
                    self.wanted_versions.append((self._text(self._strings + library), names[index & 0x7FFF]))
                entry += next_entry
            at += following
        return names

    def _symbols(self, tags, versions):
        table = self._file_offset(tags[6])
        version_table = self._file_offset(tags[0x6FFFFFF0]) if 0x6FFFFFF0 in tags else None
        for index in range(1, self._symbol_count(tags)):
            name, info, _, section, _, _ = struct.unpack_from("<IBBHQQ", self.data, table + index * 24)
            if info >> 4 not in (1, 2, 10):
                continue
            version = 0
            if version_table is not None:
                version = struct.unpack_from("<H", self.data, version_table + index * 2)[0] & 0x7FFF
            symbol = (self._text(self._strings + name), versions.get(version))
            if section == 0:
                self.undefined.append(symbol + (info >> 4 == 2, info & 15 == 1))
            else:
                self.defined.add(symbol)

    def _symbol_count(self, tags):
        if 4 in tags:
            return struct.unpack_from("<II", self.data, self._file_offset(tags[4]))[1]
        # DT_GNU_HASH: the highest bucket's chain ends at the last symbol.
        at = self._file_offset(tags[0x6FFFFEF5])
        buckets, first, words, _ = struct.unpack_from("<IIII", self.data, at)
        at += 16 + words * 8
        last = max(struct.unpack_from(f"<{buckets}I", self.data, at), default=0)
        if last < first:
            # Nothing is exported: imports end where the string table, which follows in practice, begins.
            return first
        chain = at + buckets * 4
        while not struct.unpack_from("<I", self.data, chain + (last - first) * 4)[0] & 1:
            last += 1
        return last + 1


def find(library, directories):
    for directory in directories:
        path = os.path.join(directory, library)
        if os.path.exists(path):
            return path
    return None


def closure(programs, directories, instead=None):
    """All objects that `programs` load, by soname, programs first; raises KeyError with a library that is nowhere.

    `instead` maps sonames to files that take the place of the real library.
    """
    instead = instead or {}
    found = {}
    open_list = [(path, path) for path in programs]
    while open_list:
        name, path = open_list.pop(0)
        if name in found:
            continue
        found[name] = Object(path)
        for library in found[name].needed:
            target = instead.get(library) or find(library, directories)
            if target is None:
                raise KeyError(f"{library}, which {os.path.basename(path)} needs")
            open_list.append((library, target))
    return found


def missing(objects):
    """The first few symbols or versions that `objects` (from `closure`) need and none of them offers."""
    offered = set()
    for item in objects.values():
        offered |= item.defined
    names = {name for name, _ in offered}
    lacking = []
    for item in objects.values():
        for library, version in item.wanted_versions:
            if library in objects and objects[library].offered_versions and version not in objects[library].offered_versions:
                lacking.append((item.path, f"{version} of {library}"))
        for name, version, weak, _ in item.undefined:
            if weak or (name, version) in offered or (name, None) in offered or (version is None and name in names):
                continue
            lacking.append((item.path, name if version is None else f"{name}@{version}"))
    return lacking


def without_unwind_tables(data):
    """A copy of the object `data` whose unwind tables are zeros, which pack to nothing.

    They are a tenth of a program and serve C++ exceptions, forced thread cancellation and backtraces: none of which
    Swift, or the C libraries beside it, use to do their work. Sections keep their places, so nothing else moves.
    """
    data = bytearray(data)
    headers, = struct.unpack_from("<Q", data, 40)
    size, count, names_index = struct.unpack_from("<HHH", data, 58)
    names = struct.unpack_from("<IIQQQQ", data, headers + names_index * size)[4] if count else 0
    for index in range(count):
        name, _, _, _, offset, length = struct.unpack_from("<IIQQQQ", data, headers + index * size)
        end = data.index(b"\0", names + name)
        if data[names + name : end] in (b".eh_frame", b".eh_frame_hdr", b".gcc_except_table"):
            data[offset : offset + length] = bytes(length)
    segments, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for index in range(count):
        if struct.unpack_from("<I", data, segments + index * size)[0] == 0x6474E550:  # PT_GNU_EH_FRAME
            struct.pack_into("<I", data, segments + index * size, 0)
    return bytes(data)
