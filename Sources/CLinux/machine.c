// The machine, its clocks, and block devices.
#define _GNU_SOURCE
#include "clinux.h"
#include "result.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

// --- The machine ---------------------------------------------------------------------------------------------------

int apus_reboot(int action) {
    switch (action) {
    case APUS_REBOOT: RESULT(reboot(RB_AUTOBOOT));
    case APUS_POWER_OFF: RESULT(reboot(RB_POWER_OFF));
    case APUS_KEXEC: RESULT(reboot(RB_KEXEC));
    case APUS_HALT: RESULT(reboot(RB_HALT_SYSTEM));
    case APUS_IGNORE_CAD: RESULT(reboot(RB_DISABLE_CAD));
    default: return -EINVAL;
    }
}

int apus_kexec_file_load(int kernel, int initrd, const char *commandLine) {
    unsigned long flags = initrd < 0 ? 4 /* KEXEC_FILE_NO_INITRAMFS */ : 0;
    RESULT(syscall(SYS_kexec_file_load, kernel, initrd, strlen(commandLine) + 1, commandLine, flags));
}

const int apus_clock_realtime = CLOCK_REALTIME, apus_clock_monotonic = CLOCK_MONOTONIC,
          apus_clock_boottime = CLOCK_BOOTTIME;

int apus_clock_get(int clock, int64_t *seconds, int64_t *nanoseconds) {
    struct timespec now;
    if (clock_gettime(clock, &now) < 0) return -errno;
    *seconds = now.tv_sec;
    *nanoseconds = now.tv_nsec;
    return 0;
}

int apus_clock_set_realtime(int64_t seconds) {
    struct timespec now = {.tv_sec = seconds};
    RESULT(clock_settime(CLOCK_REALTIME, &now));
}

int apus_random(void *buffer, size_t count) {
    size_t done = 0;
    while (done < count) {
        ssize_t got = getrandom((char *)buffer + done, count - done, 0);
        if (got < 0) {
            if (errno == EINTR) continue;
            return -errno;
        }
        done += (size_t)got;
    }
    return 0;
}

int apus_uname(char *release, size_t releaseCount, char *machine, size_t machineCount) {
    struct utsname name;
    if (uname(&name) < 0) return -errno;
    snprintf(release, releaseCount, "%s", name.release);
    snprintf(machine, machineCount, "%s", name.machine);
    return 0;
}

int apus_sethostname(const char *name) { RESULT(sethostname(name, strlen(name))); }
int apus_console_level(int level) { RESULT(klogctl(8, NULL, level)); }

// --- Block devices ---------------------------------------------------------------------------------------------------

int apus_block_size(int fd, uint64_t *bytes) { RESULT(ioctl(fd, BLKGETSIZE64, bytes)); }
int apus_block_sector_size(int fd, int *bytes) { RESULT(ioctl(fd, BLKSSZGET, bytes)); }
int apus_block_reread_partitions(int fd) { RESULT(ioctl(fd, BLKRRPART, 0)); }

int apus_block_discard(int fd, uint64_t offset, uint64_t length) {
    uint64_t range[2] = {offset, length};
    RESULT(ioctl(fd, BLKDISCARD, range));
}

int apus_loop_attach(int fd, int sectorSize, int isImage) {
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0) return -errno;
    int result = -EBUSY;
    // Another program may take the free number first; a few attempts are enough.
    for (int attempt = 0; attempt < 16 && result == -EBUSY; attempt++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0) {
            result = -errno;
            break;
        }
        char path[32];
        snprintf(path, sizeof path, "/dev/loop%d", number);
        int loop = open(path, (isImage ? O_RDONLY : O_RDWR) | O_CLOEXEC);
        if (loop < 0) {
            result = -errno;
            break;
        }
        struct loop_config configuration = {.fd = (__u32)fd, .block_size = (__u32)sectorSize};
        configuration.info.lo_flags = isImage ? LO_FLAGS_READ_ONLY | LO_FLAGS_DIRECT_IO : LO_FLAGS_PARTSCAN;
        result = ioctl(loop, LOOP_CONFIGURE, &configuration) < 0 ? -errno : number;
        close(loop);
    }
    close(control);
    return result;
}

int apus_loop_detach(int number) {
    char path[32];
    snprintf(path, sizeof path, "/dev/loop%d", number);
    int loop = open(path, O_RDONLY | O_CLOEXEC);
    if (loop < 0) return -errno;
    int result = ioctl(loop, LOOP_CLR_FD, 0) < 0 ? -errno : 0;
    close(loop);
    return result;
}
