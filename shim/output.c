/* Text, and writing it: every byte that leaves the shim goes through here. No lock, no libc, errno
 * is never touched; any thread. */
#include "output.h"

#include <signal.h>
#include <linux/poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include "options.h"
#include "prim.h"

void ss_put(struct ss_line *line, const char *text, size_t length)
{
    if (length > line->size - line->used) {
        line->full = true;
        return;
    }
    memcpy(line->data + line->used, text, length);
    line->used += length;
}

void ss_puts(struct ss_line *line, const char *text)
{
    ss_put(line, text, strlen(text));
}

void ss_put_unsigned(struct ss_line *line, uint64_t value)
{
    char digits[20];
    unsigned at = sizeof digits;
    do
        digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    ss_put(line, digits + at, sizeof digits - at);
}

void ss_put_signed(struct ss_line *line, int64_t value)
{
    if (value < 0)
        ss_put(line, "-", 1);
    ss_put_unsigned(line, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void ss_put_hex(struct ss_line *line, uint64_t value, unsigned digits)
{
    while (digits--)
        ss_put(line, &"0123456789abcdef"[value >> (digits * 4) & 15], 1);
}

static void put_padded(struct ss_line *line, uint64_t value, unsigned digits)
{
    char text[20];
    for (unsigned i = digits; i--; value /= 10)
        text[i] = (char)('0' + value % 10);
    ss_put(line, text, digits);
}

void ss_put_time(struct ss_line *line, uint64_t nanoseconds)
{
    uint64_t seconds = nanoseconds / 1000000000;
    uint64_t days = seconds / 86400, of_day = seconds % 86400;
    /* Days to a civil date: eras of 400 years that begin on 1 March. */
    uint64_t shifted = days + 719468;
    uint64_t era = shifted / 146097, of_era = shifted % 146097;
    uint64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t month_from_march = (5 * of_year + 2) / 153;
    uint64_t day = of_year - (153 * month_from_march + 2) / 5 + 1;
    uint64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    uint64_t year = year_of_era + era * 400 + (month <= 2);

    put_padded(line, year, 4);
    ss_put(line, "-", 1);
    put_padded(line, month, 2);
    ss_put(line, "-", 1);
    put_padded(line, day, 2);
    ss_put(line, "T", 1);
    put_padded(line, of_day / 3600, 2);
    ss_put(line, ":", 1);
    put_padded(line, of_day / 60 % 60, 2);
    ss_put(line, ":", 1);
    put_padded(line, of_day % 60, 2);
    ss_put(line, ".", 1);
    put_padded(line, nanoseconds % 1000000000 / 1000, 6);
    ss_put(line, "Z", 1);
}

unsigned ss_utf8_length(const char *text, size_t length)
{
    const unsigned char *byte = (const unsigned char *)text;
    if (length == 0)
        return 0;
    if (byte[0] < 0x80)
        return 1;
    unsigned size = byte[0] >= 0xf0 ? 4 : byte[0] >= 0xe0 ? 3 : 2;
    if (byte[0] < 0xc2 || byte[0] > 0xf4 || size > length)
        return 0;
    for (unsigned i = 1; i < size; i++)
        if ((byte[i] & 0xc0) != 0x80)
            return 0;
    /* Overlong forms, surrogates, and what lies beyond U+10FFFF. */
    if ((byte[0] == 0xe0 && byte[1] < 0xa0) || (byte[0] == 0xed && byte[1] > 0x9f) ||
        (byte[0] == 0xf0 && byte[1] < 0x90) || (byte[0] == 0xf4 && byte[1] > 0x8f))
        return 0;
    return size;
}

/* Whether the character at text, of size bytes, could deceive a reader: C0 and C1 controls, line
 * separators, and what changes the direction of text (U+061C, U+200E, U+200F, U+2028 to U+202E,
 * U+2066 to U+2069). */
static bool is_control(const char *text, unsigned size)
{
    const unsigned char *byte = (const unsigned char *)text;
    if (size <= 1)
        return size == 0 || byte[0] < 0x20 || byte[0] == 0x7f;
    if (size == 2)
        return (byte[0] == 0xc2 && byte[1] < 0xa0) || (byte[0] == 0xd8 && byte[1] == 0x9c);
    return size == 3 && byte[0] == 0xe2 &&
           ((byte[1] == 0x80 &&
             (byte[2] == 0x8e || byte[2] == 0x8f || (byte[2] >= 0xa8 && byte[2] <= 0xae))) ||
            (byte[1] == 0x81 && byte[2] >= 0xa6 && byte[2] <= 0xa9));
}

void ss_put_plain(struct ss_line *line, const char *text)
{
    size_t length = strlen(text);
    while (length) {
        unsigned size = ss_utf8_length(text, length);
        if (is_control(text, size)) {
            size = size ? size : 1;
            for (unsigned i = 0; i < size; i++) {
                ss_puts(line, "\\x");
                ss_put_hex(line, (unsigned char)text[i], 2);
            }
        } else {
            ss_put(line, text, size);
        }
        text += size;
        length -= size;
    }
}

void ss_put_json(struct ss_line *line, const char *text, size_t length)
{
    uint32_t left = line->text_max ? line->text_max : UINT32_MAX;
    ss_put(line, "\"", 1);
    while (length) {
        unsigned size = ss_utf8_length(text, length);
        unsigned char first = (unsigned char)*text;
        if (left < 4) {
            ss_puts(line, "\u2026");
            break;
        }
        left -= size ? size : 1;
        if (size == 0) {
            ss_puts(line, "\\ufffd");
            size = 1;
        } else if (first == '"' || first == '\\') {
            ss_put(line, "\\", 1);
            ss_put(line, text, 1);
        } else if (first < 0x20 || first == 0x7f) {
            ss_puts(line, "\\u00");
            ss_put_hex(line, first, 2);
        } else {
            ss_put(line, text, size);
        }
        text += size;
        length -= size;
    }
    ss_put(line, "\"", 1);
}

long ss_output_write(int fd, const void *data, size_t size)
{
    const uint64_t both = 1ull << (SIGPIPE - 1) | 1ull << (SIGXFSZ - 1);
    uint64_t before = 0, pending_before = 0, pending = 0;
    const long mask_size = sizeof both;

    (void)SS_SYSCALL_2(__NR_rt_sigpending, &pending_before, mask_size);
    (void)SS_SYSCALL_4(__NR_rt_sigprocmask, SIG_BLOCK, &both, &before, mask_size);
    long result;
    do
        result = ss_sys_write(fd, data, size);
    while (result == -4 /* EINTR */);
    (void)SS_SYSCALL_2(__NR_rt_sigpending, &pending, mask_size);
    uint64_t ours = pending & ~pending_before & both;
    if (ours) {
        struct __kernel_timespec at_once = {0, 0};
        (void)SS_SYSCALL_4(__NR_rt_sigtimedwait, &ours, NULL, &at_once, mask_size);
    }
    (void)SS_SYSCALL_4(__NR_rt_sigprocmask, SIG_SETMASK, &before, NULL, mask_size);
    return result;
}

/* Descriptor 2 at start; mode 0 where it was closed. */
static struct stat stderr_then;

void ss_stderr_remember(void)
{
    if (ss_sys_fstat(2, &stderr_then) < 0)
        stderr_then.st_mode = 0;
}

/* Writes at most a page, if that does not block. */
static bool write_ready(int fd, const char *data, size_t size)
{
    struct pollfd ready = {fd, POLLOUT, 0};
    return SS_SYSCALL_3(__NR_poll, &ready, 1, 0) == 1 && (ready.revents & POLLOUT) &&
           ss_output_write(fd, data, size) == (long)size;
}

bool ss_stderr_write(const char *data, size_t size)
{
    struct stat now = {0};
    if (!stderr_then.st_mode || ss_sys_fstat(2, &now) < 0 || now.st_dev != stderr_then.st_dev ||
        now.st_ino != stderr_then.st_ino || now.st_rdev != stderr_then.st_rdev)
        return false;
    /* A pipe that is ready takes this much without blocking, and no more is promised. */
    enum { PIECE = 4096 };
    static _Atomic bool was_cut;
    if (atomic_exchange(&was_cut, false) && !write_ready(2, "\n", 1))
        return false;
    while (size) {
        size_t piece = size < PIECE ? size : PIECE;
        if (!write_ready(2, data, piece)) {
            atomic_store(&was_cut, true);
            return false;
        }
        data += piece;
        size -= piece;
    }
    return true;
}

void ss_say(int level, const char *piece, ...)
{
    enum { LINES = 32 };
    static _Atomic int said;
    if (level > ss_options.verbosity)
        return;
    /* The help and a verbose run are asked for, and not capped. */
    if (level == 0 && !ss_options.help && atomic_fetch_add(&said, 1) >= LINES)
        return;

    char buffer[512];
    struct ss_line line = {.data = buffer, .size = sizeof buffer - 1};
    ss_puts(&line, "strayspan: ");
    va_list pieces;
    va_start(pieces, piece);
    /* clang-tidy 14 does not see that va_start has set the list. */
    for (; piece;
         piece = va_arg(pieces, const char *)) /* NOLINT(clang-analyzer-valist.Uninitialized) */
        ss_put_plain(&line, piece);
    va_end(pieces);
    line.size++;
    ss_put(&line, "\n", 1);
    (void)ss_stderr_write(buffer, line.used);
}
