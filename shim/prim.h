/* The contract with the kernel: system calls made directly, so that no libc function (its errno,
 * its cancellation points, its wrappers by others, its versions) stands between. x86-64 Linux.
 *
 * Each returns what the kernel does: a value, or -errno. Any context, signal handlers included. */
#ifndef SS_PRIM_H
#define SS_PRIM_H

#include <asm/stat.h>
#include <asm/unistd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <linux/time_types.h>

static inline long ss_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

#define SS_SYSCALL_0(n) ss_syscall(n, 0, 0, 0, 0, 0, 0)
#define SS_SYSCALL_1(n, a) ss_syscall(n, (long)(a), 0, 0, 0, 0, 0)
#define SS_SYSCALL_2(n, a, b) ss_syscall(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define SS_SYSCALL_3(n, a, b, c) ss_syscall(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define SS_SYSCALL_4(n, a, b, c, d) ss_syscall(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

static inline void *ss_sys_map(size_t size)
{
    long result = ss_syscall(__NR_mmap, 0, (long)size, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return result < 0 && result > -4096 ? NULL : (void *)result;
}

static inline void *ss_sys_map_file(int fd, size_t size)
{
    long result = ss_syscall(__NR_mmap, 0, (long)size, PROT_READ, MAP_PRIVATE, fd, 0);
    return result < 0 && result > -4096 ? NULL : (void *)result;
}

static inline long ss_sys_unmap(void *address, size_t size)
{
    return SS_SYSCALL_2(__NR_munmap, address, size);
}

static inline long ss_sys_protect(uintptr_t address, size_t size, int protection)
{
    return SS_SYSCALL_3(__NR_mprotect, address, size, protection);
}

static inline long ss_sys_open(const char *path, int flags, int mode)
{
    return SS_SYSCALL_4(__NR_openat, -100 /* AT_FDCWD */, path, flags, mode);
}

static inline long ss_sys_close(int fd)
{
    return SS_SYSCALL_1(__NR_close, fd);
}

static inline long ss_sys_read(int fd, void *buffer, size_t size)
{
    return SS_SYSCALL_3(__NR_read, fd, buffer, size);
}

static inline long ss_sys_write(int fd, const void *buffer, size_t size)
{
    return SS_SYSCALL_3(__NR_write, fd, buffer, size);
}

/* struct stat of the kernel, not of libc. */
static inline long ss_sys_fstat(int fd, struct stat *out)
{
    return SS_SYSCALL_2(__NR_fstat, fd, out);
}

/* Whether it is a file and nothing else: no device, no pipe (inode(7)). */
static inline bool ss_is_regular(const struct stat *stat)
{
    enum { FILE_TYPE = 0170000, REGULAR = 0100000 };
    return (stat->st_mode & FILE_TYPE) == REGULAR;
}

static inline long ss_sys_readlink(const char *path, char *buffer, size_t size)
{
    return SS_SYSCALL_3(__NR_readlink, path, buffer, size);
}

static inline int ss_sys_getpid(void)
{
    return (int)SS_SYSCALL_0(__NR_getpid);
}

static inline int ss_sys_gettid(void)
{
    return (int)SS_SYSCALL_0(__NR_gettid);
}

/* Nanoseconds of the given clock (0 realtime, 1 monotonic). */
static inline uint64_t ss_sys_clock(int clock)
{
    struct __kernel_timespec now = {0, 0};
    (void)SS_SYSCALL_2(__NR_clock_gettime, clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Whether the kernel can read the page of address: it looks at the new mask before it finds that it
 * has never heard of what to do with it. */
static inline bool ss_is_mapped(uintptr_t address)
{
    long result = SS_SYSCALL_4(__NR_rt_sigprocmask, ~0L, address & ~(uintptr_t)7, NULL, 8);
    return result != -14 /* EFAULT */;
}

#endif
