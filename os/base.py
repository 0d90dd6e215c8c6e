"""Turns what mmdebstrap made into the reference OS without the agent: trimmed, with kernel modules, reproducible.

usage: base.py RAW-TAR SYSROOT UNAME MULTIARCH OUTPUT EPOCH LIBRARIES POLICY

POLICY is the compiled AppArmor profile of workloads. Writes the tar OUTPUT, OUTPUT.packages (name, version, a line each) and copies the shared libraries to LIBRARIES, where
build.sh checks programs against them.
"""

import os
import posixpath
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

here = os.path.dirname(__file__)
sys.path.insert(0, os.path.join(here, "../scripts"))
import stubs  # noqa: E402
from tarball import Root  # noqa: E402

# Packages whose files go: the image is replaced as a whole, never upgraded in place. `perl-base` stays where a package
# that was asked for brought `perl`.
UNPACKED_ONLY = ["apt", "debconf", "debian-archive-keyring", "dpkg", "perl-base", "ucf"]

# Folders that a machine without a person at it does not read.
UNREAD = ["usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian", "usr/share/bug",
          "usr/share/bash-completion", "usr/share/zsh", "usr/share/menu", "usr/share/pixmaps", "usr/share/common-licenses",
          "usr/share/perl5", "usr/share/debconf", "usr/share/dpkg", "usr/share/polkit-1", "usr/share/gdb",
          "usr/lib/udev/hwdb.d", "usr/lib/udev/hwdb.bin", "etc/udev/hwdb.bin", "usr/lib/dpkg", "etc/dpkg", "etc/apt",
          "etc/cron.d", "etc/cron.daily", "etc/logrotate.d", "etc/init.d", "etc/rc0.d", "etc/rc1.d", "etc/rc2.d",
          "etc/rc3.d", "etc/rc4.d", "etc/rc5.d", "etc/rc6.d", "etc/rcS.d", "etc/skel", "etc/update-motd.d",
          "usr/lib/systemd/user", "usr/lib/systemd/catalog", "usr/share/initramfs-tools", "usr/bin/localedef"]
# Kept in that: the one catalog that journalctl explains entries from.
CATALOG = "usr/lib/systemd/catalog/systemd.catalog"

# What belongs to the machine that built this, or to the one that will run it.
OTHERS = ["etc/hostname", "etc/resolv.conf", "etc/machine-id", "etc/.pwd.lock", "etc/passwd-", "etc/group-",
          "etc/shadow-", "etc/gshadow-", "etc/subuid-", "etc/subgid-",
          # what systemd's package makes with systemd-tmpfiles, which fails in a container that may not mount
          "etc/default/locale", "etc/vconsole.conf", "etc/credstore", "etc/credstore.encrypted", "root/.ssh"]

# Folders that every image has, and their modes.
FOLDERS = {"var": 0o755, "run": 0o755, "dev": 0o755, "proc": 0o555, "sys": 0o555, "tmp": 0o1777, "boot": 0o755,
           "efi": 0o755, "etc/apus": 0o755, "etc/apus/health.d": 0o755, "usr/lib/apus/health.d": 0o755,
           "etc/credstore": 0o700, "etc/credstore.encrypted": 0o700}


def fail(message):
    sys.exit(f"os: {message}")


def packages(root):
    """Name to version of what dpkg installed."""
    found = {}
    for paragraph in root.read("var/lib/dpkg/status").decode().split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Status): (.*)$", paragraph, re.M))
        if fields.get("Status", "").endswith(" installed"):
            found[fields["Package"]] = fields["Version"]
    return found


def files_of(root, package):
    for suffix in ("", ":amd64", ":arm64"):
        path = f"var/lib/dpkg/info/{package}{suffix}.list"
        if path in root.entries:
            return [line.strip("/") for line in root.read(path).decode().splitlines()]
    return []


def trim(root):
    installed = packages(root)
    for package in UNPACKED_ONLY:
        if package == "perl-base" and "perl" in installed:
            continue
        for path in files_of(root, package):
            path = root.resolve(path) if path else ""
            if path in root.entries and not root.entries[path][0].isdir():
                del root.entries[path]
    catalog = root.entries.get(CATALOG)
    for path in UNREAD + OTHERS:
        root.remove(path)
    if catalog:
        root.directory(posixpath.dirname(CATALOG))
        root.entries[CATALOG] = catalog
    # Static libraries and character sets other than UTF-8.
    for path in [p for p in root.entries if re.match(r"usr/lib/[^/]+/(gconv/.*|[^/]+\.a)$", p)]:
        del root.entries[path]
    for folder in ("boot", "var", "run", "tmp", "dev", "proc", "sys", "usr/lib/x86_64-linux-gnu/perl-base"):
        for path in [p for p in root.entries if p.startswith(folder + "/")]:
            del root.entries[path]
    drop_dangling_wants(root)
    return installed


def drop_dangling_wants(root):
    """Removes units that were enabled by packages and whose files are gone."""
    for path in [p for p in root.entries if p.startswith("etc/systemd/") and root.entries[p][0].issym()]:
        target = root.entries[path][0].linkname
        target = posixpath.normpath(posixpath.join("/", posixpath.dirname(path), target)).strip("/")
        if target != "dev/null" and root.resolve(target) not in root.entries:
            del root.entries[path]


def lock_accounts(root):
    """No password opens any account, and no date of the building machine's calendar stays."""
    lines = []
    for line in root.read("etc/shadow").decode().splitlines():
        fields = line.split(":")
        fields[1:3] = ["!*", "1"]
        lines.append(":".join(fields) + "\n")
    info, _ = root.entries["etc/shadow"]
    contents = "".join(lines).encode()
    info.size = len(contents)
    root.entries["etc/shadow"] = (info, contents)


def read_lines(path):
    return [line.split("#")[0].strip() for line in open(path) if line.split("#")[0].strip()]


def choose_modules(source):
    """Paths of the modules that stay: all but what os/drivers names, and all that those depend on."""
    left_out = read_lines(os.path.join(here, "drivers"))
    kept = read_lines(os.path.join(here, "drivers.keep"))
    dependencies = {}
    for line in open(os.path.join(source, "modules.dep")):
        path, _, rest = line.partition(":")
        dependencies[path] = rest.split()

    def under(path, prefixes):
        name = path.removeprefix("kernel/")
        return any(name.startswith(prefix + "/") or name.split(".ko")[0] == prefix for prefix in prefixes)

    for prefix in left_out + kept:
        if not any(under(path, [prefix]) for path in dependencies):
            print(f"os: ignoring '{prefix}' in os/drivers or os/drivers.keep: this kernel has no such module", file=sys.stderr)
    chosen = {path for path in dependencies if not under(path, left_out) or under(path, kept)}
    for path in list(chosen):
        chosen.update(dependencies[path])
    return sorted(chosen)


def add_modules(root, sysroot, uname):
    source = os.path.join(sysroot, "usr/lib/modules", uname)
    where = f"usr/lib/modules/{uname}"
    chosen = choose_modules(source)
    with tempfile.TemporaryDirectory() as staging:
        top = os.path.join(staging, where)
        for path in chosen + ["modules.builtin", "modules.builtin.modinfo", "modules.order"]:
            target = os.path.join(top, path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(os.path.join(source, path), target)
        os.symlink("usr/lib", os.path.join(staging, "lib"))
        subprocess.run(["depmod", "--basedir", staging, uname], check=True)
        for name in sorted(os.listdir(top)):
            path = os.path.join(top, name)
            # libkmod reads the binary indexes; the text beside them is as large again.
            if os.path.isfile(path) and name not in ("modules.alias", "modules.symbols", "modules.builtin.modinfo"):
                root.file(f"{where}/{name}", open(path, "rb").read())
    for path in chosen:
        root.file(f"{where}/{path}", os.path.join(source, path))
    return len(chosen)


def main():
    raw, sysroot, uname, multiarch, output, epoch, libraries, policy = sys.argv[1:]
    root = Root(int(epoch))
    with tarfile.open(raw) as archive:
        root.load(archive)
        installed = trim(root)
        lock_accounts(root)
        count = add_modules(root, sysroot, uname)
        for path, mode in FOLDERS.items():
            root.directory(path, mode)
        root.overlay(os.path.join(here, "overlay"))
        root.file("usr/lib/apus/workload.apparmor", policy)
        drop_dangling_but_agent(root)
        copy_libraries(root, multiarch, libraries)
        add_stand_ins(root, libraries)
        root.write(output + ".new")
    with open(output + ".packages", "w") as file:
        file.writelines(f"{name} {installed[name]}\n" for name in sorted(installed))
    os.rename(output + ".new", output)
    print(f"os: {len(installed)} packages, {count} kernel modules")


def drop_dangling_but_agent(root):
    for path in [p for p in root.entries if p.startswith("etc/systemd/system/") and root.entries[p][0].issym()]:
        target = root.entries[path][0].linkname
        if target.startswith("/usr/lib/systemd/") and target.strip("/") not in root.entries:
            fail(f"'/{path}' in os/overlay enables '{target}', which is not there: add its package to os/packages")


def add_stand_ins(root, libraries):
    """Stand-ins where only the agent's run path looks: 3 MB less of its memory, and the real ones for all else."""
    with tempfile.TemporaryDirectory() as work:
        for name, path in stubs.build_all([libraries], work).items():
            with open(path, "rb") as file:
                root.file(f"usr/lib/apus/lib/{name}", file.read(), 0o755)


def copy_libraries(root, multiarch, directory):
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    folder = f"usr/lib/{multiarch}"
    for path in sorted(root.entries):
        if posixpath.dirname(path) != folder or ".so" not in path:
            continue
        info = root.entries[path][0]
        target = os.path.join(directory, posixpath.basename(path))
        if info.issym():
            os.symlink(info.linkname, target)
        elif info.isreg():
            with open(target, "wb") as file:
                file.write(root.read(path))


main()
