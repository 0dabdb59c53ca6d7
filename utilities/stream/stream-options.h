/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments of ovs-measure-stream. */

#ifndef STREAM_OPTIONS_H
#define STREAM_OPTIONS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Arguments
 * =========
 *
 * Thread safety: the main thread only. */

struct stream_options {
    /* Where packets come from: exactly one is not NULL. */
    const char *bridge;
    const char *read;           /* A record file. */
    const char *pcap_file;

    const char *pcap;           /* In libpcap's language, or NULL. */
    const char *write;          /* A file in pcapng format, or NULL. */
    bool headers;
    uint64_t slots;             /* Of each ring; 0 for the default. */
    uint64_t memory_mb;         /* For stages; 0 for any. */
    bool counters;
    uint64_t counters_ns;       /* How often; 0 for at the end. */
    bool accounting;
    uint64_t count;             /* Packets for each chain; 0 for all. */
    uint64_t duration_ns;       /* 0 without an end. */
    bool progress;

    char **chains;              /* As they were typed; not ours. */
    size_t n_chains;
};

/* What is done without reading packets. */
enum stream_action {
    STREAM_RUN,
    STREAM_LIST,
    STREAM_HELP,
    STREAM_VERSION,
};

enum stream_action stream_options_parse(struct stream_options *, int argc,
                                        char *argv[]);
void stream_usage(void);

#endif /* stream-options.h */
