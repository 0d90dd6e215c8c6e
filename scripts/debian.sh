# Shared by the shell parts of the build: where Debian packages come from and how they are fetched without root.
# Sourced, never run. Everything lands below .out/, which any of these scripts may be told to rebuild by deleting it.
# shellcheck shell=bash

set -euo pipefail
umask 022
export LC_ALL=C.UTF-8 TZ=UTC

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=${APUS_OUT:-$repository/.out}
suite=trixie
part=${0##*/}

# Debian's architecture name is the only one here; the names that other parties use are derived at this one place.
architecture=${APUS_ARCHITECTURE:-amd64}
case $architecture in
    amd64) multiarch=x86_64-linux-gnu loader=ld-linux-x86-64.so.2 efi_architecture=x64 ;;
    arm64) multiarch=aarch64-linux-gnu loader=ld-linux-aarch64.so.1 efi_architecture=aa64 ;;
    *) printf '%s: architecture %s is not supported: use amd64 or arm64\n' "$part" "$architecture" >&2; exit 1 ;;
esac

say() { printf '%s: %s\n' "$part" "$*"; }
die() { printf '%s: %s\n' "$part" "$*" >&2; exit 1; }
megabytes() { awk -v bytes="$1" 'BEGIN { printf "%.2f", bytes / 1000000 }'; }

need() {
    local program
    for program in "$@"; do
        command -v "$program" > /dev/null ||
            PATH=$PATH:/usr/sbin:/sbin command -v "$program" > /dev/null ||
            die "'$program' is missing: run scripts/install-packages.sh build"
    done
}
PATH=$PATH:/usr/sbin:/sbin

# Runs its arguments quietly; on failure the last lines of their output are the explanation.
quietly() {
    local log status=0
    log=$(mktemp "${TMPDIR:-/tmp}/apus-log.XXXXXX")
    "$@" > "$log" 2>&1 < /dev/null || status=$?
    if [ "$status" -ne 0 ]; then
        tail -n 25 "$log" >&2
        rm -f "$log"
        return "$status"
    fi
    rm -f "$log"
}

# Sets `mirror` and `security` (may be empty). MIRROR= wins; else what this machine's apt uses for Debian, in either
# of apt's source formats, which `--print-uris` resolves for us; else, on a machine that is not Debian's, Debian's own
# address. A repository counts as Debian's by its suite names, because a mirror may live below any host and path.
find_mirror() {
    local uris codenames='buster|bullseye|bookworm|trixie|forky|duke|sid|unstable|testing|stable|oldstable'
    security=${SECURITY_MIRROR:-}
    if [ -n "${MIRROR:-}" ]; then
        mirror=${MIRROR%/}
        return
    fi
    uris=$(apt-get update --print-uris 2> /dev/null | sed -n "s/^'\([^']*\)'.*/\1/p")
    mirror=$(sed -nE "s#/dists/($codenames)/InRelease\$##p" <<< "$uris" | head -n 1)
    [ -n "$security" ] ||
        security=$(sed -nE "s#/dists/($codenames)-security/InRelease\$##p" <<< "$uris" | head -n 1)
    if [ -z "$mirror" ]; then
        mirror=http://deb.debian.org/debian
        security=${security:-http://deb.debian.org/debian-security}
    fi
}

find_keyring() {
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -e "$keyring" ] || keyring=/usr/share/keyrings/debian-archive-keyring.pgp
    [ -e "$keyring" ] ||
        die "Debian's archive keys are missing: run scripts/install-packages.sh build (package debian-archive-keyring)"
}

# The lines of a sources.list for the target suite.
source_lines() {
    local options="[arch=$architecture signed-by=$keyring]"
    printf 'deb %s %s %s main%s\n' "$options" "$mirror" "$suite" "${extra_components:-}"
    printf 'deb %s %s %s-updates main%s\n' "$options" "$mirror" "$suite" "${extra_components:-}"
    if [ -n "$security" ]; then
        printf 'deb %s %s %s-security main%s\n' "$options" "$security" "$suite" "${extra_components:-}"
    fi
}

# How this machine reaches its mirror (proxies, certificates, clock checks): carried over, nothing else is.
transport_settings() {
    apt-config dump |
        grep -E '^Acquire::(http|https|ftp|Check-Date|Check-Valid-Until|Retries|ForceIPv4|ForceIPv6)(::[^ ]*)? "[^"]' || true
}

# An apt of our own below .out/cache/apt: needs no root, and neither sees nor changes what this machine has installed.
prepare_apt() {
    local state=$out/cache/apt
    find_mirror
    find_keyring
    mkdir -p "$state"/{etc/parts,etc/preferences,etc/trusted,state/lists/partial,cache/archives/partial}
    source_lines > "$state/etc/sources.list"
    : > "$state/status"
    {
        printf 'APT::Architecture "%s";\nAPT::Architectures { "%s"; };\n' "$architecture" "$architecture"
        printf 'APT::Install-Recommends "false";\nAPT::Sandbox::User "";\nAcquire::Languages "none";\n'
        printf 'Dir::Etc::main "/dev/null";\nDir::Etc::parts "%s/etc/parts";\n' "$state"
        printf 'Dir::Etc::sourcelist "%s/etc/sources.list";\nDir::Etc::sourceparts "/dev/null";\n' "$state"
        printf 'Dir::Etc::preferences "/dev/null";\nDir::Etc::preferencesparts "%s/etc/preferences";\n' "$state"
        printf 'Dir::Etc::trusted "/dev/null";\nDir::Etc::trustedparts "%s/etc/trusted";\n' "$state"
        printf 'Dir::State "%s/state";\nDir::State::status "%s/status";\nDir::Cache "%s/cache";\n' "$state" "$state" "$state"
        printf 'Dir::Log "%s/state";\nDebug::NoLocking "false";\nQuiet "2";\n' "$state"
        transport_settings
    } > "$state/apt.conf"
    archives=$state/cache/archives
    export APT_CONFIG=$state/apt.conf
}

refresh_lists() {
    quietly apt-get update --error-on=any ||
        die "cannot read Debian $suite from $mirror: set MIRROR= to a mirror that has it, or install a newer debian-archive-keyring if a signature is the trouble"
}

# `sha256sum` over the named files' contents and any extra words: the stamp of a cached stage.
stamp_of() {
    local file
    {
        for file in "$@"; do
            if [ -e "$file" ]; then sha256sum < "$file"; else printf '%s\n' "$file"; fi
        done
    } | sha256sum | cut -c 1-64
}

sysroot=$out/sysroot
library_path=$sysroot/usr/lib/$multiarch:$sysroot/usr/lib/$multiarch/systemd
# Runs one of the sysroot's programs with the sysroot's loader and libraries, whatever this machine has.
in_sysroot() { "$sysroot/usr/lib/$multiarch/$loader" --library-path "$library_path" "$@"; }
