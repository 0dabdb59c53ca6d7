/* SPDX-License-Identifier: Apache-2.0 */
/* The chains that the arguments of ovs-measure-stream ask for. */

#ifndef STREAM_CHAINS_H
#define STREAM_CHAINS_H 1

#include "stream/measure-pipeline.h"
#include "stream-options.h"

/* Chains
 * ======
 *
 * Those that were typed, with the stages in front of each that options ask
 * for, and those that options stand for:
 *
 *     --pcap EXPRESSION     pcap-filter 'EXPRESSION' | ...
 *     --headers             expect-headers | ..., the first chain of a bridge
 *     --count N             stop-after n=N chain=I | ...
 *     --write FILE          write pcapng file=FILE
 *     --accounting          accounting [of=file] [n=N]
 *     none of all these     count by=flow | top n=20 | write text
 *
 * Thread safety: the main thread only. */

/* The stages of this program, for struct measure_pipeline_options. */
extern const struct measure_stage_class *const stream_stages[];

struct stream_chains {
    char **texts;
    size_t n;
    size_t n_counted;           /* Those that --count is for, the first. */
};

void stream_chains_init(struct stream_chains *, const struct stream_options *);
void stream_chains_destroy(struct stream_chains *);

#endif /* stream-chains.h */
