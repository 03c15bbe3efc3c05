/* What the kernel says of a thread of this process. */
#ifndef SS_TASK_FILES_H
#define SS_TASK_FILES_H

#include "types.h"

/* The name of the thread with that id, at most 15 bytes; name is left as it is where it cannot be
 * read: no such thread any more, no /proc, no free descriptor. */
SS_HIDDEN void ss_task_name(int tid, char name[SS_THREAD_NAME]);

/* Whether the thread is on its way: neither asleep nor gone. False where that cannot be read. */
SS_HIDDEN bool ss_task_is_running(int tid);

/* When the process began, in clock ticks since the machine did: exec keeps that. 0 where it cannot be
 * read. */
SS_HIDDEN uint64_t ss_process_start(void);

#endif
