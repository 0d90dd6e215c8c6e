#!/bin/bash
# Prints the `swift build` options for programs that run on nodes, one a line:
#
#   mapfile -t flags < <(scripts/node-flags.sh) && swift build -c release "${flags[@]}" --product apus-init
#
# Swift's runtime and the C++ library are linked in, so that only C libraries of Debian's are needed, and of both only
# what is used; without them the initramfs would carry 0.7 MB more. Relative relocations are packed (0.1 MB).
source "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

cxx=$(cc -print-file-name=libstdc++.a)
[ -f "$cxx" ] || die "the static C++ library is missing: run scripts/install-packages.sh build"
# A directory with nothing but the archive in it: the linker takes the shared library wherever it sees both.
mkdir -p "$out/static"
ln -sfn "$cxx" "$out/static/libstdc++.a"

printf '%s\n' --static-swift-stdlib -Xswiftc -use-ld=lld \
    -Xlinker --gc-sections -Xlinker -z -Xlinker pack-relative-relocs -Xlinker "-L$out/static"
