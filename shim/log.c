/* The log file: its name, its making, and one write of one line at a time. log_lock guards the
 * buffer and the descriptor; what a record needs from elsewhere is gathered before it is taken.
 *
 * The descriptor may be taken from us at any time (closefrom, dup2), so its identity is compared
 * before each write and the file is opened again by its absolute path. What cannot go into the file
 * goes to stderr, so that nothing is lost; that a log without it is not all there is to know stands in the
 * record `lost`, for which room is kept where the file system can promise it. */
#include "log.h"
#include "module_names.h"

#include <linux/falloc.h>
#include <linux/fcntl.h>
#include <linux/resource.h>
#include <asm/stat.h>
#include <linux/utsname.h>
#include <stdatomic.h>
#include <string.h>

#include "fork.h"
#include "lock.h"
#include "lookups.h"
#include "options.h"
#include "records.h"
#include "stacks.h"
#include "start.h"
#include "task_files.h"
#include "threads.h"

enum { PATH_SIZE = 4096, LOWEST_DESCRIPTOR = 100, NAMES_TRIED = 1000, MODE_FORMAT = 0170000 };
enum { MODE_LINK = 0120000, SAID_MAX = 4096, LOST_MAX = 256, NO_SPACE = 28, NO_QUOTA = 122 };

enum state { UNOPENED, TO_FILE, TO_STDERR };

struct ss_lock ss_log_lock;
static enum state state;
static int descriptor = -1;
static unsigned long device, inode;
static char path[PATH_SIZE];
static char buffer[SS_LOG_LINE_MAX];
static struct ss_record_head head;
static struct ss_process_facts process;
static char exe[PATH_SIZE], host[65], directory[PATH_SIZE];

/* ---- names ----------------------------------------------------------------------------------- */

static const char *error_text(long error)
{
    static const struct {
        int number;
        const char *text;
    } texts[] = {
        {1, "operation not permitted"},  {2, "no such file or directory"},
        {13, "permission denied"},       {17, "a file of that name exists"},
        {20, "not a directory"},         {21, "is a directory"},
        {22, "not a regular file"},      {23, "too many open files"},
        {24, "too many open files"},     {27, "file too large"},
        {28, "no space left on device"}, {30, "read-only file system"},
        {36, "file name too long"},      {40, "it is a symbolic link"},
        {122, "disk quota exceeded"},
    };
    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (texts[i].number == -error)
            return texts[i].text;
    return "unexpected error";
}

/* The program's name as part of a file's. */
static void put_program(struct ss_line *line)
{
    const char *slash = strrchr(exe, '/');
    const char *name = slash ? slash + 1 : exe;
    for (unsigned i = 0; i < 64 && name[i]; i++)
        ss_put(line, (unsigned char)name[i] <= ' ' || name[i] == 0x7f ? "_" : &name[i], 1);
}

/* The start as a part of a file's name: 20261122T101500.123456. */
static void put_start(struct ss_line *line)
{
    char text[32];
    struct ss_line time = {.data = text, .size = sizeof text};
    ss_put_time(&time, process.start);
    for (size_t i = 0; i < time.used; i++)
        if (!strchr("-:Z", text[i]))
            ss_put(line, &text[i], 1);
}

/* Makes the path from a pattern; number is %n, and is put behind where the pattern has none. */
static bool make_path(const char *folder, const char *pattern, unsigned number)
{
    struct ss_line line = {.data = path, .size = sizeof path - 1};
    bool numbered = false;
    if (pattern[0] != '/') {
        ss_puts(&line, folder);
        ss_puts(&line, "/");
    }
    for (const char *at = pattern; *at; at++) {
        if (at[0] != '%') {
            ss_put(&line, at, 1);
            continue;
        }
        switch (*++at) {
        case 'p':
            ss_put_unsigned(&line, (uint64_t)head.pid);
            break;
        case 'e':
            put_program(&line);
            break;
        case 'h':
            ss_puts(&line, host);
            break;
        case 't':
            put_start(&line);
            break;
        case 'n':
            ss_put_unsigned(&line, number);
            numbered = true;
            break;
        case '%':
            ss_put(&line, "%", 1);
            break;
        default:
            ss_put(&line, "%", 1);
            at--;
        }
    }
    if (number && !numbered) {
        ss_puts(&line, ".");
        ss_put_unsigned(&line, number);
    }
    path[line.used] = 0;
    return !line.full;
}

/* ---- the file -------------------------------------------------------------------------------- */

/* Opens path, new or as it was; returns a high descriptor or -errno. Where the limit allows none
 * that high, keep is cleared and the descriptor is for one write. */
static long open_path(int flags, bool *keep)
{
    *keep = true;
    long low =
        ss_sys_open(path, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | flags, 0600);
    if (low < 0)
        return low;
    long high = SS_SYSCALL_3(__NR_fcntl, low, F_DUPFD_CLOEXEC, LOWEST_DESCRIPTOR);
    if (high < 0) {
        *keep = false;
        return low;
    }
    (void)ss_sys_close((int)low);
    return high;
}

/* Makes the file of a pattern in a folder; 0 or -errno. */
static long create(const char *folder, const char *pattern)
{
    long opened = -36;
    bool keep;
    for (unsigned number = 0; number < NAMES_TRIED; number++) {
        if (!make_path(folder, pattern, number))
            return -36;
        opened = open_path(O_CREAT | O_EXCL, &keep);
        if (opened != -17)
            break;
        /* Another number helps against a file, not against a link or a device. */
        struct stat there = {0};
        if (SS_SYSCALL_4(__NR_newfstatat, AT_FDCWD, path, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
            !ss_is_regular(&there))
            return (there.st_mode & MODE_FORMAT) == MODE_LINK ? -40 : -22;
    }
    if (opened < 0)
        return opened;
    struct stat now = {0};
    if (ss_sys_fstat((int)opened, &now) < 0 || !ss_is_regular(&now)) {
        (void)ss_sys_close((int)opened);
        return -22;
    }
    device = now.st_dev;
    inode = now.st_ino;
    if (keep)
        descriptor = (int)opened;
    else
        (void)ss_sys_close((int)opened);
    return 0;
}

static bool is_log(int fd)
{
    struct stat now = {0};
    return ss_sys_fstat(fd, &now) == 0 && now.st_dev == device && now.st_ino == inode;
}

/* A descriptor of the log; *once where it is to be closed after the write. -errno where it is gone.
 */
static long obtain(bool *once)
{
    *once = false;
    if (descriptor >= 0 && is_log(descriptor))
        return descriptor;
    descriptor = -1;
    bool keep;
    long opened = open_path(0, &keep);
    if (opened < 0)
        return opened;
    if (!is_log((int)opened)) {
        (void)ss_sys_close((int)opened);
        return -2;
    }
    if (keep)
        descriptor = (int)opened;
    *once = !keep;
    return opened;
}

/* How far the log has room for certain, and how long it was last: shorter now, it was cut by who rotates logs. */
static long reserved, length_seen;

/* Sees to it that the log has room up to the byte `end`, by whole pages; 0 or -errno. File systems that cannot
 * promise it have no objection. The limit is never passed: tmpfs would send the program SIGXFSZ. */
static long reserve(long fd, long end)
{
    enum { PAGE = 4096, TOO_LARGE = 27, NO_SUCH_CALL = 38, NOT_SUPPORTED = 95 };
    struct rlimit64 limit = {0, 0};
    if (end <= reserved)
        return 0;
    if (SS_SYSCALL_4(__NR_prlimit64, 0, RLIMIT_FSIZE, NULL, &limit) != 0)
        return 0;
    if ((uint64_t)end > limit.rlim_cur)
        return -TOO_LARGE;
    long next = (end + PAGE - 1) & -(long)PAGE;
    if ((uint64_t)next > limit.rlim_cur)
        next = end;
    long result = SS_SYSCALL_4(__NR_fallocate, fd, FALLOC_FL_KEEP_SIZE, 0, next);
    if (result == 0 || result == -NO_SUCH_CALL || result == -NOT_SUPPORTED)
        reserved = next;
    return result == -NO_SPACE || result == -NO_QUOTA ? result : 0;
}

/* Writes one line; returns 0 or -errno. A line is there wholly or not at all; `spare` bytes can follow it. */
static long write_line(const struct ss_line *line, long spare)
{
    bool once;
    long fd = obtain(&once);
    if (fd < 0)
        return fd;
    struct stat before = {0};
    bool known = ss_sys_fstat((int)fd, &before) == 0;
    if (before.st_size < length_seen)
        reserved = 0;
    length_seen = before.st_size;
    long none = known && spare ? reserve(fd, before.st_size + (long)line->used + spare) : 0;
    if (none < 0) {
        if (once)
            (void)ss_sys_close((int)fd);
        return none;
    }
    long written = ss_output_write((int)fd, line->data, line->used);
    if (written >= 0 && written != (long)line->used) {
        if (known)
            (void)SS_SYSCALL_2(__NR_ftruncate, fd, before.st_size);
        written = -NO_SPACE;
    }
    if (once)
        (void)ss_sys_close((int)fd);
    return written < 0 ? written : 0;
}

/* Why a line did not go into the log, 0 where none did; and whether the log tells of that. */
static long lost;
static bool lost_told;

static void tell_lost(void)
{
    char data[LOST_MAX];
    struct ss_line line = {.data = data, .size = sizeof data};
    ss_record_lost(&line, &head, error_text(lost));
    lost_told = write_line(&line, 0) == 0;
}

static void emit(const struct ss_line *line)
{
    static bool warned;
    if (state == TO_FILE) {
        if (lost && !lost_told)
            tell_lost();
        long result = write_line(line, lost ? 0 : LOST_MAX);
        if (result == 0)
            return;
        if (!warned)
            SS_WARN(path, ": cannot write the log: ", error_text(result),
                    "; its lines follow here");
        warned = true;
        lost = result;
        if (!lost_told)
            tell_lost();
    }
    (void)ss_stderr_write(line->data, line->used);
}

/* What a record may hold, from all there is to what always fits. */
static const struct {
    uint32_t list_max, frames_max, text_max;
} limits[] = {{512, 64, 0}, {12, 64, 0}, {0, 64, 0}, {0, 16, 0}, {0, 4, 1024}, {0, 1, 128}};

/* Renders a record, shorter where it does not fit, and writes it. */
typedef void render_fn(struct ss_line *line, const void *what);

static void emit_record(render_fn *render, const void *what)
{
    for (unsigned i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct ss_line line = {.data = buffer,
                               .size = sizeof buffer,
                               .list_max = limits[i].list_max,
                               .frames_max = limits[i].frames_max,
                               .text_max = limits[i].text_max};
        render(&line, what);
        if (!line.full) {
            emit(&line);
            return;
        }
    }
}

static void render_module(struct ss_line *line, const void *module)
{
    ss_record_module(line, &head, module);
}

static void render_process(struct ss_line *line, const void *facts)
{
    ss_record_process(line, &head, facts);
}

static void render_violation(struct ss_line *line, const void *facts)
{
    ss_record_violation(line, &head, facts);
}

static void render_consequence(struct ss_line *line, const void *facts)
{
    ss_record_consequence(line, &head, facts);
}

static void render_lookup(struct ss_line *line, const void *facts)
{
    ss_record_lookup(line, &head, facts);
}

static void render_summary(struct ss_line *line, const void *facts)
{
    ss_record_summary(line, &head, facts);
}

/* Writes what a reader has to know of modules before it reads on: those that are new, or have
 * tables that they had not. */
static void emit_modules(void)
{
    struct ss_module *module;
    for (uint32_t i = 0; (module = ss_module_at(i)); i++) {
        uint32_t shape =
            1 + module->tables_hooked + module->tables_unhooked + atomic_load(&module->tables_off);
        if (module->logged == shape)
            continue;
        module->logged = shape;
        emit_record(render_module, module);
    }
}

static void choose_file(void)
{
    const char *asked = ss_options.log_path;
    if (*asked) {
        long result = strcmp(asked, "stderr") == 0 ? 1 : create(directory, asked);
        if (result < 0)
            SS_WARN(path, ": cannot make the log: ", error_text(result), "; its lines follow here");
        state = result == 0 ? TO_FILE : TO_STDERR;
        return;
    }
    const char *temporary = ss_start_environment("TMPDIR");
    long result = create(directory, SS_LOG_DEFAULT_NAME);
    if (result < 0 && temporary && *temporary)
        result = create(temporary, SS_LOG_DEFAULT_NAME);
    if (result == 0) {
        state = TO_FILE;
        return;
    }
    SS_WARN(path, ": cannot make the log: ", error_text(result), "; its lines follow here");
    state = TO_STDERR;
}

/* Opens the log, where it is not open, and brings it up to date with the modules. */
static void prepare(void)
{
    if (state == UNOPENED) {
        choose_file();
        process.module = ss_module_at(0);
        process.pid_start = ss_process_start();
        emit_record(render_process, &process);
    }
    emit_modules();
}

/* ---- records --------------------------------------------------------------------------------- */

void ss_log_start(void)
{
    struct new_utsname names = {0};
    process.exe = exe;
    process.host = host;
    process.start = ss_sys_clock(0);
    process.parent = (int)SS_SYSCALL_0(__NR_getppid);
    head.pid = ss_sys_getpid();
    if (SS_SYSCALL_3(__NR_getrandom, &head.run, sizeof head.run, 1 /* GRND_NONBLOCK */) !=
        sizeof head.run)
        head.run = process.start * 0x9e3779b97f4a7c15u ^ (uint64_t)head.pid << 40;
    (void)ss_program_path(exe, sizeof exe);
    if (SS_SYSCALL_1(__NR_uname, &names) == 0)
        memcpy(host, names.nodename, sizeof host - 1);
    if (SS_SYSCALL_2(__NR_getcwd, directory, sizeof directory) < 0 || directory[0] != '/')
        memcpy(directory, ".", 2);
}

void ss_log_forked(void)
{
    if (descriptor >= 0 && is_log(descriptor))
        (void)ss_sys_close(descriptor);
    descriptor = -1;
    state = UNOPENED;
    reserved = length_seen = lost = 0;
    lost_told = false;
    struct ss_module *module;
    for (uint32_t i = 0; (module = ss_module_at(i)); i++)
        module->logged = 0;
    process.parent = head.pid;
    head.pid = ss_sys_getpid();
    process.start = ss_sys_clock(0);
    head.run = (head.run ^ process.start) * 0x9e3779b97f4a7c15u;
}

void ss_log_open_if_asked(void)
{
    if (!*ss_options.log_path || !ss_lock(&ss_log_lock))
        return;
    prepare();
    ss_unlock(&ss_log_lock);
}

void ss_log_violation(const struct ss_violation *violation)
{
    struct ss_violation_facts facts;
    ss_violation_facts(violation, &facts);
    if (!ss_lock(&ss_log_lock))
        return;
    prepare();
    ss_violation_story(&facts);
    emit_record(render_violation, &facts);
    if (!ss_options.quiet) {
        struct ss_line line = {.data = buffer, .size = SAID_MAX - 1};
        ss_record_said(&line, &facts, state == TO_FILE ? path : NULL);
        line.size++;
        ss_put(&line, "\n", 1);
        (void)ss_stderr_write(line.data, line.used);
    }
    ss_unlock(&ss_log_lock);
}

void ss_log_consequence(const struct ss_consequence *consequence)
{
    struct ss_consequence_facts facts = {.consequence = consequence};
    (void)ss_thread_facts(consequence->at.thread, &facts.thread);
    if (!ss_lock(&ss_log_lock))
        return;
    prepare();
    emit_record(render_consequence, &facts);
    ss_unlock(&ss_log_lock);
}

void ss_log_lookup(struct ss_thread *thread, const struct ss_entry *entry)
{
    const struct ss_site *site = entry && entry->span ? entry->span->site : NULL;
    struct ss_lookup_facts lookup = {.lookup = thread->lookup, .span = site ? site->name : NULL};
    (void)ss_thread_facts(thread->serial, &lookup.thread);
    if (!ss_lock(&ss_log_lock))
        return;
    prepare();
    emit_record(render_lookup, &lookup);
    ss_unlock(&ss_log_lock);
}

/* Whether this process has anything to tell at its end. */
static bool has_something_to_say(void)
{
    if (state != UNOPENED)
        return true;
    if (!*ss_options.log_path)
        return false;
    for (const struct ss_thread *thread = ss_thread_first(); thread; thread = thread->next)
        if (atomic_load(&thread->created) + atomic_load(&thread->entered))
            return true;
    return false;
}

void ss_log_summary(void)
{
    struct ss_summary_facts facts;
    ss_summary_facts(&facts);
    if (!ss_lock(&ss_log_lock))
        return;
    if (has_something_to_say()) {
        prepare();
        emit_record(render_summary, &facts);
    }
    ss_unlock(&ss_log_lock);
}
