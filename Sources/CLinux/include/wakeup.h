// eventfd(2): its declarations are not part of Swift's Glibc module.
#pragma once
#include <sys/eventfd.h>

/// A descriptor that threads wake each other with, or -1 with errno.
static inline int apus_wakeup(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }
