#define _GNU_SOURCE
#include "cattack.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CALL(name) {#name, SYS_##name}

static const struct {
    const char *name;
    long number;
} calls[] = {
    CALL(add_key), CALL(bpf), CALL(clone), CALL(delete_module), CALL(epoll_create1), CALL(exit), CALL(fanotify_init), CALL(finit_module),
    CALL(getpid), CALL(init_module), CALL(inotify_init1), CALL(ioprio_set), CALL(kcmp), CALL(kexec_load), CALL(keyctl),
    CALL(memfd_create), CALL(mknodat), CALL(mlock), CALL(mlockall), CALL(mount), CALL(name_to_handle_at),
    CALL(open_by_handle_at), CALL(openat), CALL(perf_event_open), CALL(personality), CALL(pivot_root),
    CALL(process_vm_readv), CALL(ptrace), CALL(reboot), CALL(request_key), CALL(sched_setattr),
    CALL(sched_setscheduler), CALL(setns), CALL(setpriority), CALL(setrlimit), CALL(settimeofday), CALL(shmget),
    CALL(socket), CALL(socketpair), CALL(swapoff), CALL(swapon), CALL(symlinkat), CALL(umount2), CALL(unshare),
    CALL(vmsplice), CALL(write), CALL(writev),
#ifdef SYS_kexec_file_load
    CALL(kexec_file_load),
#endif
#ifdef SYS_iopl
    CALL(iopl), CALL(ioperm), CALL(modify_ldt),
#endif
    // Numbers above 423 are the same on every architecture.
    {"pidfd_send_signal", 424}, {"io_uring_setup", 425}, {"open_tree", 428}, {"move_mount", 429}, {"fsopen", 430},
    {"fsconfig", 431}, {"fsmount", 432}, {"fspick", 433}, {"pidfd_open", 434}, {"clone3", 435}, {"pidfd_getfd", 438},
    {"mount_setattr", 442}, {"memfd_secret", 447}, {"userfaultfd", SYS_userfaultfd},
};

long attack_number(const char *name) {
    for (unsigned i = 0; i < sizeof calls / sizeof calls[0]; i++)
        if (!strcmp(calls[i].name, name)) return calls[i].number;
    return -1;
}

int64_t attack_call(long number, const uint64_t a[6]) {
    long result = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    return result == -1 ? -(int64_t)errno : result;
}

int64_t attack_call_i386(long number, const uint64_t a[6]) {
#ifdef __x86_64__
    long result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(number), "b"(a[0]), "c"(a[1]), "d"(a[2]), "S"(a[3]), "D"(a[4])
                     : "memory", "r8", "r9", "r10", "r11");
    return (int32_t)result;
#else
    (void)number;
    (void)a;
    return -ENOSYS;
#endif
}

const long attack_x32 = 0x40000000;

int attack_fork(void) {
    int process = fork();
    return process < 0 ? -errno : process;
}

int attack_vfork_sleeper(unsigned seconds) {
    int process = vfork();
    if (process == 0) {
        struct timespec left = {.tv_sec = seconds};
        nanosleep(&left, 0);
        _exit(0);
    }
    return process < 0 ? -errno : process;
}

_Noreturn void attack_exit(int status) { _exit(status); }

int attack_wait(int process, int block, int *status, int *signal) {
    int found = 0, result;
    do { result = waitpid(process, &found, block ? 0 : WNOHANG); } while (result < 0 && errno == EINTR);
    *status = result > 0 && WIFEXITED(found) ? WEXITSTATUS(found) : 0;
    *signal = result > 0 && WIFSIGNALED(found) ? WTERMSIG(found) : 0;
    return result < 0 ? -errno : result;
}

const char *attack_error_name(int number) {
    const char *name = strerrorname_np(number);
    return name ? name : "unknown";
}

void attack_signal_name(int number, char name[32]) {
    const char *word = sigabbrev_np(number);
    snprintf(name, 32, "SIG%s", word ? word : "?");
}

int64_t attack_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void attack_sleep_until(int64_t microseconds) {
    struct timespec until = {.tv_sec = microseconds / 1000000, .tv_nsec = microseconds % 1000000 * 1000};
    while (clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &until, 0) == EINTR) {}
}

int attack_ioctl(int fd, uint64_t request, void *argument) {
    // By the call itself, so that bits above the 32 that the kernel looks at get there.
    long result = syscall(SYS_ioctl, fd, request, argument);
    return result < 0 ? -errno : (int)result;
}

const uint64_t attack_tiocsti = TIOCSTI, attack_tioclinux = TIOCLINUX, attack_tiocsctty = TIOCSCTTY,
               attack_tiocsptlck = TIOCSPTLCK, attack_tiocgptn = TIOCGPTN;
