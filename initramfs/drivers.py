"""Packs the modules that `initramfs/drivers` lists, with what they depend on, into one cpio.

usage: drivers.py LIST SYSROOT UNAME OUTPUT EPOCH [FIRMWARE-DIRECTORY]

Modules are decompressed (the archive is compressed as a whole, which packs better and spares the early kernel the
work) and otherwise left as they are: their signatures must stay valid, or a kernel under Secure Boot refuses them.
Writes OUTPUT, OUTPUT.sizes (tab-separated: what, bytes) and OUTPUT.list (the modules, one a line).
"""

import glob
import lzma
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../scripts"))
from archive import Archive  # noqa: E402


def fail(message):
    sys.exit(f"initramfs: {message}")


def plain_name(path):
    return os.path.basename(path).split(".")[0].replace("-", "_")


def read_list(path):
    """Pairs of (module name, whether it is loaded at the start)."""
    for number, line in enumerate(open(path), start=1):
        words = line.split("#")[0].split()
        if not words:
            continue
        if len(words) > 2 or (len(words) == 2 and words[0] != "always"):
            fail(f"{path}:{number}: expected 'MODULE' or 'always MODULE'")
        yield words[-1], len(words) == 2


def with_dependencies(wanted, modules):
    """Paths below the modules directory of the wanted names and everything that they need, hard or soft."""
    dependencies = {}
    for line in open(os.path.join(modules, "modules.dep")):
        path, _, rest = line.partition(":")
        dependencies[path] = rest.split()
    by_name = {plain_name(path): path for path in dependencies}
    built_in = {plain_name(line.strip()) for line in open(os.path.join(modules, "modules.builtin"))}
    soft = {}
    for line in open(os.path.join(modules, "modules.softdep")):
        words = line.split()
        if words[:1] == ["softdep"]:
            soft[words[1].replace("-", "_")] = [w.replace("-", "_") for w in words[2:] if not w.endswith(":")]
    chosen, pending = set(), [(name, True) for name in wanted]
    while pending:
        name, required = pending.pop()
        key = name.replace("-", "_")
        if key in built_in:
            continue
        if key not in by_name:
            if required:
                fail(f"the kernel has no module '{name}': correct initramfs/drivers")
            continue
        path = by_name[key]
        for item in [path] + dependencies[path]:
            if item not in chosen:
                chosen.add(item)
                pending += [(other, False) for other in soft.get(plain_name(item), [])]
    return sorted(chosen)


def read_module(path):
    data = open(path, "rb").read()
    return lzma.decompress(data) if path.endswith(".xz") else data


def index(staging, uname, source):
    """Has depmod write the indexes for the modules in `staging`, and drops those that libkmod does not read."""
    modules = os.path.join(staging, "usr/lib/modules", uname)
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        with open(os.path.join(modules, name), "wb") as file:
            file.write(open(os.path.join(source, name), "rb").read())
    os.symlink("usr/lib", os.path.join(staging, "lib"))
    subprocess.run(["depmod", "--basedir", staging, uname], check=True)
    # The text forms serve busybox's modprobe, the binary ones libkmod.
    unread = ("modules.symbols", "modules.symbols.bin", "modules.devname", "modules.builtin.modinfo", "modules.order",
              "modules.builtin.alias.bin")
    for name in unread:
        if os.path.exists(os.path.join(modules, name)):
            os.remove(os.path.join(modules, name))


def firmware_of(module):
    """Names in the module's `firmware=` modinfo entries."""
    return {part[9:].decode() for part in module.split(b"\0") if part.startswith(b"firmware=")}


def main():
    listing, sysroot, uname, output, epoch = sys.argv[1:6]
    firmware_directory = sys.argv[6] if len(sys.argv) > 6 else None
    source = os.path.join(sysroot, "usr/lib/modules", uname)
    wanted = list(read_list(listing))
    archive, firmware = Archive(int(epoch)), set()
    where = f"usr/lib/modules/{uname}"
    with tempfile.TemporaryDirectory() as staging:
        for path in with_dependencies([name for name, _ in wanted], source):
            module = read_module(os.path.join(source, path))
            target = os.path.join(staging, where, path.split(".ko")[0] + ".ko")
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb") as file:
                file.write(module)
            firmware |= firmware_of(module)
        index(staging, uname, source)
        top = os.path.join(staging, where)
        for folder, _, names in os.walk(top):
            for name in names:
                path = os.path.join(folder, name)
                archive.file(os.path.join(where, os.path.relpath(path, top)), open(path, "rb").read())
    archive.file("etc/apus/modules", "".join(name + "\n" for name, always in wanted if always).encode())
    sizes = [("drivers", sum(len(entry[1]) for entry in archive.entries.values()))]
    if firmware_directory:
        sizes.append(("firmware", add_firmware(archive, firmware, firmware_directory)))
    with open(output, "wb") as file:
        file.write(archive.cpio())
    with open(output + ".sizes", "w") as file:
        file.writelines(f"{what}\t{size}\n" for what, size in sizes)
    with open(output + ".list", "w") as file:
        file.writelines(sorted(plain_name(p) + "\n" for p in archive.entries if p.endswith(".ko")))


def add_firmware(archive, wanted, directory):
    """Adds the files that the packed modules name and that the sysroot's packages bring; returns their bytes."""
    total = 0
    for name in sorted(wanted):
        for path in sorted(glob.glob(os.path.join(directory, name))):
            relative = os.path.relpath(path, directory)
            contents = open(path, "rb").read()
            if f"usr/lib/firmware/{relative}" not in archive.entries:
                archive.file(f"usr/lib/firmware/{relative}", contents)
                total += len(contents)
    return total


main()
