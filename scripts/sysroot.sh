#!/bin/bash
# Makes .out/sysroot: Debian 13's kernel, EFI stub, libraries and image tools, unpacked but not installed, and the
# wrappers in .out/tools that run them. The same on every building machine; never needs root.
#
#   scripts/sysroot.sh [--refresh]
#
# MIRROR= and SECURITY_MIRROR= override the addresses found in this machine's apt configuration. Cached: rebuilt only
# when the package list or this script changes, or with --refresh, which also asks the mirror for newer packages.
# APUS_FIRMWARE=yes adds the firmware and microcode packages (non-free-firmware) that initramfs/build.sh can pack.
source "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

firmware=${APUS_FIRMWARE:-no}
refresh=no
for argument in "$@"; do
    case $argument in
        --refresh) refresh=yes ;;
        *) die "unknown option '$argument'" ;;
    esac
done

need apt-get apt-config dpkg-deb depmod sha256sum
stamp_with() {
    stamp_of "$repository/scripts/debian.sh" "$repository/scripts/sysroot.sh" "$repository/scripts/sysroot.packages" \
        "$architecture" "$suite" "firmware=$1" "at=$out"
}
stamp=$(stamp_with "$firmware")
# A sysroot with firmware serves those that did not ask for it, too.
is_current() {
    local have
    have=$(cat "$sysroot.stamp" 2> /dev/null) && { [ "$have" = "$stamp" ] || [ "$have" = "$(stamp_with yes)" ]; }
}
if [ "$refresh" = no ] && is_current; then
    exit 0
fi
mkdir -p "$out"
exec 9> "$out/.sysroot.lock"
flock 9
if [ "$refresh" = no ] && is_current; then
    exit 0
fi

[ "$firmware" = no ] || extra_components=' non-free-firmware'
prepare_apt
say "reading package lists of Debian $suite"
refresh_lists

mapfile -t packages < <(sed -E 's/#.*//; s/[[:space:]]+//g; /^$/d' "$repository/scripts/sysroot.packages")
kernel=$(apt-cache show --no-all-versions "linux-image-$architecture" |
    sed -nE 's/^Depends:.*(linux-image-[0-9][^ ,]*).*/\1/p' | head -n 1)
[ -n "$kernel" ] || die "cannot tell which kernel linux-image-$architecture stands for at $mirror"
# Programs of which nothing but one file is used; what they recommend to install with them is not needed for that.
loose=("$kernel" apparmor curl docker-registry)
if [ "$firmware" = yes ]; then
    loose+=(firmware-intel-misc firmware-misc-nonfree firmware-realtek amd64-microcode intel-microcode)
fi

say "fetching $kernel, libraries and tools"
# `apt-get install` would pull an initramfs generator in with the kernel; `download` takes a package alone.
quietly apt-get install --download-only --yes "${packages[@]}" || die "cannot fetch packages from $mirror"
(cd "$archives" && quietly apt-get download "${loose[@]}") || die "cannot fetch $kernel from $mirror"
mapfile -t debs < <(
    {
        apt-get install --simulate --yes "${packages[@]}" | sed -nE 's/^Inst ([^ ]+) \(([^ ]+) .*\[([^]]+)\].*/\1 \2 \3/p' |
            while read -r name version arch; do printf '%s_%s_%s.deb\n' "$name" "${version//:/%3a}" "$arch"; done
        for package in "${loose[@]}"; do
            apt-cache show --no-all-versions "$package" | awk -F': ' '
                /^Package:/ { name = $2 } /^Version:/ { version = $2 } /^Architecture:/ { arch = $2 }
                END { gsub(":", "%3a", version); print name "_" version "_" arch ".deb" }'
        done
    } | sort -u)

say "unpacking ${#debs[@]} packages"
rm -rf "$sysroot.new"
mkdir -p "$sysroot.new/usr"/{bin,sbin,lib,lib64}
for directory in bin sbin lib lib64; do ln -s "usr/$directory" "$sysroot.new/$directory"; done
for deb in "${debs[@]}"; do
    [ -e "$archives/$deb" ] || die "apt fetched no '$deb': run this again, with --refresh if that does not help"
    dpkg-deb --extract "$archives/$deb" "$sysroot.new"
done
# dpkg-deb --extract unpacks as the packages say; files that only root may read would hinder everyone else here.
chmod -R u+rwX "$sysroot.new"
printf '%s\n' "${debs[@]}" > "$sysroot.new/packages"

uname=${kernel#linux-image-}
[ -e "$sysroot.new/boot/vmlinuz-$uname" ] || die "'$kernel' holds no boot/vmlinuz-$uname"
printf '%s\n' "$uname" > "$sysroot.new/uname"
# The date that every artifact's files carry: it belongs to the packages, not to the moment of the build.
stat -c %Y "$sysroot.new/boot/vmlinuz-$uname" > "$sysroot.new/epoch"

quietly depmod --basedir "$sysroot.new" "$uname" || die "depmod cannot read the kernel's modules: install kmod"

rm -rf "$sysroot"
mv "$sysroot.new" "$sysroot"

say "writing tools"
mkdir -p "$out/tools"
wrapper() {
    local name=$1
    shift
    {
        printf '#!/bin/sh\n# Runs Debian 13'\''s %s from the sysroot; written by scripts/sysroot.sh.\n' "$name"
        printf 'root=$(cd "$(dirname "$0")/../sysroot" && pwd) || exit 1\n'
        printf 'lib=$root/usr/lib/%s\n' "$multiarch"
        printf '%s\n' "$@"
    } > "$out/tools/$name.new"
    chmod 755 "$out/tools/$name.new"
    mv "$out/tools/$name.new" "$out/tools/$name"
}
run="exec \"\$lib/$loader\" --library-path \"\$lib:\$lib/systemd\""
for tool in usr/bin/mkfs.erofs usr/bin/fsck.erofs usr/bin/dump.erofs usr/sbin/mke2fs usr/bin/zstd \
    usr/bin/docker-registry; do
    wrapper "${tool##*/}" "$run \"\$root/$tool\" \"\$@\""
done
wrapper apparmor_parser "$run \"\$root/usr/sbin/apparmor_parser\" --base \"\$root/etc/apparmor.d\" \"\$@\""
python=$(cd "$sysroot/usr/bin" && ls python3.[0-9]* | head -n 1)
python_run() {
    wrapper "$1" 'export PYTHONHOME=$root/usr PYTHONDONTWRITEBYTECODE=1 PYTHONNOUSERSITE=1' 'unset PYTHONPATH' \
        "$run \"\$root/usr/bin/$python\" $2 \"\$@\""
}
python_run python3 ''
python_run ukify '"$root/usr/bin/ukify"'

"$out/tools/mkfs.erofs" --version > /dev/null 2>&1 || "$out/tools/mkfs.erofs" -V > /dev/null 2>&1 ||
    die "the sysroot's mkfs.erofs does not start on this machine"
"$out/tools/ukify" --version > /dev/null || die "the sysroot's ukify does not start on this machine"

printf '%s\n' "$stamp" > "$sysroot.stamp"
say "Debian $suite, kernel $uname, $(du -sm "$sysroot" | cut -f 1) MB in ${sysroot#"$repository/"}"
