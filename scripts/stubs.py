"""Stand-ins for libraries that Debian's libcurl is linked to and that the node's programs never use.

Debian builds libcurl with Kerberos, LDAP, SSH, RTMP, HTTP/3, IDN, the public suffix list and brotli; with what those
need in turn (GnuTLS among it) they are two thirds of its closure. The loader insists on every one of them, but an
https transfer with a verified certificate calls none. So each is replaced by a tiny library with the same soname and
exactly the symbols and versions that libcurl imports from it. All functions answer 0 or NULL, except where that would
mean success or be dereferenced: those answer as a failing library does. HTTP/2 (nghttp2) stays real, because libcurl
speaks it to any server that offers it.
"""

import os
import subprocess

import elf

REPLACED = [
    "libbrotlidec.so.1",
    "libgssapi_krb5.so.2",
    "libidn2.so.0",
    "liblber.so.2",
    "libldap.so.2",
    "libnghttp3.so.9",
    "libpsl.so.5",
    "librtmp.so.1",
    "libssh2.so.1",
]

# What a stand-in's function does instead of answering 0, by name; whole definitions in C.
PARTICULAR = {
    # libcurl prints what these return, without looking.
    "nghttp3_version": "const void *nghttp3_version(int least) {"
    " static const struct { int age, number; const char *text; } info = {1, 0, \"none\"}; return &info; }",
    "libssh2_version": "const char *libssh2_version(int least) { return \"none\"; }",
    # 0 would be success, with the answer's memory left as it was.
    "ldap_get_option": "int ldap_get_option(void *handle, int option, void *value) { return -1; }",
}


def definition(name, is_data):
    if name in PARTICULAR:
        return PARTICULAR[name]
    if is_data:
        return f"const void *{name}[8];"
    if name.startswith("gss_"):
        return f"unsigned {name}(void) {{ return 13u << 16; /* GSS_S_FAILURE */ }}"
    return f"void *{name}(void) {{ return 0; }}"


def build(importer, library, real, directory):
    """Compiles the stand-in of `library` for the ELF object `importer` into `directory`; returns its path.

    `real` is the library that it replaces: a symbol without a version belongs to it if it defines that name.
    """
    wanted = [(name, version, data) for name, version, _, data in importer.undefined if (name, version) in real.defined]
    versions = {}
    for name, version, _ in wanted:
        versions.setdefault(version, []).append(name)
    source, script, target = (os.path.join(directory, library + suffix) for suffix in (".c", ".map", ""))
    with open(source, "w") as file:
        file.write("\n".join(definition(name, data) for name, _, data in sorted(set(wanted), key=str)) + "\n")
    with open(script, "w") as file:
        for version in sorted(versions, key=lambda v: v or ""):
            names = "".join(f" {name};" for name in sorted(set(versions[version])))
            if version is None:
                # An anonymous node may not stand beside named ones; no library mixes the two.
                file.write(f"{{ global:{names} local: *; }};\n")
            else:
                file.write(f"{version} {{ global:{names} }};\n")
    command = ["cc", "-shared", "-nostdlib", "-fPIC", "-O1", "-w", "-fno-ident", "-fno-asynchronous-unwind-tables",
               "-fcf-protection=none", "-Wl,--build-id=none", "-Wl,-z,noexecstack", "-Wl,-z,noseparate-code", "-Wl,-s",
               f"-Wl,-soname,{real.soname}", f"-Wl,--version-script,{script}", source, "-o", target]
    subprocess.run(command, check=True)
    return target


def build_all(directories, work):
    """Compiles the stand-ins that the libcurl found in `directories` really asks for; paths by soname."""
    curl = elf.Object(elf.find("libcurl.so.4", directories))
    made = {}
    for library in REPLACED:
        if library in curl.needed:
            made[library] = build(curl, library, elf.Object(elf.find(library, directories)), work)
    return made
