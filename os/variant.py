"""Adds the agent, the version and a site's overlays to the base; seconds, so that a variant costs no more.

usage: variant.py BASE-TAR LIBRARIES AGENT VERSION OUTPUT EPOCH [OVERLAY...]
"""

import os
import re
import subprocess
import sys
import tarfile
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../scripts"))
import elf  # noqa: E402
from tarball import Root  # noqa: E402


def fail(message):
    sys.exit(f"os: {message}")


def check(agent, libraries):
    """Refuses an agent that the OS's libraries cannot run."""
    try:
        objects = elf.closure([agent], [libraries])
    except KeyError as error:
        fail(f"the OS lacks {error.args[0]}: add its package to os/packages")
    except elf.NotELF:
        fail(f"'{agent}' is not a program for this architecture")
    for path, what in elf.missing(objects):
        fail(f"{os.path.basename(path)} needs {what}, which Debian 13 does not have: build Apus on Debian 12, Debian 13 "
             "or Ubuntu 24.04 (a container will do), not on a newer system")


def stripped(path):
    with tempfile.TemporaryDirectory() as work:
        target = os.path.join(work, "agent")
        subprocess.run(["strip", "--strip-all", "-o", target, path], check=True)
        with open(target, "rb") as file:
            return file.read()


def os_release(text, version):
    """os-release(5) of the image: Debian's, with the image's own name and version."""
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    number = fields.get("VERSION_ID", '""').strip('"')
    fields.update({
        "PRETTY_NAME": f'"Apus {version} (Debian {number})"',
        "VARIANT": '"Apus node"',
        "VARIANT_ID": "apus",
        "IMAGE_ID": "apus",
        "IMAGE_VERSION": f'"{version}"',
        "DEFAULT_HOSTNAME": '"apus"',
    })
    return "".join(f"{name}={value}\n" for name, value in fields.items())


def main():
    base, libraries, agent, version, output, epoch, *overlays = sys.argv[1:]
    if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z._~^+-]{0,63}", version):
        fail(f"'{version}' cannot be a version: use letters, digits and ._~^+- only, 64 at most")
    check(agent, libraries)
    root = Root(int(epoch))
    with tarfile.open(base) as archive:
        root.load(archive)
        root.file("usr/lib/apus/apus-agent", stripped(agent), 0o755)
        root.file("usr/lib/os-release", os_release(root.read("usr/lib/os-release").decode(), version).encode())
        for directory in overlays:
            if not os.path.isdir(directory):
                fail(f"the overlay '{directory}' is not a folder")
            try:
                root.overlay(directory)
            except ValueError as error:
                fail(f"the overlay '{directory}' does not fit: {error}")
        total = root.write(output + ".new")
    os.rename(output + ".new", output)
    print(f"os: version {version}, {len(root.entries)} entries, {total / 1e6:.1f} MB of files")


main()
