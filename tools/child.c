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

static void become(const char *path, char **argv, const struct ss_variable *environment, int errors,
                   const struct sigaction *child_action, const sigset_t *mask)
{
    bool set = true;
    for (; environment->name && set; environment++)
        set = setenv(environment->name, environment->value, 1) == 0;
    if (set) {
        sigaction(SIGCHLD, child_action, NULL);
        sigprocmask(SIG_SETMASK, mask, NULL);
        execv(path, argv);
        /* A script without `#!` is the shell's, as with any other program that starts programs. */
        if (errno == ENOEXEC && is_text(path))
            execvp(argv[0], argv);
    }
    int problem = errno;
    if (write(errors, &problem, sizeof problem) < 0)
        _exit(SS_EXIT_FAILED);
    _exit(SS_EXIT_NOT_FOUND);
}

bool ss_child_run(const char *path, char **argv, const struct ss_variable *environment,
                  struct ss_child *child)
{
    sigset_t signals, before;
    struct sigaction child_before, child_default = {.sa_handler = SIG_DFL};
    int errors[2];
    sigfillset(&signals);
    for (size_t i = 0; i < sizeof synchronous_signals / sizeof synchronous_signals[0]; i++)
        sigdelset(&signals, synchronous_signals[i]);
    sigprocmask(SIG_BLOCK, &signals, &before);
    /* An inherited SIG_IGN would take the child's status from us. */
    sigaction(SIGCHLD, &child_default, &child_before);

    if (pipe2(errors, O_CLOEXEC) != 0 || (child->pid = fork()) < 0) {
        fprintf(stderr, "strayspan: cannot start a process: %s\n", strerror(errno));
        return false;
    }
    if (child->pid == 0)
        become(path, argv, environment, errors[1], &child_before, &before);
    close(errors[1]);
    if (read(errors[0], &child->exec_error, sizeof child->exec_error) <= 0)
        child->exec_error = 0;
    close(errors[0]);
    attend(child, &signals);
    take_signals(&before);
    return true;
}

int ss_child_become(const char *path, char **argv)
{
    execv(path, argv);
    int problem = errno;
    fprintf(stderr, "strayspan: %s: cannot be executed: %s\n", ss_text_clean(path),
            strerror(problem));
    return problem == ENOENT ? SS_EXIT_NOT_FOUND : SS_EXIT_NOT_EXECUTABLE;
}
