#!/bin/bash
# Makes the reference OS's root file system as a tar archive, for `apus release build --root`.
#
#   os/build.sh --agent PATH --version V [--packages "a b"] [--overlay DIR]... [--output FILE] [--refresh]
#   os/build.sh --debian-only [--packages "a b"] [--refresh]
#
# The second form does what needs no program yet, so that it can go on while the programs are compiled.
# Writes .out/os/root.tar. Debian is installed once for a set of packages and kept below .out/os/cache; the agent, the
# version and overlays come on top, so that another variant takes seconds. Works as root, in a container, and as an
# ordinary user with subordinate ids (mmdebstrap's unshare mode). The same packages give the same bytes.
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/debian.sh"
part=os

agent= version= extra= output=$out/os/root.tar refresh=no debian_only=no overlays=()
while [ $# -gt 0 ]; do
    case $1 in
        --agent) agent=${2:?--agent needs a path}; shift ;;
        --version) version=${2:?--version needs a version}; shift ;;
        --packages) extra=${2-}; shift ;;
        --overlay) overlays+=("${2:?--overlay needs a folder}"); shift ;;
        --output) output=${2:?--output needs a path}; shift ;;
        --refresh) refresh=yes ;;
        --debian-only) debian_only=yes ;;
        *) die "unknown option '$1'" ;;
    esac
    shift
done
if [ "$debian_only" = no ]; then
    [ -n "$agent" ] || die "say which program is the agent: --agent PATH"
    [ -f "$agent" ] || die "'$agent' does not exist: build apus-agent first (swift build -c release --product apus-agent)"
    [ -n "$version" ] || die "say which version this is: --version V"
fi

"$repository/scripts/sysroot.sh"
need cc mmdebstrap strip depmod
export SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH=$(cat "$sysroot/epoch")
uname=$(cat "$sysroot/uname")
here=$repository/os
cache=$out/os/cache
python=$out/tools/python3
mkdir -p "$cache"
exec 9> "$cache/.lock"
flock 9

read -r -a extras <<< "${extra//,/ }"
mapfile -t packages < <({
    sed -E 's/#.*//; s/[[:space:]]+//g; /^$/d' "$here/packages"
    [ ${#extras[@]} -eq 0 ] || printf '%s\n' "${extras[@]}"
} | sort -u)

# How mmdebstrap gets a root: really, or in a user namespace of its own.
mode() {
    if [ "$(id -u)" -eq 0 ]; then
        echo root
        return
    fi
    need newuidmap
    grep -q "^$(id -un):" /etc/subuid 2> /dev/null ||
        die "'$(id -un)' has no subordinate ids, which unpacking Debian without root takes: run 'sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $(id -un)' once"
    unshare --user --map-root-user true 2> /dev/null ||
        die "this system forbids user namespaces to ordinary users: allow them, or run this as root"
    echo unshare
}

# --- Debian, as its packages install it ---
raw_stamp=$(stamp_of "$architecture" "$suite" "${packages[@]}")
raw=$cache/debian-${raw_stamp:0:16}.tar
if [ "$refresh" = yes ] || [ ! -e "$raw" ]; then
    mode=$(mode)
    prepare_apt
    unset APT_CONFIG
    options=()
    while read -r setting; do options+=("--aptopt=$setting"); done < <(transport_settings)
    say "installing ${#packages[@]} packages and what they need (about a minute)"
    quietly mmdebstrap --mode="$mode" --variant=essential --architectures="$architecture" --format=tar \
        --include="$(IFS=,; printf '%s' "${packages[*]}")" --skip=download/empty,essential/unlink \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
        "${options[@]}" \
        --setup-hook='mkdir -p "$1/var/cache/apt/archives"' --setup-hook="sync-in '$archives' /var/cache/apt/archives" \
        --customize-hook="sync-out /var/cache/apt/archives '$archives'" \
        "$suite" "$raw.new" "$(source_lines)" ||
        die "cannot install Debian $suite from $mirror: see above"
    rm -f "$cache"/debian-*.tar.old
    mv "$raw.new" "$raw"
fi

# --- the workloads' AppArmor profile, compiled for the kernel's features as its ABI names them ---
policy=$cache/apus-workload.apparmor
"$out/tools/apparmor_parser" --config-file /dev/null --skip-kernel-load --skip-cache \
    --kernel-features "$sysroot/etc/apparmor.d/abi/4.0" --ofile "$policy" "$here/apparmor/apus-workload" ||
    die "os/apparmor/apus-workload is no AppArmor profile: see above"

# --- trimmed, with the sysroot's kernel modules ---
base=$cache/base-${raw_stamp:0:16}.tar
stamp=$(stamp_of "$(stat -c "%s %Y" "$raw")" "$here/base.py" "$here/drivers" "$here/drivers.keep" "$policy" "$repository/scripts/tarball.py" "$repository/scripts/stubs.py" \
    "$sysroot/packages" "$(cd "$here/overlay" && find . \( -type f -exec sha256sum {} + \) -o \( -type l -printf '%p -> %l\n' \) | sort)")
if [ "$(cat "$base.stamp" 2> /dev/null)" != "$stamp" ]; then
    "$python" "$here/base.py" "$raw" "$sysroot" "$uname" "$multiarch" "$base" "$SOURCE_DATE_EPOCH" "${base%.tar}.libraries" "$policy"
    printf '%s\n' "$stamp" > "$base.stamp"
fi

if [ "$debian_only" = yes ]; then exit 0; fi

# --- this version ---
mkdir -p "$(dirname "$output")"
"$python" "$here/variant.py" "$base" "${base%.tar}.libraries" "$agent" "$version" "$output" "$SOURCE_DATE_EPOCH" "${overlays[@]}"
install -m 644 "$base.packages" "${output%.tar}.packages"
