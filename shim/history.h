/* The flight recorder: the last events of each thread, with times; off unless the option history
 * says how many. */
#ifndef SS_HISTORY_H
#define SS_HISTORY_H

#include "options.h"
#include "output.h"

/* X(NAME, name in the log) */
#define SS_HISTORY_EVENTS(X) \
    X(NEW, "new")            \
    X(ENTER, "enter")        \
    X(EXIT, "exit")          \
    X(CLOSE, "close")        \
    X(RECORD, "record")      \
    X(CLONE, "clone")        \
    X(PARK, "park")          \
    X(LOOKUP, "lookup")

enum ss_history_event {
#define X(name, text) SS_HISTORY_##name,
    SS_HISTORY_EVENTS(X)
#undef X
        SS_HISTORY_EVENT_COUNT
};

/* Notes an event of the calling thread, with work begun. span may be NULL (no span, or one whose
 * creation was not seen); caller is a return address. A look-up is noted once thread->lookup tells
 * of it. Hot with history on, nothing with it off. */
SS_HIDDEN void ss_history_add(struct ss_thread *thread, enum ss_history_event event,
                              const struct ss_span *span, uint64_t span_serial, uintptr_t caller);

static inline void ss_history_note(struct ss_thread *thread, enum ss_history_event event,
                                   const struct ss_span *span, uint64_t span_serial,
                                   uintptr_t caller)
{
    if (SS_UNLIKELY(ss_options.history))
        ss_history_add(thread, event, span, span_serial, caller);
}

/* What a LOOKUP event told of. */
struct ss_history_lookup {
    uint64_t nanoseconds;
    uint32_t addresses;
    uint32_t has_host;
    char host[256];
};

/* One event of a story. */
struct ss_history_row {
    int64_t nanoseconds; /* before the story's end, so at most 0 */
    uint64_t span_serial;
    const struct ss_site *site;             /* of the span, or NULL */
    const struct ss_history_lookup *lookup; /* of a LOOKUP that is still known, or NULL */
    uintptr_t caller;
    uint32_t thread;
    enum ss_history_event event;
    bool of_span; /* of the span that the story is about */
};

enum { SS_STORY_MAX = 48 };

/* What happened to a span, in the order of time. */
struct ss_story {
    uint32_t count, left_out;
    struct ss_history_row rows[SS_STORY_MAX];
};

/* The story of a span (serial 0: of none) up to a time of CLOCK_REALTIME: its events on all
 * threads, and what else happened on the given ones since it was made. Where there is more than
 * SS_STORY_MAX, the span's own events are kept first, then the latest. NULL where nothing was
 * recorded. There is one story at a time: under the log's lock. */
SS_HIDDEN const struct ss_story *ss_history_story(uint64_t span_serial, uint64_t end,
                                                  const uint32_t *threads, unsigned thread_count);

/* Which rows of a story are the first count by that order. */
SS_HIDDEN void ss_history_choose(const struct ss_story *story, uint32_t count,
                                 bool chosen[SS_STORY_MAX]);

/* The child of a fork forgets what the other threads did. */
SS_HIDDEN void ss_history_forked(void);

#endif
