// What hostile programs do and Swift cannot: system calls by number and in other calling conventions, forks.
//
// Only the lab's `apus-attack` links this. Every function is bounded in time by the alarm of the process that calls it.
#pragma once
#include <stdint.h>

// A system call's number by its name; -1 where this architecture, or the headers of the builder, do not know it.
long attack_number(const char *name);
// syscall(2) is variadic. Returns what the kernel returned, or a negative errno.
int64_t attack_call(long number, const uint64_t arguments[6]);
// The same by `int $0x80` (i386), which is another table of calls with other numbers. -ENOSYS where the processor has none.
int64_t attack_call_i386(long number, const uint64_t arguments[6]);
// The bit that makes a number one of the x32 table.
extern const long attack_x32;

// fork(2) is marked unavailable in Swift; this program has one thread.
int attack_fork(void);
// vfork(2): the caller sleeps uninterruptibly until the child, which sleeps so many seconds, has ended.
int attack_vfork_sleeper(unsigned seconds);
_Noreturn void attack_exit(int status);
// waitpid(2) with the W* macros taken apart; `block` 0 returns 0 while it runs. Returns the process, or a negative errno.
int attack_wait(int process, int block, int *status, int *signal);

// `EPERM` for 1 (strerrorname_np(3)), `SIGSYS` for 31 (sigabbrev_np(3)); never null.
const char *attack_error_name(int number);
void attack_signal_name(int number, char name[32]);

// CLOCK_BOOTTIME in microseconds, the same in every container of a machine.
int64_t attack_now(void);
// Sleeps until then (clock_nanosleep(2), TIMER_ABSTIME). The clock's constants are macros with casts.
void attack_sleep_until(int64_t microseconds);

// Sends a byte with credentials or reads a structure: requests that are macros.
int attack_ioctl(int fd, uint64_t request, void *argument);
extern const uint64_t attack_tiocsti, attack_tioclinux, attack_tiocsctty, attack_tiocsptlck, attack_tiocgptn;
