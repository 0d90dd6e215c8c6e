"""Archives whose bytes depend on their contents alone: sorted names, one date, no owners but root, no inode numbers of
this machine. `Archive` collects entries and writes them as a cpio that the kernel unpacks."""

import os
import stat


class Archive:
    def __init__(self, seconds):
        self.seconds = seconds
        self.entries = {}  # path -> (mode, contents, major, minor)

    def directory(self, path, mode=0o755):
        path = path.strip("/")
        parent = os.path.dirname(path)
        if parent and parent not in self.entries:
            self.directory(parent)
        if path:
            self.entries.setdefault(path, (stat.S_IFDIR | mode, b"", 0, 0))

    def _add(self, path, entry):
        path = path.strip("/")
        self.directory(os.path.dirname(path))
        if path in self.entries:
            raise ValueError(f"'/{path}' is listed twice")
        self.entries[path] = entry

    def file(self, path, contents, mode=0o644):
        self._add(path, (stat.S_IFREG | mode, contents, 0, 0))

    def link(self, path, target):
        self._add(path, (stat.S_IFLNK | 0o777, target.encode(), 0, 0))

    def device(self, path, kind, major, minor, mode):
        self._add(path, ((stat.S_IFCHR if kind == "c" else stat.S_IFBLK) | mode, b"", major, minor))

    def cpio(self):
        """The "newc" form, as Linux's Documentation/driver-api/early-userspace/buffer-format.rst describes it."""
        out = bytearray()

        def add(inode, name, mode, contents, major, minor, links):
            encoded = name.encode() + b"\0"
            fields = (inode, mode, 0, 0, links, self.seconds if inode else 0, len(contents), 0, 0, major, minor, len(encoded), 0)
            out.extend(b"070701" + b"".join(b"%08X" % field for field in fields) + encoded)
            out.extend(b"\0" * (-len(out) % 4))
            out.extend(contents)
            out.extend(b"\0" * (-len(out) % 4))

        for inode, path in enumerate(sorted(self.entries), start=1):
            mode, contents, major, minor = self.entries[path]
            add(inode, path, mode, contents, major, minor, 2 if stat.S_ISDIR(mode) else 1)
        add(0, "TRAILER!!!", 0, b"", 0, 0, 1)
        out.extend(b"\0" * (-len(out) % 512))
        return bytes(out)
