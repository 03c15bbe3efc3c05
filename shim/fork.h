/* The locks of the shim, in the order in which they are taken. Around fork all of them are held, so
 * that the child finds its copy of the state whole (start.c). */
#ifndef SS_FORK_H
#define SS_FORK_H

struct ss_lock;

#define SS_LOCKS(X)      \
    X(ss_starts_lock)    \
    X(ss_hook_lock)      \
    X(ss_instances_lock) \
    X(ss_threads_lock)   \
    X(ss_sites_lock)     \
    X(ss_stacks_lock)    \
    X(ss_values_lock)    \
    X(ss_names_lock)     \
    X(ss_breaches_lock)  \
    X(ss_log_lock)

#define X(name) extern struct ss_lock name __attribute__((visibility("hidden")));
SS_LOCKS(X)
#undef X

#endif
