#!/bin/bash
# Prints the `swift build` options for programs that run on nodes, for `swift build $(scripts/node-flags.sh)`.
#
# Swift's runtime and the C++ library are linked in, so that only C libraries of Debian's are needed, and of all of them
# only what is used: nothing is exported, which would keep it, and the C++ library's shared form would add 0.7 MB to the
# initramfs. Relative relocations are packed (0.1 MB). The agent looks first for the stand-ins of libraries that libcurl
# asks for and nobody calls (scripts/stubs.py): by RPATH, because RUNPATH does not hold for what libcurl itself needs.
source "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

cxx=$(cc -print-file-name=libstdc++.a)
[ -f "$cxx" ] || die "the static C++ library is missing: run scripts/install-packages.sh build"
# A directory with nothing but the archive in it: the linker takes the shared library wherever it sees both.
mkdir -p "$out/static"
ln -sfn "$cxx" "$out/static/libstdc++.a"
printf '{ local: *; };\n' > "$out/static/nothing-exported.map"

printf '%s\n' --static-swift-stdlib -Xswiftc -Osize -Xswiftc -gnone -Xswiftc -use-ld=lld \
    -Xlinker --disable-new-dtags -Xlinker -rpath -Xlinker /usr/lib/apus/lib -Xlinker --gc-sections \
    -Xlinker -z -Xlinker pack-relative-relocs -Xlinker "-L$out/static" \
    -Xlinker "--version-script=$out/static/nothing-exported.map"
