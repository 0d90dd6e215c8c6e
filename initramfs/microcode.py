"""Joins the CPU microcode of the sysroot's packages into the early, uncompressed cpio that the kernel looks for.

usage: microcode.py SYSROOT OUTPUT EPOCH
"""

import glob
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../scripts"))
from archive import Archive  # noqa: E402

sysroot, output, epoch = sys.argv[1:]
archive = Archive(int(epoch))
vendors = {"GenuineIntel": "intel-ucode/*", "AuthenticAMD": "amd-ucode/microcode_amd*.bin"}
for vendor, pattern in vendors.items():
    files = sorted(glob.glob(os.path.join(sysroot, "usr/lib/firmware", pattern)))
    files = [path for path in files if not path.endswith((".initramfs", ".asc", ".README"))]
    if not files:
        sys.exit(f"initramfs: the sysroot holds no microcode for {vendor}: delete .out/sysroot.stamp and try again")
    archive.file(f"kernel/x86/microcode/{vendor}.bin", b"".join(open(path, "rb").read() for path in files))
with open(output, "wb") as file:
    file.write(archive.cpio())
