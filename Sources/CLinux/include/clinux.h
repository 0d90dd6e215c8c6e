// What Swift cannot see of the C library and the kernel, one function per system call.
//
// Swift does not import variadic functions (open, fcntl, ioctl, prctl, syscall), function-like macros (WIFEXITED,
// FD_SET, CMSG_*), constants that are casts or `_IOR(...)` expressions, or what hides behind _GNU_SOURCE (O_DIRECT,
// statx, unshare, memfd_create). Every function here returns a negative errno on failure, so that nothing that Swift
// does between the call and the check can overwrite `errno`, and repeats a call that a signal interrupted.
#pragma once
#include "endpoints.h"
#include "probes.h"
#include "sandbox.h"
#include "sockets.h"
#include "wakeup.h"
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Flags of open(2) that need _GNU_SOURCE or differ between architectures.
enum apus_open_flags {
    APUS_READ = 1 << 0,
    APUS_WRITE = 1 << 1,
    APUS_CREATE = 1 << 2,
    APUS_EXCLUSIVE = 1 << 3,
    APUS_TRUNCATE = 1 << 4,
    APUS_APPEND = 1 << 5,
    APUS_DIRECT = 1 << 6,
    APUS_NONBLOCK = 1 << 7,
    APUS_DIRECTORY = 1 << 8,
    APUS_NOFOLLOW = 1 << 9,
    APUS_PATH = 1 << 10,
};

// --- Files -----------------------------------------------------------------------------------------------------
// open(2) is variadic. O_CLOEXEC and O_NOCTTY are always added.
int apus_open(const char *path, unsigned flags, unsigned mode);
int apus_openat(int directory, const char *path, unsigned flags, unsigned mode);
int apus_close(int fd);
int64_t apus_read(int fd, void *buffer, size_t count);
int64_t apus_write(int fd, const void *buffer, size_t count);
int64_t apus_pread(int fd, void *buffer, size_t count, uint64_t offset);
int64_t apus_pwrite(int fd, const void *buffer, size_t count, uint64_t offset);
int apus_fsync(int fd);
int apus_fdatasync(int fd);
// sync_file_range(2) needs _GNU_SOURCE: starts writing dirty pages back without waiting for them.
int apus_start_writeback(int fd, uint64_t offset, uint64_t length);
// Drops clean pages of a range from the page cache (posix_fadvise returns its error instead of setting errno).
int apus_drop_cache(int fd, uint64_t offset, uint64_t length);
int apus_truncate(int fd, uint64_t size);
// fallocate(2) with FALLOC_FL_PUNCH_HOLE, whose flags need _GNU_SOURCE.
int apus_punch_hole(int fd, uint64_t offset, uint64_t length);
int apus_rename(const char *from, const char *to);
int apus_unlink(const char *path);
int apus_unlinkat(int directory, const char *name, int isDirectory);
int apus_mkdir(const char *path, unsigned mode);
int apus_rmdir(const char *path);
int apus_symlink(const char *target, const char *path);
int apus_chmod(const char *path, unsigned mode);
int apus_mknod_block(const char *path, unsigned mode, unsigned major, unsigned minor);
int64_t apus_readlink(const char *path, char *buffer, size_t count);
// realpath(3) into a buffer of PATH_MAX bytes.
int apus_realpath(const char *path, char *buffer, size_t count);
// memfd_create(2) needs _GNU_SOURCE.
int apus_memfd(const char *name);
int apus_pipe(int fds[2]);
int apus_seek_start(int fd);
int apus_set_nonblocking(int fd, int on);
int apus_sync_filesystem(int fd);
// The immutable flag (FS_IOC_SETFLAGS), which efivarfs sets on most variables against accidents with rm.
int apus_set_immutable(const char *path, int immutable);
// flock(2) LOCK_EX | LOCK_NB.
int apus_lock_exclusively(int fd);

// statx(2) needs _GNU_SOURCE; the macros major() and minor() are not visible.
struct apus_status {
    uint64_t size;
    uint64_t device;   // of the file system it lies on
    uint64_t inode;
    uint32_t mode;
    uint32_t owner;
    uint32_t rdev_major;
    uint32_t rdev_minor;
    int64_t modified_seconds;
    int32_t is_regular, is_directory, is_symlink, is_block, is_character;
    int32_t is_mount_point;  // the root of a mount (STATX_ATTR_MOUNT_ROOT)
};
int apus_stat(const char *path, int followSymlinks, struct apus_status *status);
int apus_statat(int directory, const char *name, struct apus_status *status);
int apus_fstat(int fd, struct apus_status *status);

struct apus_space {
    uint64_t total_bytes, available_bytes;
    int64_t type;  // the file system's magic number (statfs(2))
};
int apus_space(const char *path, struct apus_space *space);

// Calls `visit` with each name but `.` and `..`; stops when it returns non-zero. `struct dirent`'s name is a C array
// that Swift sees as a tuple.
int apus_list(int directory, int (*visit)(const char *name, void *context), void *context);

// --- Mounts and processes ----------------------------------------------------------------------------------------
int apus_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data);
int apus_unmount(const char *target, int lazily);
extern const unsigned long apus_ms_rdonly, apus_ms_nosuid, apus_ms_nodev, apus_ms_noexec, apus_ms_remount, apus_ms_bind,
    apus_ms_move, apus_ms_rec, apus_ms_private, apus_ms_slave, apus_ms_shared, apus_ms_relatime, apus_ms_noatime;
int apus_chroot(const char *path);
int apus_chdir(const char *path);
int apus_exec(const char *path, char *const argv[], char *const envp[]);
// unshare(2) and setns(2) need _GNU_SOURCE.
int apus_unshare(int flags);
int apus_setns(int fd, int type);
extern const int apus_clone_newns, apus_clone_newnet, apus_clone_newuser, apus_clone_newpid, apus_clone_newuts,
    apus_clone_newipc;
// fork(2) is marked unavailable in Swift. Only safe in a program with one thread, as apus-init is.
int apus_fork(void);
int apus_setsid(void);
void apus_exit_now(int status);
// Raises its own name to `name` in ps; argv[0] has to be overwritten in place, which only C can see.
int apus_set_process_name(const char *name);
// prctl(2) is variadic.
int apus_die_with_parent(int signal);

// posix_spawn(3) in one call: its attributes and file actions are opaque. A descriptor of -1 becomes /dev/null. The
// child gets a process group of its own, default signal handlers and an empty signal mask.
int apus_spawn(
    const char *path, char *const argv[], char *const envp[], int input, int output, int error, const char *directory,
    pid_t *child);
// pidfd_open(2) has no wrapper in Debian 12's C library headers.
int apus_pidfd_open(pid_t pid);
// waitpid(2) with the W* macros taken apart: *code is the exit status, or the signal with *signalled set. Returns 0 when
// WNOHANG finds nothing. `pid` -1 takes any child.
int apus_wait(pid_t pid, int block, int *code, int *signalled);
int apus_kill(pid_t pid, int signal);
int apus_kill_group(pid_t pid, int signal);
// poll(2) for up to 8 descriptors for reading; returns a bit mask of those that are ready or hung up.
int apus_poll_read(const int *fds, int count, int timeoutMilliseconds);
// A signalfd(2) for the signals given, which are blocked from now on; reading yields one signal number.
int apus_signalfd(const int *signals, int count);
int apus_signalfd_read(int fd);

// --- The machine ---------------------------------------------------------------------------------------------------
// reboot(2) takes magic numbers that the header gives as macros: see enum.
enum apus_reboot_action { APUS_REBOOT = 0, APUS_POWER_OFF = 1, APUS_KEXEC = 2, APUS_HALT = 3, APUS_IGNORE_CAD = 4 };
int apus_reboot(int action);
// kexec_file_load(2) has no wrapper. `initrd` may be -1.
int apus_kexec_file_load(int kernel, int initrd, const char *commandLine);
int apus_clock_get(int clock, int64_t *seconds, int64_t *nanoseconds);
extern const int apus_clock_realtime, apus_clock_monotonic, apus_clock_boottime;
int apus_clock_set_realtime(int64_t seconds);
// getrandom(2); never returns less than `count` bytes.
int apus_random(void *buffer, size_t count);
int apus_uname(char *release, size_t releaseCount, char *machine, size_t machineCount);
int apus_sethostname(const char *name);
// syslog(2)'s SYSLOG_ACTION_CONSOLE_LEVEL: which kernel messages reach the console.
int apus_console_level(int level);
// init_module/finit_module is libkmod's; delete_module is not needed.

// --- Block devices: the BLK* requests are _IO() macros ---------------------------------------------------------------
int apus_block_size(int fd, uint64_t *bytes);          // BLKGETSIZE64
int apus_block_sector_size(int fd, int *bytes);        // BLKSSZGET
int apus_block_reread_partitions(int fd);              // BLKRRPART
int apus_block_discard(int fd, uint64_t offset, uint64_t length);  // BLKDISCARD
// Makes a loop device over `fd` with the given logical sector size; returns its number. A disk is scanned for partitions;
// an image is read-only, never scanned, and read past the page cache where its file system can. The requests are macros,
// and LOOP_CONFIGURE's structure is not imported by Glibc.
int apus_loop_attach(int fd, int sectorSize, int isImage);
int apus_loop_detach(int number);

// --- Watchdog: WDIOC_* are _IOR() macros (Documentation/watchdog/watchdog-api.rst) ------------------------------------
int apus_watchdog_set_timeout(int fd, int seconds, int *granted);
int apus_watchdog_get_timeout(int fd, int *seconds);
int apus_watchdog_feed(int fd);
int apus_watchdog_identity(int fd, char *identity, size_t count, uint32_t *options);
extern const uint32_t apus_wdiof_settimeout, apus_wdiof_magicclose;

// --- Device mapper: DM_* are _IOWR() macros over a structure with a trailing area (Documentation/admin-guide/
// device-mapper/dm-ioctl.rst) ----------------------------------------------------------------------------------------
// Creates `name`, loads one read-only target over `sectors` 512-byte sectors and activates it.
int apus_dm_create(
    int control, const char *name, const char *uuid, uint64_t sectors, const char *target, const char *parameters,
    uint32_t *major, uint32_t *minor);
int apus_dm_remove(int control, const char *name);
// The status line of the first target, such as `V` or `C` of dm-verity.
int apus_dm_status(int control, const char *name, char *text, size_t count, uint32_t *major, uint32_t *minor);

// --- Sockets whose ancillary data needs the CMSG_* macros -------------------------------------------------------------
// A NETLINK_KOBJECT_UEVENT socket on the kernel's group, with credentials passed.
int apus_uevent_open(int receiveBufferBytes);
// One message. -EBADMSG: not from the kernel (wrong group, port, or user), to be dropped. -ENOBUFS: events were lost.
int64_t apus_uevent_receive(int fd, void *buffer, size_t count);
// A datagram to a UNIX socket; a leading '@' names the abstract namespace (sd_notify(3)).
int apus_unix_send(const char *path, const void *bytes, size_t count);
// A stream connected to a UNIX socket at a path; -EAGAIN where it takes no more at the moment.
int apus_unix_connect(const char *path);

// --- Network interfaces ------------------------------------------------------------------------------------------------
// ethtool's permanent hardware address (ETHTOOL_GPERMADDR); 6 bytes, or -errno.
int apus_permanent_address(const char *interface, uint8_t address[6]);
