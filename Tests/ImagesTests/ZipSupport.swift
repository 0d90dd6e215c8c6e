import Linux
import TestSupport

/// Zips made by python's `zipfile`, and by hand where no decent program would make them.
enum TestZips {
    /// Writes one file for each case, named by what must come of it, into a folder.
    static func make(in folder: String) throws { try run("/usr/bin/python3", ["-c", program, folder]) }

    private static let program = #"""
        import io, stat, struct, sys, warnings, zipfile, zlib
        warnings.simplefilter("ignore")
        folder = sys.argv[1]

        def entry(name, mode=0o644, kind=stat.S_IFREG, system=3):
            info = zipfile.ZipInfo(name, (2024, 2, 3, 4, 5, 6))
            info.create_system = system
            info.external_attr = (kind | mode) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            return info

        def build(entries, bootstrap=True):
            bytes = io.BytesIO()
            with zipfile.ZipFile(bytes, "w") as made:
                if bootstrap: made.writestr(entry("bootstrap", 0o755), "#!/bin/sh\n")
                for info, content in entries: made.writestr(info, content)
            return bytearray(bytes.getvalue())

        def save(name, bytes):
            with open(f"{folder}/{name}.zip", "wb") as file: file.write(bytes)

        def patched(bytes, place, format, value, mark=b"PK\x01\x02"):
            struct.pack_into(format, bytes, bytes.index(mark) + place, value)
            return bytes

        def packed(method):
            info = entry("other")
            info.compress_type = method
            return build([(info, b"x" * 1000)])

        link = stat.S_IFLNK
        good = [
            (entry("function.sh", 0o600), "handler () { :; }\n"),
            (entry("bin/", 0o700, stat.S_IFDIR), ""), (entry("bin/tool", 0o700), "tool"),
            (entry("lib/dev/deep/data", 0o640), bytes(range(256)) * 4000),
            (entry("lib/so", 0o777, link), "dev/deep/data"), (entry("proc"), "no mount point"),
            (entry("opt", 0o777, link), "/opt/lib"), (entry("caf\u00e9"), "utf-8"),
        ]
        save("good", build(good))
        save("good-linked", build([
            (entry("bootstrap", 0o777, link), "/var/task/bin/./start"), (entry("bin/start", 0o777, link), "../real"),
            (entry("real", 0o500), "x")], bootstrap=False))
        save("parent-path", build([(entry("../outside"), "x")]))
        save("parent-path-inside", build([(entry("a/../../outside"), "x")]))
        save("parent-path-backslash", build([(entry("a\\..\\..\\outside", system=0), "x")]))
        save("absolute-path", build([(entry("/etc/passwd"), "x")]))
        save("bad-path", build([(entry("x" * 300), "x")]))
        save("escaping-link", build([(entry("up", 0o777, link), "../../outside")]))
        save("through-link", build([(entry("l", 0o777, link), "/etc"), (entry("l/passwd"), "x")]))
        save("through-file", build([(entry("a"), "x"), (entry("a/b"), "x")]))
        save("device-node", build([(entry("disk", 0o660, stat.S_IFBLK), "")]))
        save("device-node-character", build([(entry("null", 0o666, stat.S_IFCHR), "")]))
        save("unknown-kind", build([(entry("socket", 0o666, stat.S_IFSOCK), "")]))
        save("set-id", build([(entry("su", 0o4755), "x")]))
        save("set-id-group", build([(entry("sg", 0o2755), "x")]))
        save("whiteout-trick", build([(entry("a/.wh.b"), "")]))
        save("whiteout-trick-opaque", build([(entry("a/.wh..wh..opq"), "")]))
        save("duplicate-entry", build([(entry("a"), "one"), (entry("a"), "two")]))
        save("duplicate-entry-bootstrap", build([(entry("./bootstrap", 0o755), "other")]))
        save("duplicate-entry-directory", build([(entry("a"), "x"), (entry("a/", 0o755, stat.S_IFDIR), "")]))
        save("duplicate-entry-above", build([(entry("a/b"), "x"), (entry("a"), "y")]))
        crypt = patched(build([]), 6, "<H", 1, b"PK\x03\x04")
        save("encrypted", patched(crypt, 8, "<H", 1))
        save("malformed-bzip2", packed(zipfile.ZIP_BZIP2))
        save("malformed-lzma", packed(zipfile.ZIP_LZMA))
        save("malformed-nothing", b"")
        save("malformed-text", b"no zip at all\n" * 100)
        save("malformed-checksum", patched(build([]), 16, "<L", 1))
        save("malformed-larger", patched(build([]), 24, "<L", 5000))
        save("malformed-smaller", patched(build([]), 24, "<L", 3))
        save("malformed-cut", build([(entry("a"), "x" * 5000)])[:-60])
        save("compression-bomb", build([(entry("zeros"), bytes(64 << 20))]))
        large = patched(build([]), 24, "<L", (250 << 20) + 1)
        save("too-large", patched(large, 22, "<L", (250 << 20) + 1, b"PK\x03\x04"))
        save("no-bootstrap", build([(entry("a"), "x")], bootstrap=False))
        save("malformed-empty", build([], bootstrap=False))
        save("no-bootstrap-deeper", build([(entry("function/bootstrap", 0o755), "x")], bootstrap=False))
        save("no-bootstrap-mode", build([(entry("bootstrap", 0o644), "x")], bootstrap=False))
        save("no-bootstrap-windows", build([(entry("bootstrap", 0, 0, 0), "x")], bootstrap=False))
        save("no-bootstrap-directory", build([(entry("bootstrap/", 0o755, stat.S_IFDIR), "")], bootstrap=False))
        save("no-bootstrap-elsewhere", build([(entry("bootstrap", 0o777, link), "/bin/sh")], bootstrap=False))
        save("no-bootstrap-circle", build([(entry("bootstrap", 0o777, link), "bootstrap")], bootstrap=False))

        def overlapping(count, data):
            """Every entry's bytes hold all entries after it (D. Fifield, "A better zip bomb")."""
            locals, starts = data, []
            for number in reversed(range(count)):
                name = b"bootstrap" if number == 0 else b"%09d" % number
                size, sum = len(locals), zlib.crc32(locals)
                locals = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 0, sum, size, size, 9, 0) + name + locals
                starts.append((name, size, sum, len(locals)))
            directory = b"".join(
                struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 0x314, 20, 0, 0, 0, 0, sum, size, size, 9, 0, 0, 0, 0,
                            0o100755 << 16, len(locals) - left) + name
                for name, size, sum, left in reversed(starts))
            return locals + directory + struct.pack(
                "<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(directory), len(locals), 0)

        save("good-single", overlapping(1, b"x" * 5000))
        save("compression-bomb-overlapping", overlapping(40, bytes(range(256)) * 8000))

        def many(count):
            local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 0, 0, 0, 0, 1, 0) + b"x"
            item = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 0x314, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"x"
            directory = bytearray(item * count)
            for number in range(count): struct.pack_into("<L", directory, number * len(item) + 42, number * len(local))
            files = local * count
            end = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(directory), len(files))
            place = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(files) + len(directory), 1)
            tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xffff, 0xffff, 0xffffffff, 0xffffffff, 0)
            return files + directory + end + place + tail

        save("too-many-entries", many(100_001))
        save("too-many-entries-directory", many(400_000))
        """#
}
