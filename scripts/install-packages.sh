#!/bin/bash
# Installs, by name, the Debian packages that building and rehearsing take and that this machine lacks.
#
#   scripts/install-packages.sh [build|lab]...        (both when none is named)
#
# For Debian 12 and newer and Ubuntu 24.04 and newer, with a Swift 6.2 toolchain or newer, which Debian does not package:
# https://www.swift.org/install/linux/. Asks for root (sudo) only where something is missing. With --check it installs
# nothing, and fails where something is missing.
set -euo pipefail

die() { printf 'install-packages: %s\n' "$*" >&2; exit 1; }

build=(
    # C libraries of the node's and server's programs, and what finds them
    libarchive-dev libcurl4-openssl-dev libefiboot-dev libefivar-dev libfdisk-dev libkmod-dev libsqlite3-dev libssl-dev
    libzstd-dev pkg-config
    # a C compiler and linker for Swift and for the initramfs's stand-in libraries, with the static C++ library
    binutils gcc g++ libc6-dev
    # Debian 13, fetched and unpacked with its own tools
    ca-certificates debian-archive-keyring dpkg kmod mmdebstrap uidmap zstd
    # the Makefile and scripts
    git make util-linux
)
lab=(
    curl dnsmasq-base dosfstools e2fsprogs efibootmgr fdisk iproute2 mtools ovmf qemu-system-x86 qemu-utils
    # what scenarios and tests check the result with
    bsdutils busybox-static crun cryptsetup-bin docker-registry erofs-utils gdisk nftables openssl procps
    python3 sbsigntool systemd xz-utils
)

check=no groups=()
for argument in "$@"; do
    case $argument in
        build | lab) groups+=("$argument") ;;
        --check) check=yes ;;
        *) die "unknown group '$argument': use build, lab or --check" ;;
    esac
done
[ ${#groups[@]} -gt 0 ] || groups=(build lab)

command -v dpkg-query > /dev/null && command -v apt-get > /dev/null ||
    die "this system has no apt: use Debian 12 or newer or Ubuntu 24.04 or newer (a container will do)"
# shellcheck source=/dev/null
. /etc/os-release
case ${ID:-}:${VERSION_ID:-} in
    debian:[1-9] | debian:10 | debian:11 | ubuntu:1?.* | ubuntu:20.* | ubuntu:22.*)
        die "${PRETTY_NAME:-this system} is too old: use Debian 12 or newer or Ubuntu 24.04 or newer (a container will do)" ;;
esac
case $(uname -m) in
    x86_64) ;;
    *) die "only amd64 machines can build Apus for now, and this one is $(uname -m)" ;;
esac

missing=()
for group in "${groups[@]}"; do
    declare -n names=$group
    for name in "${names[@]}"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$name" 2> /dev/null | grep -qx installed || missing+=("$name")
    done
done
if [ ${#missing[@]} -gt 0 ]; then
    [ "$check" = no ] || die "missing packages: ${missing[*]}: run scripts/install-packages.sh ${groups[*]}"
    root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo > /dev/null || die "missing packages, and no sudo to install them: as root, run: apt-get install ${missing[*]}"
        root=(sudo)
    fi
    printf 'install-packages: installing %s\n' "${missing[*]}"
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    if ! {
        "${root[@]}" apt-get update --quiet=2 &&
            "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends "${missing[@]}"
    } > "$log" 2>&1; then
        tail -n 15 "$log" >&2
        die "apt could not install ${missing[*]}: see above"
    fi
    # Scenarios start registries of their own on loopback; the package would leave one open to the network.
    if [[ " ${missing[*]} " == *" docker-registry "* ]] && [ -d /run/systemd/system ]; then
        "${root[@]}" systemctl disable --quiet --now docker-registry.service
    fi
fi

command -v swift > /dev/null ||
    die "no Swift toolchain on PATH: install Swift 6.2 or newer from https://www.swift.org/install/linux/"
version=$(swift --version 2> /dev/null | sed -nE 's/.*Swift version ([0-9]+)\.([0-9]+).*/\1 \2/p' | head -n 1)
read -r major minor <<< "${version:-0 0}"
if [ "$major" -lt 6 ] || { [ "$major" -eq 6 ] && [ "$minor" -lt 2 ]; }; then
    die "Swift $major.$minor is too old: install Swift 6.2 or newer from https://www.swift.org/install/linux/"
fi
