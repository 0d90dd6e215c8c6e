// Mapped mounts, lookups inside a directory, project quotas: system calls without wrappers and ioctls of structures.
#define _GNU_SOURCE
#include "sandbox.h"
#include "result.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/quota.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

int apus_chown(const char *path, uint32_t uid, uint32_t gid) { RESULT(lchown(path, uid, gid)); }

int apus_open_in_root(int root, const char *path) {
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    RESULT(syscall(SYS_openat2, root, path, &how, sizeof how));
}

static int write_text(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -errno;
    ssize_t put = write(fd, text, strlen(text));
    int result = put < 0 ? -errno : 0;
    close(fd);
    return result;
}

// A descriptor of a user namespace that maps 0 to count-1 to `first` and up.
static int user_namespace(uint32_t first, uint32_t count) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return -errno;
    // A bare clone: the child only waits, so that it needs nothing of this program's other threads.
    long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) {
        char byte;
        close(ends[1]);
        while (read(ends[0], &byte, 1) < 0 && errno == EINTR) {}
        _exit(0);
    }
    int result = child < 0 ? -errno : 0;
    close(ends[0]);
    if (!result) {
        char path[64], map[64];
        snprintf(map, sizeof map, "0 %u %u\n", first, count);
        snprintf(path, sizeof path, "/proc/%ld/uid_map", child);
        result = write_text(path, map);
        snprintf(path, sizeof path, "/proc/%ld/gid_map", child);
        if (!result) result = write_text(path, map);
        snprintf(path, sizeof path, "/proc/%ld/ns/user", child);
        if (!result) {
            result = open(path, O_RDONLY | O_CLOEXEC);
            if (result < 0) result = -errno;
        }
    }
    close(ends[1]);
    if (child > 0) {
        int status;
        while (waitpid((pid_t)child, &status, 0) < 0 && errno == EINTR) {}
    }
    return result;
}

int apus_mount_mapped(const char *source, const char *target, uint32_t first, uint32_t count) {
    int map = user_namespace(first, count);
    if (map < 0) return map;
    int result = 0;
    int tree = (int)syscall(SYS_open_tree, AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0) result = -errno;
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)map};
    if (!result &&
        syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0)
        result = -errno;
    if (!result && syscall(SYS_move_mount, tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0) result = -errno;
    if (tree >= 0) close(tree);
    close(map);
    return result;
}

int apus_set_project(const char *path, uint32_t project) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return -errno;
    struct fsxattr attributes;
    memset(&attributes, 0, sizeof attributes);
    int result = ioctl(fd, FS_IOC_FSGETXATTR, &attributes) < 0 ? -errno : 0;
    attributes.fsx_projid = project;
    attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
    if (!result && ioctl(fd, FS_IOC_FSSETXATTR, &attributes) < 0) result = -errno;
    close(fd);
    return result;
}

enum { PROJECT_QUOTA = 2 };

int apus_set_project_limits(const char *path, uint32_t project, uint64_t bytes, uint64_t inodes) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -errno;
    struct if_dqblk limits;
    memset(&limits, 0, sizeof limits);
    // Blocks of 1024 bytes, whatever the file system's own are.
    limits.dqb_bhardlimit = (bytes + 1023) / 1024;
    limits.dqb_ihardlimit = inodes;
    limits.dqb_valid = QIF_BLIMITS | QIF_ILIMITS;
    int result = syscall(SYS_quotactl_fd, fd, QCMD(Q_SETQUOTA, PROJECT_QUOTA), project, &limits) < 0 ? -errno : 0;
    close(fd);
    return result;
}

int apus_project_usage(const char *path, uint32_t project, uint64_t *bytes, uint64_t *inodes) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -errno;
    struct if_dqblk usage;
    memset(&usage, 0, sizeof usage);
    int result = syscall(SYS_quotactl_fd, fd, QCMD(Q_GETQUOTA, PROJECT_QUOTA), project, &usage) < 0 ? -errno : 0;
    *bytes = usage.dqb_curspace;
    *inodes = usage.dqb_curinodes;
    close(fd);
    return result;
}
