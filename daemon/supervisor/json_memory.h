/*
 * json_memory.h - did the JSON library have all the memory it asked for?
 *
 * Runs in: supervisor.  Never: logs, on more than one thread.
 *
 * A tree whose node could not be had is built on without it, and what is
 * printed then lacks a field without a word.  So whoever builds one asks.
 */
#ifndef CW_JSON_MEMORY_H
#define CW_JSON_MEMORY_H

#include <stdbool.h>

void cw_json_memory_watch(void);	/* from now on */
bool cw_json_memory_short(void);	/* was anything refused since then? */

#endif /* CW_JSON_MEMORY_H */
