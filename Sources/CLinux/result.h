// Turns -1 and errno into a negative errno, and repeats what a signal interrupted.
#pragma once
#include <errno.h>

#define RESULT(expression)                                         \
    do {                                                           \
        long result_;                                              \
        do { result_ = (long)(expression); } while (result_ < 0 && errno == EINTR); \
        return result_ < 0 ? -errno : result_;                     \
    } while (0)
