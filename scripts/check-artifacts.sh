#!/bin/bash
# Checks what initramfs/build.sh and os/build.sh made, against real parts: the packed libraries carry out an https
# transfer and refuse an unknown certificate; programs that Debian 13 cannot run are refused in one line; every module
# finds what it depends on; the same inputs give the same bytes. Takes a few seconds; prints one line per check.
#
#   scripts/check-artifacts.sh --init PATH --agent PATH
source "$(dirname "${BASH_SOURCE[0]}")/debian.sh"
part=check-artifacts

init= agent=
while [ $# -gt 0 ]; do
    case $1 in
        --init) init=${2:?}; shift ;;
        --agent) agent=${2:?}; shift ;;
        *) die "unknown option '$1'" ;;
    esac
    shift
done
[ -f "$init" ] && [ -f "$agent" ] || die "say what to check: --init PATH --agent PATH"
need cc openssl
work=$(mktemp -d)
trap 'kill $(jobs -p) 2> /dev/null || true; rm -rf "$work"' EXIT
python=$out/tools/python3
passed() { printf 'ok   %s\n' "$*"; }
failed() { printf 'FAIL %s\n' "$*" >&2; exit 1; }

"$repository/initramfs/build.sh" --init "$init" > "$work/table" || failed "the initramfs is within its budget"
passed "the initramfs is within its budget:$(sed -n 's/^ *initramfs *\([0-9.]* MB\).*/ \1/p' "$work/table")"

# --- https with the packed libraries ---
"$python" - "$out/base/work/programs.cpio" "$work/root" << 'PYTHON'
import os, stat, sys
data, at = open(sys.argv[1], "rb").read(), 0
while True:
    fields = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
    name = data[at + 110 : at + 109 + fields[11]].decode()
    at = (at + 110 + fields[11] + 3) // 4 * 4
    contents, at = data[at : at + fields[6]], (at + fields[6] + 3) // 4 * 4
    if name == "TRAILER!!!":
        break
    path = os.path.join(sys.argv[2], name)
    if stat.S_ISDIR(fields[1]):
        os.makedirs(path, exist_ok=True)
    elif stat.S_ISREG(fields[1]):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, "wb").write(contents)
        os.chmod(path, 0o755)
PYTHON
cat > "$work/get.c" << 'C'
#include <curl/curl.h>
#include <stdio.h>
static size_t count(char *data, size_t size, size_t items, void *total) { *(size_t *)total += size * items; return items; }
int main(int argc, char **argv) {
    size_t total = 0;
    if (curl_global_init(CURL_GLOBAL_ALL) || !curl_version_info(CURLVERSION_NOW) || !curl_version()) return 90;
    CURL *curl = curl_easy_init();
    curl_easy_setopt(curl, CURLOPT_URL, argv[1]);
    curl_easy_setopt(curl, CURLOPT_CAINFO, argv[2]);
    curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, count);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &total);
    CURLcode result = curl_easy_perform(curl);
    curl_easy_cleanup(curl);
    curl_global_cleanup();
    printf("%zu\n", total);
    return result;
}
C
cc -o "$work/get" "$work/get.c" -lcurl
for name in server other; do
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$name" \
        -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' -keyout "$work/$name.key" -out "$work/$name.crt" 2> /dev/null
done
head -c 3000000 /dev/zero > "$work/file"
"$python" - "$work" << 'PYTHON' &
import functools, http.server, os, ssl, sys
class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=sys.argv[1]))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1] + "/server.crt", sys.argv[1] + "/server.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
with open(sys.argv[1] + "/port.new", "w") as file:
    file.write(str(server.server_address[1]))
os.rename(sys.argv[1] + "/port.new", sys.argv[1] + "/port")
server.serve_forever()
PYTHON
for _ in $(seq 200); do [ -e "$work/port" ] && break; sleep 0.05; done
[ -e "$work/port" ] || failed "the check's own https server starts"
url=https://localhost:$(cat "$work/port")/file
packed=$work/root/usr/lib/$multiarch
get() { "$packed/$loader" --library-path "$packed" "$work/get" "$url" "$1"; }
[ "$(get "$work/server.crt")" = 3000000 ] || failed "the packed libraries carry out an https transfer"
passed "the packed libraries carry out an https transfer"
status=0; get "$work/other.crt" > /dev/null || status=$?
[ "$status" -eq 60 ] || failed "the packed libraries refuse an unknown certificate (libcurl's code $status instead of 60)"
passed "the packed libraries refuse an unknown certificate"

# --- programs of another system ---
printf 'int ZSTD_future(void) { return 0; }\n' > "$work/future.c"
printf 'ZSTD_9 { global: *; };\n' > "$work/future.map"
cc -shared -fPIC -Wl,-soname,libzstd.so.1 -Wl,--version-script,"$work/future.map" -o "$work/libzstd.so.1" "$work/future.c"
printf 'int ZSTD_future(void); int main(void) { return ZSTD_future(); }\n' > "$work/newer.c"
cc -o "$work/newer" "$work/newer.c" "$work/libzstd.so.1"
refused() {
    local output status=0
    output=$("$@" 2>&1) || status=$?
    [ "$status" -ne 0 ] && [ "$(tail -n 1 <<< "$output" | grep -c 'ZSTD_future@ZSTD_9')" -eq 1 ] && ! grep -q Traceback <<< "$output"
}
refused "$repository/initramfs/build.sh" --init "$work/newer" || failed "a first process that needs newer libraries is refused"
refused "$repository/os/build.sh" --agent "$work/newer" --version 1 --output "$work/none.tar" ||
    failed "an agent that needs newer libraries is refused"
passed "programs that need newer libraries are refused"

# --- the OS ---
"$repository/os/build.sh" --agent "$agent" --version 1.0.0 --output "$work/one.tar" > /dev/null
"$repository/os/build.sh" --agent "$agent" --version 1.0.0 --output "$work/two.tar" > /dev/null
cmp --silent "$work/one.tar" "$work/two.tar" || failed "the same OS twice has the same bytes"
passed "the same OS twice has the same bytes"
mkdir "$work/os"
tar --extract --file "$work/one.tar" --directory "$work/os" --no-same-owner --wildcards './usr/lib/modules/*' ./usr/lib/os-release
"$python" - "$work/os/usr/lib/modules/$(cat "$sysroot/uname")" << 'PYTHON' || failed "the OS's modules find what they depend on"
import os, sys
for line in open(sys.argv[1] + "/modules.dep"):
    for path in line.replace(":", "").split():
        if not os.path.exists(os.path.join(sys.argv[1], path)):
            sys.exit(f"{path} is missing")
PYTHON
passed "the OS's modules find what they depend on"
grep -q '^IMAGE_VERSION="1.0.0"$' "$work/os/usr/lib/os-release" || failed "the OS names its version"
passed "the OS names its version"

mkdir -p "$work/overlay/etc/site" && echo hello > "$work/overlay/etc/site/file"
"$repository/os/build.sh" --agent "$agent" --version 1.0.1 --overlay "$work/overlay" --output "$work/three.tar" > /dev/null
tar --list --file "$work/three.tar" ./etc/site/file > /dev/null 2>&1 || failed "an overlay changes the OS"
passed "an overlay changes the OS"

# --- an image of it ---
for number in 1 2; do
    "$out/tools/mkfs.erofs" --quiet -b4096 -T0 -U00000000-0000-0000-0000-000000000001 -Enoinline_data --tar=f \
        "$work/$number.erofs" "$work/one.tar" 2> "$work/log" || { cat "$work/log" >&2; failed "the OS becomes an image"; }
done
cmp --silent "$work/1.erofs" "$work/2.erofs" || failed "the same image twice has the same bytes"
"$out/tools/fsck.erofs" "$work/1.erofs" > "$work/log" 2>&1 || { cat "$work/log" >&2; failed "fsck.erofs finds no fault in the image"; }
passed "the OS becomes the same image twice, and fsck.erofs finds no fault in it ($(megabytes "$(stat -c %s "$work/1.erofs")") MB)"
