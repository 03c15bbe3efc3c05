/* Whether a cfg(..) of cargo's configuration holds. See cargo_cfg.c. */
#ifndef SS_CARGO_CFG_H
#define SS_CARGO_CFG_H

#include <stdbool.h>

/* Whether the first `cfg(..)` in text, a key of a configuration, holds for a target. cfgs is what `rustc --print cfg`
 * says of it: `unix`, `target_os="linux"`, a line each. True where text cannot be made out. */
bool ss_cfg_holds(const char *text, const char *cfgs);

#endif
