"""Root file systems as tar archives that depend on their contents alone: sorted, one date, numeric owners.

`Root` holds a tree of entries; regular files' contents stay where they came from until they are written.
"""

import os
import posixpath
import stat
import tarfile


class Root:
    def __init__(self, seconds):
        self.seconds = seconds
        self.entries = {}  # path without a leading slash -> (TarInfo, source of contents or None)

    def load(self, archive):
        """Adds every entry of a tar archive, whose file must stay open until `write`."""
        members = {}
        for member in archive:
            path = member.name.removeprefix("./").strip("/")
            if path in ("", "."):
                continue
            members[path] = member
            if member.islnk():
                target = members[member.linkname.removeprefix("./").strip("/")]
                source, member.type, member.size = self.entries[target.name][1], tarfile.REGTYPE, target.size
                member.pax_headers = dict(target.pax_headers)
                self._put(path, member, source)
            else:
                self._put(path, member, (archive, member) if member.isreg() else None)

    def _put(self, path, info, source):
        info.name = path
        self.entries[path] = (info, source)

    def _info(self, path, mode, kind):
        info = tarfile.TarInfo(path)
        info.type, info.mode = kind, mode
        return info

    def resolve(self, path):
        """`path` with the symbolic links in its parent folders followed, so that /lib/x lands in /usr/lib."""
        parts, done = path.strip("/").split("/"), []
        budget = 40
        while parts:
            done.append(parts.pop(0))
            here = "/".join(done)
            if parts and here in self.entries and self.entries[here][0].issym():
                budget -= 1
                if budget < 0:
                    raise ValueError(f"'{path}' runs through a loop of symbolic links")
                target = posixpath.normpath(posixpath.join("/", *done[:-1], self.entries[here][0].linkname))
                parts, done = [p for p in target.split("/") if p] + parts, []
        return "/".join(done)

    def directory(self, path, mode=0o755):
        path = self.resolve(path)
        parent = posixpath.dirname(path)
        if parent and parent not in self.entries:
            self.directory(parent)
        if path not in self.entries or not self.entries[path][0].isdir():
            self._put(path, self._info(path, mode, tarfile.DIRTYPE), None)

    def file(self, path, contents, mode=0o644):
        """Adds a file; `contents` is bytes, or the path of a file to read when writing."""
        path = self._place(path)
        info = self._info(path, mode, tarfile.REGTYPE)
        info.size = len(contents) if isinstance(contents, bytes) else os.stat(contents).st_size
        self._put(path, info, contents)

    def link(self, path, target):
        path = self._place(path)
        info = self._info(path, 0o777, tarfile.SYMTYPE)
        info.linkname = target
        self._put(path, info, None)

    def _place(self, path):
        path = self.resolve(path)
        if posixpath.dirname(path):
            self.directory(posixpath.dirname(path))
        if path in self.entries and self.entries[path][0].isdir():
            raise ValueError(f"'/{path}' is a folder in the root file system and cannot be replaced by a file")
        return path

    def overlay(self, directory):
        """Lays a folder of this machine over the tree: owned by root, executable where any execute bit is set."""
        for folder, directories, names in os.walk(directory):
            relative = os.path.relpath(folder, directory)
            for name in sorted(directories + names):
                source = os.path.join(folder, name)
                path = name if relative == "." else f"{relative}/{name}"
                mode = os.lstat(source).st_mode
                if stat.S_ISLNK(mode):
                    self.link(path, os.readlink(source))
                elif stat.S_ISDIR(mode):
                    self.directory(path)
                elif stat.S_ISREG(mode):
                    self.file(path, source, 0o755 if mode & 0o111 else 0o644)
                else:
                    raise ValueError(f"'{source}' is neither a file, a folder nor a link")

    def remove(self, path):
        """Drops an entry and all below it."""
        path = path.strip("/")
        for name in [name for name in self.entries if name == path or name.startswith(path + "/")]:
            del self.entries[name]

    def read(self, path):
        info, source = self.entries[self.resolve(path)]
        return self._contents(info, source)

    def _contents(self, info, source):
        if isinstance(source, bytes):
            return source
        if isinstance(source, str):
            with open(source, "rb") as file:
                return file.read()
        archive, member = source
        return archive.extractfile(member).read()

    def write(self, output):
        """Writes the archive, and returns the bytes of its files."""
        total = 0
        with tarfile.open(output, "w", format=tarfile.PAX_FORMAT) as archive:
            for path in sorted(self.entries):
                old, source = self.entries[path]
                info = tarfile.TarInfo("./" + path)
                info.type, info.mode, info.uid, info.gid = old.type, old.mode & 0o7777, old.uid, old.gid
                info.linkname, info.devmajor, info.devminor = old.linkname, old.devmajor, old.devminor
                info.mtime = self.seconds
                info.pax_headers = {k: v for k, v in old.pax_headers.items() if k.startswith("SCHILY.xattr.")}
                if not info.isreg():
                    archive.addfile(info)
                    continue
                contents = self._contents(old, source)
                info.size = len(contents)
                total += info.size
                archive.addfile(info, _Bytes(contents))
        return total


class _Bytes:
    """A file object over bytes without the copy that io.BytesIO makes of each slice's bookkeeping."""

    def __init__(self, contents):
        self.view, self.at = memoryview(contents), 0

    def read(self, count):
        piece = self.view[self.at : self.at + count]
        self.at += len(piece)
        return piece.tobytes()
