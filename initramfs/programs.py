"""Packs the programs and files that `initramfs/files` lists, with the libraries they need, into one cpio.

usage: programs.py LIST SYSROOT MULTIARCH LOADER INIT OUTPUT EPOCH WORK-DIRECTORY

Libraries are the sysroot's, whatever machine INIT was linked on; a program that needs a symbol which they do not have
is refused. Writes OUTPUT and OUTPUT.sizes (tab-separated: what, bytes).
"""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../scripts"))
import elf  # noqa: E402
import stubs  # noqa: E402
from archive import Archive  # noqa: E402


def fail(message):
    sys.exit(f"initramfs: {message}")


def stripped(path, work):
    target = os.path.join(work, "stripped")
    subprocess.run(["strip", "--strip-all", "-o", target, path], check=True)
    return elf.without_unwind_tables(open(target, "rb").read())


def main():
    listing, sysroot, multiarch, loader, init, output, epoch, work = sys.argv[1:]
    libraries = f"usr/lib/{multiarch}"
    directories = [os.path.join(sysroot, libraries), os.path.join(sysroot, "lib", multiarch)]
    try:
        elf.Object(init)
    except elf.NotELF:
        fail(f"'{init}' is not a program for this architecture")
    archive, programs, sizes = Archive(int(epoch)), [], {"apus-init": 0, "libraries": 0, "busybox": 0, "other": 0}
    for number, line in enumerate(open(listing), start=1):
        words = line.split("#")[0].split()
        if not words:
            continue
        kind, path, *rest = words
        source = {"init": init, "sysroot": os.path.join(sysroot, path.strip("/"))}.get(rest[0] if rest else "")
        if kind == "directory":
            archive.directory(path, int(rest[0], 8))
        elif kind == "link":
            archive.link(path, rest[0])
        elif kind == "line":
            archive.file(path, (" ".join(rest) + "\n").encode())
        elif kind == "device":
            archive.device(path, rest[0], int(rest[1]), int(rest[2]), int(rest[3], 8))
        elif kind in ("file", "program") and source:
            if kind == "program" and source != init:
                contents = elf.without_unwind_tables(open(source, "rb").read())
            else:
                contents = stripped(source, work) if source == init else open(source, "rb").read()
            archive.file(path, contents, 0o755 if kind == "program" else 0o644)
            sizes["apus-init" if source == init else "busybox" if "busybox" in path else "other"] += len(contents)
            if kind == "program":
                programs.append(source)
        else:
            fail(f"{listing}:{number}: cannot understand '{line.strip()}'")

    try:
        objects = elf.closure(programs, directories, stubs.build_all(directories, work))
    except KeyError as error:
        fail(f"Debian 13's packages in scripts/sysroot.packages lack {error.args[0]}")
    for path, what in elf.missing(objects):
        fail(f"{os.path.basename(path)} needs {what}, which Debian 13 does not have: build Apus on Debian 12, Debian 13 "
             "or Ubuntu 24.04 (a container will do), not on a newer system")
    for name, item in objects.items():
        if item.path in programs:
            continue
        contents = elf.without_unwind_tables(open(item.path, "rb").read())
        archive.file(f"{libraries}/{name}", contents, 0o755)
        sizes["libraries"] += len(contents)
    archive.link(f"usr/lib64/{loader}", f"../lib/{multiarch}/{loader}")
    with open(output, "wb") as file:
        file.write(archive.cpio())
    with open(output + ".sizes", "w") as file:
        file.writelines(f"{what}\t{size}\n" for what, size in sizes.items())


main()
