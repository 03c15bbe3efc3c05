/* The life of a program that we start: it gets the signals, the descriptors and the dispositions that it
 * would have without us, and its status is ours. Called by run.c and cargo.c. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "text.h"

static const int synchronous_signals[] = {SIGSEGV, SIGBUS,  SIGFPE, SIGILL,
                                          SIGABRT, SIGTRAP, SIGSYS};

/* Collects whoever ended or stopped, orphans included where we are PID 1. True once it is the
 * child. */
static bool reap(struct ss_child *child)
{
    int status;
    pid_t pid;
    bool ended = false;
    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
        if (pid != child->pid)
            continue;
        if (WIFSTOPPED(status)) {
            /* Stopped from its terminal: so are we, and the shell sees its job stopped. */
            int signal = WSTOPSIG(status);
            if (signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU)
                raise(SIGSTOP);
            continue;
        }
        ended = true;
        child->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        child->status =
            WIFSIGNALED(status) ? SS_EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
    }
    return ended;
}

/* Waits for the child. Signals that the kernel sends (a terminal's, to the whole process group)
 * reach the program without us; those that somebody sent to us are handed on. */
static void attend(struct ss_child *child, const sigset_t *signals)
{
    for (;;) {
        siginfo_t info;
        int signal = sigwaitinfo(signals, &info);
        if (signal == SIGCHLD) {
            if (reap(child))
                return;
        } else if (signal > 0 && info.si_code <= 0 && info.si_pid != child->pid) {
            kill(child->pid, signal);
        }
    }
}

static struct timespec ended; /* when the program did */

/* What comes with the program's end was meant for it, and is sent to us as well, such as the second
 * of two signals from `timeout`. Later ones are for us. */
static void end_later(int signal)
{
    struct timespec now;
    int before = errno;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec - ended.tv_sec > 1) {
        struct sigaction action = {.sa_handler = SIG_DFL};
        sigaction(signal, &action, NULL);
        raise(signal);
    }
    errno = before;
}

/* The program has ended, and what is left can take its time: it can be ended by signals that were
 * not ignored before. */
static void take_signals(const sigset_t *mask)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    struct sigaction action = {.sa_handler = end_later, .sa_flags = SA_RESTART}, before;
    clock_gettime(CLOCK_MONOTONIC, &ended);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
            sigaction(signals[i], &action, NULL);
    sigprocmask(SIG_SETMASK, mask, NULL);
}

void ss_child_end_alike(const struct ss_child *child)
{
    const struct rlimit none = {0, 0}; /* the child has left a core, where one is wanted */
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, child->signal);
    fflush(NULL);
    setrlimit(RLIMIT_CORE, &none);
    sigaction(child->signal, &action, NULL);
    sigprocmask(SIG_UNBLOCK, &signals, NULL);
    raise(child->signal);
}

/* Whether a file begins like text: with no NUL byte in its first bytes. */
static bool is_text(const char *path)
{
    char head[128] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, head, sizeof head);
    if (fd >= 0)
        close(fd);
    return length > 0 && !memchr(head, 0, (size_t)length) && memcmp(head, "\177ELF", 4) != 0;
}

/* Our own environment with these variables over it. */
static char **environment_with(const struct ss_variable *variables)
{
    size_t count = 0, most = 1;
    while (environ && environ[count])
        count++;
    for (const struct ss_variable *at = variables; at->name; at++)
        most++;
    char **result = ss_keep((count + most) * sizeof *result);
    count = 0;
    for (char **old = environ; old && *old; old++) {
        const struct ss_variable *at = variables;
        while (at->name &&
               !(strncmp(*old, at->name, strlen(at->name)) == 0 && (*old)[strlen(at->name)] == '='))
            at++;
        if (!at->name)
            result[count++] = *old;
    }
    for (const struct ss_variable *at = variables; at->name; at++)
        result[count++] = (char *)ss_text("%s=%s", at->name, at->value);
    result[count] = NULL;
    return result;
}

static struct sigaction child_action; /* of SIGCHLD, as inherited */

void ss_child_begin(void)
{
    const struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(SIGCHLD, &action, &child_action);
}

/* What the child is to become, and what is said back where it cannot. */
struct birth {
    const char *path;
    char **argv, **environment;
    sigset_t mask;
    volatile int error;
};

/* The child's part, in our memory: nothing of it is changed but the error. */
_Noreturn static void become(struct birth *birth)
{
    sigaction(SIGCHLD, &child_action, NULL);
    sigprocmask(SIG_SETMASK, &birth->mask, NULL);
    execve(birth->path, birth->argv, birth->environment);
    /* A script without `#!` is the shell's, as with any other program that starts programs. */
    if (errno == ENOEXEC && is_text(birth->path))
        execvpe(birth->argv[0], birth->argv, birth->environment);
    birth->error = errno;
    _exit(SS_EXIT_NOT_FOUND);
}

bool ss_child_run(const char *path, char **argv, const struct ss_variable *environment,
                  struct ss_child *child)
{
    struct birth birth = {.path = path, .argv = argv, .environment = environment_with(environment)};
    sigset_t signals;
    sigfillset(&signals);
    for (size_t i = 0; i < sizeof synchronous_signals / sizeof synchronous_signals[0]; i++)
        sigdelset(&signals, synchronous_signals[i]);
    sigprocmask(SIG_BLOCK, &signals, &birth.mask);
    /* We have one thread, which goes on where the child's image is another: the pages of both need no copy, which
     * is felt where each test of hundreds is a process. */
    child->pid = vfork(); // NOLINT(clang-analyzer-security.insecureAPI.vfork)
    if (child->pid == 0)
        become(&birth);
    if (child->pid < 0) {
        fprintf(stderr, "strayspan: cannot start a process: %s\n", strerror(errno));
        sigprocmask(SIG_SETMASK, &birth.mask, NULL);
        return false;
    }
    child->exec_error = birth.error;
    attend(child, &signals);
    take_signals(&birth.mask);
    return true;
}

int ss_child_become(const char *path, char **argv)
{
    sigaction(SIGCHLD, &child_action, NULL);
    execv(path, argv);
    int problem = errno;
    fprintf(stderr, "strayspan: %s: cannot be executed: %s\n", ss_text_clean(path),
            strerror(problem));
    return problem == ENOENT ? SS_EXIT_NOT_FOUND : SS_EXIT_NOT_EXECUTABLE;
}
