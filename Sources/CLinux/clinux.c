#define _GNU_SOURCE
#include "clinux.h"
#include "result.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

// Swift's runtime looks for its own path in /proc before main; as PID 1 of an initramfs nothing has mounted it yet, and
// without it arguments come out empty or the program aborts. Priority 101 runs before the runtime's own constructors.
// Where /proc is there already (a container's PID 1), nothing happens.
__attribute__((constructor(101))) static void apus_mount_proc_first(void) {
    if (getpid() != 1 || access("/proc/self/exe", F_OK) == 0) return;
    mkdir("/proc", 0555);
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

// --- Files -----------------------------------------------------------------------------------------------------

static int native_flags(unsigned flags) {
    int native = O_CLOEXEC | O_NOCTTY;
    if ((flags & APUS_READ) && (flags & APUS_WRITE)) native |= O_RDWR;
    else if (flags & APUS_WRITE) native |= O_WRONLY;
    else native |= O_RDONLY;
    if (flags & APUS_CREATE) native |= O_CREAT;
    if (flags & APUS_EXCLUSIVE) native |= O_EXCL;
    if (flags & APUS_TRUNCATE) native |= O_TRUNC;
    if (flags & APUS_APPEND) native |= O_APPEND;
    if (flags & APUS_DIRECT) native |= O_DIRECT;
    if (flags & APUS_NONBLOCK) native |= O_NONBLOCK;
    if (flags & APUS_DIRECTORY) native |= O_DIRECTORY;
    if (flags & APUS_NOFOLLOW) native |= O_NOFOLLOW;
    if (flags & APUS_PATH) native |= O_PATH;
    return native;
}

int apus_open(const char *path, unsigned flags, unsigned mode) { RESULT(open(path, native_flags(flags), mode)); }

int apus_openat(int directory, const char *path, unsigned flags, unsigned mode) {
    RESULT(openat(directory, path, native_flags(flags), mode));
}

// Linux closes the descriptor even where it reports EINTR, so this one is never repeated.
int apus_close(int fd) { return close(fd) < 0 && errno != EINTR ? -errno : 0; }

int64_t apus_read(int fd, void *buffer, size_t count) { RESULT(read(fd, buffer, count)); }
int64_t apus_write(int fd, const void *buffer, size_t count) { RESULT(write(fd, buffer, count)); }

int64_t apus_pread(int fd, void *buffer, size_t count, uint64_t offset) {
    RESULT(pread(fd, buffer, count, (off_t)offset));
}

int64_t apus_pwrite(int fd, const void *buffer, size_t count, uint64_t offset) {
    RESULT(pwrite(fd, buffer, count, (off_t)offset));
}

int apus_fsync(int fd) { RESULT(fsync(fd)); }
int apus_fdatasync(int fd) { RESULT(fdatasync(fd)); }

int apus_start_writeback(int fd, uint64_t offset, uint64_t length) {
    RESULT(sync_file_range(fd, (off_t)offset, (off_t)length, SYNC_FILE_RANGE_WRITE));
}

int apus_drop_cache(int fd, uint64_t offset, uint64_t length) {
    return -posix_fadvise(fd, (off_t)offset, (off_t)length, POSIX_FADV_DONTNEED);
}

int apus_truncate(int fd, uint64_t size) { RESULT(ftruncate(fd, (off_t)size)); }

int apus_punch_hole(int fd, uint64_t offset, uint64_t length) {
    RESULT(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length));
}

int apus_rename(const char *from, const char *to) { RESULT(rename(from, to)); }
int apus_unlink(const char *path) { RESULT(unlink(path)); }

int apus_unlinkat(int directory, const char *name, int isDirectory) {
    RESULT(unlinkat(directory, name, isDirectory ? AT_REMOVEDIR : 0));
}

int apus_mkdir(const char *path, unsigned mode) { RESULT(mkdir(path, mode)); }
int apus_rmdir(const char *path) { RESULT(rmdir(path)); }
int apus_symlink(const char *target, const char *path) { RESULT(symlink(target, path)); }
int apus_chmod(const char *path, unsigned mode) { RESULT(chmod(path, mode)); }

int apus_mknod_block(const char *path, unsigned mode, unsigned major, unsigned minor) {
    RESULT(mknod(path, S_IFBLK | mode, makedev(major, minor)));
}


int64_t apus_readlink(const char *path, char *buffer, size_t count) { RESULT(readlink(path, buffer, count)); }

int apus_realpath(const char *path, char *buffer, size_t count) {
    char resolved[PATH_MAX];
    if (!realpath(path, resolved)) return -errno;
    size_t length = strlen(resolved) + 1;
    if (length > count) return -ENAMETOOLONG;
    memcpy(buffer, resolved, length);
    return 0;
}

int apus_memfd(const char *name) { RESULT(memfd_create(name, MFD_CLOEXEC)); }
int apus_pipe(int fds[2]) { RESULT(pipe2(fds, O_CLOEXEC)); }
int apus_seek_start(int fd) { RESULT(lseek(fd, 0, SEEK_SET)); }

int apus_set_nonblocking(int fd, int on) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) return -errno;
    RESULT(fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK));
}

int apus_sync_filesystem(int fd) { RESULT(syncfs(fd)); }
int apus_set_immutable(const char *path, int immutable) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int flags = 0;
    int result = ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0 ? -errno : 0;
    int wanted = immutable ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
    if (!result && wanted != flags) result = ioctl(fd, FS_IOC_SETFLAGS, &wanted) < 0 ? -errno : 0;
    close(fd);
    return result;
}

int apus_lock_exclusively(int fd) { RESULT(flock(fd, LOCK_EX | LOCK_NB)); }

static int status_of(int directory, const char *path, int flags, struct apus_status *status) {
    struct statx x;
    memset(status, 0, sizeof *status);
    int result;
    do { result = statx(directory, path, flags, STATX_BASIC_STATS, &x); } while (result < 0 && errno == EINTR);
    if (result < 0) return -errno;
    status->size = x.stx_size;
    status->device = makedev(x.stx_dev_major, x.stx_dev_minor);
    status->inode = x.stx_ino;
    status->mode = x.stx_mode & 07777;
    status->owner = x.stx_uid;
    status->rdev_major = x.stx_rdev_major;
    status->rdev_minor = x.stx_rdev_minor;
    status->modified_seconds = x.stx_mtime.tv_sec;
    status->is_regular = S_ISREG(x.stx_mode);
    status->is_directory = S_ISDIR(x.stx_mode);
    status->is_symlink = S_ISLNK(x.stx_mode);
    status->is_block = S_ISBLK(x.stx_mode);
    status->is_character = S_ISCHR(x.stx_mode);
    status->is_mount_point = (x.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
    return 0;
}

int apus_stat(const char *path, int followSymlinks, struct apus_status *status) {
    return status_of(AT_FDCWD, path, followSymlinks ? 0 : AT_SYMLINK_NOFOLLOW, status);
}

int apus_statat(int directory, const char *name, struct apus_status *status) {
    return status_of(directory, name, AT_SYMLINK_NOFOLLOW, status);
}

int apus_fstat(int fd, struct apus_status *status) { return status_of(fd, "", AT_EMPTY_PATH, status); }

int apus_space(const char *path, struct apus_space *space) {
    struct statfs s;
    int result;
    do { result = statfs(path, &s); } while (result < 0 && errno == EINTR);
    if (result < 0) return -errno;
    space->total_bytes = (uint64_t)s.f_blocks * (uint64_t)s.f_bsize;
    space->available_bytes = (uint64_t)s.f_bavail * (uint64_t)s.f_bsize;
    space->type = s.f_type;
    return 0;
}

int apus_list(int directory, int (*visit)(const char *name, void *context), void *context) {
    // fdopendir takes the descriptor over, and the caller keeps its own.
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy < 0) return -errno;
    DIR *stream = fdopendir(copy);
    if (!stream) {
        int code = errno;
        close(copy);
        return -code;
    }
    int result = 0;
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(stream);
        if (!entry) {
            result = -errno;
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (visit(entry->d_name, context)) break;
    }
    closedir(stream);
    return result;
}

// --- Mounts and processes ----------------------------------------------------------------------------------------

int apus_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data) {
    RESULT(mount(source, target, type, flags, data));
}

int apus_unmount(const char *target, int lazily) { RESULT(umount2(target, lazily ? MNT_DETACH : 0)); }

const unsigned long apus_ms_rdonly = MS_RDONLY, apus_ms_nosuid = MS_NOSUID, apus_ms_nodev = MS_NODEV,
                    apus_ms_noexec = MS_NOEXEC, apus_ms_remount = MS_REMOUNT, apus_ms_bind = MS_BIND,
                    apus_ms_move = MS_MOVE, apus_ms_rec = MS_REC, apus_ms_private = MS_PRIVATE,
                    apus_ms_slave = MS_SLAVE, apus_ms_shared = MS_SHARED, apus_ms_relatime = MS_RELATIME,
                    apus_ms_noatime = MS_NOATIME;

int apus_chroot(const char *path) { RESULT(chroot(path)); }
int apus_chdir(const char *path) { RESULT(chdir(path)); }
int apus_exec(const char *path, char *const argv[], char *const envp[]) { RESULT(execve(path, argv, envp)); }
int apus_unshare(int flags) { RESULT(unshare(flags)); }
int apus_setns(int fd, int type) { RESULT(setns(fd, type)); }

const int apus_clone_newns = CLONE_NEWNS, apus_clone_newnet = CLONE_NEWNET, apus_clone_newuser = CLONE_NEWUSER,
          apus_clone_newpid = CLONE_NEWPID, apus_clone_newuts = CLONE_NEWUTS, apus_clone_newipc = CLONE_NEWIPC;

int apus_fork(void) { RESULT(fork()); }
int apus_setsid(void) { RESULT(setsid()); }
void apus_exit_now(int status) { _exit(status); }

// The loader hands constructors the same argument vector as main, in glibc.
static char *argument_area;
static size_t argument_area_size;
__attribute__((constructor(102))) static void remember_arguments(int argc, char **argv, char **envp) {
    (void)envp;
    if (argc < 1 || !argv || !argv[0]) return;
    argument_area = argv[0];
    argument_area_size = strlen(argv[0]) + 1;
    for (int i = 1; i < argc && argv[i] == argument_area + argument_area_size; i++)
        argument_area_size += strlen(argv[i]) + 1;
}

int apus_set_process_name(const char *name) {
    if (argument_area && argument_area_size > 0) {
        memset(argument_area, 0, argument_area_size);
        strncpy(argument_area, name, argument_area_size - 1);
    }
    RESULT(prctl(PR_SET_NAME, name, 0, 0, 0));
}

int apus_die_with_parent(int signal) { RESULT(prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0)); }

static int add_stream(posix_spawn_file_actions_t *actions, int from, int to, int flags) {
    if (from < 0) return posix_spawn_file_actions_addopen(actions, to, "/dev/null", flags, 0);
    return posix_spawn_file_actions_adddup2(actions, from, to);
}

int apus_spawn(
    const char *path, char *const argv[], char *const envp[], int input, int output, int error, const char *directory,
    pid_t *child) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int result = posix_spawn_file_actions_init(&actions);
    if (result) return -result;
    result = posix_spawnattr_init(&attributes);
    if (result) {
        posix_spawn_file_actions_destroy(&actions);
        return -result;
    }
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    if (!result) result = add_stream(&actions, input, 0, O_RDONLY);
    if (!result) result = add_stream(&actions, output, 1, O_WRONLY);
    if (!result) result = add_stream(&actions, error, 2, O_WRONLY);
    if (!result && directory) result = posix_spawn_file_actions_addchdir_np(&actions, directory);
    if (!result) result = posix_spawn(child, path, &actions, &attributes, argv, envp);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return -result;
}

int apus_pidfd_open(pid_t pid) { RESULT(syscall(SYS_pidfd_open, pid, 0)); }

int apus_wait(pid_t pid, int block, int *code, int *signalled) {
    int status = 0;
    pid_t found;
    do { found = waitpid(pid, &status, block ? 0 : WNOHANG); } while (found < 0 && errno == EINTR);
    if (found < 0) return -errno;
    if (found == 0) return 0;
    *signalled = WIFSIGNALED(status) ? 1 : 0;
    *code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    return found;
}

int apus_kill(pid_t pid, int signal) { RESULT(kill(pid, signal)); }
int apus_kill_group(pid_t pid, int signal) { RESULT(kill(-pid, signal)); }

int apus_poll_read(const int *fds, int count, int timeoutMilliseconds) {
    struct pollfd polls[8];
    if (count < 0 || count > 8) return -EINVAL;
    for (int i = 0; i < count; i++) polls[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    // Not repeated after a signal: the caller recomputes what is left of its time.
    int found = poll(polls, (nfds_t)count, timeoutMilliseconds);
    if (found < 0) return errno == EINTR ? 0 : -errno;
    int mask = 0;
    for (int i = 0; i < count; i++)
        if (polls[i].revents) mask |= 1 << i;
    return mask;
}

int apus_signalfd(const int *signals, int count) {
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < count; i++) sigaddset(&set, signals[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0) return -errno;
    RESULT(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

int apus_signalfd_read(int fd) {
    struct signalfd_siginfo info;
    int64_t count = apus_read(fd, &info, sizeof info);
    if (count < 0) return (int)count;
    return count == (int64_t)sizeof info ? (int)info.ssi_signo : -EIO;
}
