#!/bin/bash
# Makes the part that every UKI has in common: kernel, EFI stub and initramfs with apus-init and the drivers.
#
#   initramfs/build.sh --init PATH [--firmware] [--microcode]
#   initramfs/build.sh --drivers-only [--firmware]
#
# The second form does what needs no program yet, so that it can go on while the programs are compiled.
# Writes .out/base/{vmlinuz,initrd.zst,linuxx64.efi.stub,os-release,uname,arguments,modules.list}; with --microcode also
# microcode.cpio, for ukify's --microcode. Prints what each part costs and fails over budget: the initramfs may take
# 16 MB, a UKI 28 MB (MB = 10^6 bytes), without the two options, whose cost is shown apart.
# The same inputs give the same bytes. Drivers and programs are two archives, one after the other, which is what the
# kernel makes of concatenated ones: so a changed program does not mean compressing the drivers again.
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/debian.sh"
part=initramfs

initramfs_budget=16000000
uki_budget=28000000

init= firmware=no microcode=no drivers_only=no
while [ $# -gt 0 ]; do
    case $1 in
        --init) init=${2:?--init needs a path}; shift ;;
        --drivers-only) drivers_only=yes ;;
        --firmware) firmware=yes ;;
        --microcode) microcode=yes ;;
        *) die "unknown option '$1'" ;;
    esac
    shift
done
if [ "$drivers_only" = no ]; then
    [ -n "$init" ] || die "say which program is PID 1: --init PATH"
    [ -f "$init" ] || die "'$init' does not exist: build apus-init first (swift build -c release --product apus-init)"
fi

if [ "$firmware$microcode" != nono ]; then export APUS_FIRMWARE=yes; fi
"$repository/scripts/sysroot.sh"
need cc strip zstd depmod
export SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH=$(cat "$sysroot/epoch")
uname=$(cat "$sysroot/uname")
here=$repository/initramfs
base=$out/base
work=$base/work
python=$out/tools/python3
mkdir -p "$work"
exec 9> "$base/.lock"
flock 9

# One thread and Debian 13's zstd: the bytes depend on neither this machine's cores nor its packages. The window, which the
# kernel must find in memory while it unpacks, is what a machine with 256 MB can spare: 8 MiB at level 19, and 16 MiB for
# the drivers, which seldom change and so may take the highest level's time.
compress() {
    "$out/tools/zstd" --quiet --force --single-thread --no-progress "${@:2}" "$1" -o "$1.zst.new" && mv "$1.zst.new" "$1.zst"
}

# Packs the drivers, with firmware or without, unless the same were packed before.
pack_drivers() {
    local packed=$1 stamp arguments
    stamp=$(stamp_of "$here/build.sh" "$here/drivers" "$here/drivers.py" "$repository/scripts/archive.py" "$sysroot.stamp" "$sysroot/packages")
    if [ "$(cat "$packed.stamp" 2> /dev/null)" = "$stamp" ]; then return; fi
    say "packing drivers"
    arguments=("$here/drivers" "$sysroot" "$uname" "$packed" "$SOURCE_DATE_EPOCH" "${@:2}")
    "$python" "$here/drivers.py" "${arguments[@]}"
    compress "$packed" --ultra -22 --zstd=wlog=24
    printf '%s\n' "$stamp" > "$packed.stamp"
}

drivers=$work/drivers.cpio
if [ "$firmware" = yes ]; then
    # The budget is for what every image has; what firmware adds is shown apart.
    pack_drivers "$drivers"
    plain_bytes=$(stat -c %s "$drivers.zst")
    drivers=$work/drivers+firmware.cpio
    pack_drivers "$drivers" "$sysroot/usr/lib/firmware"
else
    pack_drivers "$drivers"
fi
if [ "$drivers_only" = yes ]; then exit 0; fi

programs=$work/programs.cpio
stamp=$(stamp_of "$init" "$here/files" "$here/programs.py" "$repository/scripts/stubs.py" "$repository/scripts/elf.py" \
    "$repository/scripts/archive.py" "$sysroot.stamp" "$sysroot/packages")
if [ "$(cat "$programs.stamp" 2> /dev/null)" != "$stamp" ]; then
    say "packing programs"
    mkdir -p "$work/stubs"
    "$python" "$here/programs.py" "$here/files" "$sysroot" "$multiarch" "$loader" "$init" "$programs" \
        "$SOURCE_DATE_EPOCH" "$work/stubs"
    compress "$programs" -19
    printf '%s\n' "$stamp" > "$programs.stamp"
fi

stub=linux$efi_architecture.efi.stub
install -m 644 "$sysroot/boot/vmlinuz-$uname" "$base/vmlinuz"
install -m 644 "$sysroot/usr/lib/systemd/boot/efi/$stub" "$base/$stub"
install -m 644 "$here/os-release" "$base/os-release"
install -m 644 "$drivers.list" "$base/modules.list"
printf '%s\n' "$uname" > "$base/uname"
sed -E 's/#.*//; /^[[:space:]]*$/d' "$here/arguments" | paste -s -d ' ' > "$base/arguments"
cat "$drivers.zst" "$programs.zst" > "$base/initrd.zst.new"
mv "$base/initrd.zst.new" "$base/initrd.zst"

rm -f "$base/microcode.cpio"
if [ "$microcode" = yes ]; then
    "$python" "$here/microcode.py" "$sysroot" "$base/microcode.cpio" "$SOURCE_DATE_EPOCH"
fi

# --- the size table ---
bytes() { stat -c %s "$1"; }
cell() { [ -z "$1" ] || printf '%s MB' "$(megabytes "$1")"; }
row() { printf '  %-28s %11s %11s\n' "$1" "$(cell "$2")" "$(cell "$3")"; }
size_of() { awk -F '\t' -v what="$2" '$1 == what { print $2 }' "$1.sizes"; }
firmware_bytes=0
[ "$firmware" = no ] || firmware_bytes=$(($(bytes "$drivers.zst") - plain_bytes))
initrd_bytes=$(bytes "$base/initrd.zst")
budgeted=$((initrd_bytes - firmware_bytes))
# A UKI is these sections plus headers, the command line and padding, for which 64 kB is ample.
uki_bytes=$(($(bytes "$base/vmlinuz") + $(bytes "$base/$stub") + budgeted + 65536))
printf '  %-28s %11s %11s\n' 'boot artifact' packed unpacked
row kernel "$(bytes "$base/vmlinuz")" ''
row 'EFI stub' "$(bytes "$base/$stub")" ''
row "drivers ($(wc -l < "$base/modules.list"))" "$(($(bytes "$drivers.zst") - firmware_bytes))" "$(size_of "$drivers" drivers)"
row 'programs, of which' "$(bytes "$programs.zst")" "$(bytes "$programs")"
row '  apus-init' '' "$(size_of "$programs" apus-init)"
row '  libraries' '' "$(size_of "$programs" libraries)"
row '  busybox' '' "$(size_of "$programs" busybox)"
row '  other' '' "$(size_of "$programs" other)"
row 'initramfs' "$budgeted" "$(($(bytes "$work/${drivers##*/}") + $(bytes "$programs")))"
row 'UKI, about' "$uki_bytes" ''
[ "$firmware" = no ] || row 'option: firmware' "$firmware_bytes" "$(size_of "$drivers" firmware)"
[ "$microcode" = no ] || row 'option: microcode' "$(bytes "$base/microcode.cpio")" ''
[ "$budgeted" -le "$initramfs_budget" ] ||
    die "the initramfs takes $(megabytes "$budgeted") MB, over its budget of $(megabytes "$initramfs_budget"): see initramfs/drivers and initramfs/files"
[ "$uki_bytes" -le "$uki_budget" ] ||
    die "a UKI would take $(megabytes "$uki_bytes") MB, over its budget of $(megabytes "$uki_budget")"
