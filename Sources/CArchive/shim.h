#pragma once
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>

// libarchive converts the UTF-8 names of pax headers to the thread's locale, and mangles them where that is not UTF-8.
// C.UTF-8 is built into glibc since 2.35. LC_ALL_MASK and the locale_t that names the process's own locale are macros
// with casts, which Swift does not see. Returns what is in force from now on, or a null pointer; *before is what was.
static inline locale_t apus_archive_enter_utf8(locale_t *before) {
    locale_t utf8 = newlocale(LC_ALL_MASK, "C.UTF-8", (locale_t)0);
    if (utf8 != (locale_t)0) *before = uselocale(utf8);
    return utf8;
}

static inline void apus_archive_leave_utf8(locale_t utf8, locale_t before) {
    uselocale(before);
    freelocale(utf8);
}

// The types of an entry: macros with casts.
static const unsigned apus_archive_regular = AE_IFREG;
static const unsigned apus_archive_symlink = AE_IFLNK;
static const unsigned apus_archive_socket = AE_IFSOCK;
static const unsigned apus_archive_character = AE_IFCHR;
static const unsigned apus_archive_block = AE_IFBLK;
static const unsigned apus_archive_directory = AE_IFDIR;
static const unsigned apus_archive_fifo = AE_IFIFO;

// archive_set_error is variadic.
static inline void apus_archive_set_error(struct archive *archive, const char *text) {
    archive_set_error(archive, EINVAL, "%s", text);
}
