// What sandboxes need of the kernel beyond clinux.h: mapped mounts, lookups that stay inside a directory, quotas.
#pragma once
#include <stdint.h>

int apus_chown(const char *path, uint32_t uid, uint32_t gid);
// openat2(2) with RESOLVE_IN_ROOT has no wrapper: `..` and absolute links lead to the directory itself, and magic links
// to nothing. Opens for reading.
int apus_open_in_root(int root, const char *path);
// Shows `source` at `target` with its owners 0 to count-1 shown as `first` and up (mount_setattr(2),
// MOUNT_ATTR_IDMAP). The user namespace that says so belongs to a child that ends before this returns.
int apus_mount_mapped(const char *source, const char *target, uint32_t first, uint32_t count);
// Puts a directory, and what is made in it, under a project's quota (FS_IOC_FSSETXATTR).
int apus_set_project(const char *path, uint32_t project);
// quotactl_fd(2) has no wrapper: hard limits of a project on the file system that `path` lies on.
int apus_set_project_limits(const char *path, uint32_t project, uint64_t bytes, uint64_t inodes);
// What a project uses there.
int apus_project_usage(const char *path, uint32_t project, uint64_t *bytes, uint64_t *inodes);
