/* SPDX-License-Identifier: Apache-2.0 */
/* The chains that the arguments of ovs-measure-stream ask for. */

#include <config.h>

#include "stream-chains.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "stages/measure-stages.h"
#include "stream/measure-language.h"
#include "stream-accounting.h"
#include "stream-expect-headers.h"
#include "stream-pcap-filter.h"
#include "stream-stop-after.h"

#define DEFAULT_LIVE "count by=flow | top n=20 every=1s | write text"
#define DEFAULT_FILE "count by=flow | top n=20 | write text"

const struct measure_stage_class *const stream_stages[] = {
    &stream_accounting,
    &stream_expect_headers,
    &stream_pcap_filter,
    &stream_stop_after,
    NULL
};

static void
add(struct stream_chains *chains, const struct stream_options *o,
    const char *stages)
{
    char *text = NULL;

    if (o->headers && o->bridge && !chains->n) {
        measure_append(&text, "expect-headers | ");
    }
    if (o->pcap) {
        measure_append(&text, "pcap-filter ");
        measure_language_quote(&text, o->pcap);
        measure_append(&text, " | ");
    }
    if (o->count) {
        measure_append(&text, "stop-after n=%"PRIu64" chain=%zu | ", o->count,
                       chains->n);
    }
    measure_append(&text, "%s", stages);
    chains->texts[chains->n++] = text;
}

/* It sees all packets, whatever is filtered for other chains.  --count is for
 * those, and for it only if there are none. */
static void
add_accounting(struct stream_chains *chains, const struct stream_options *o)
{
    char *text = measure_format("accounting");

    if (o->read) {
        measure_append(&text, " of=file");
    }
    if (o->count && !chains->n) {
        measure_append(&text, " n=%"PRIu64, o->count);
        chains->n_counted = 1;
    }
    chains->texts[chains->n++] = text;
}

void
stream_chains_init(struct stream_chains *chains,
                   const struct stream_options *o)
{
    memset(chains, 0, sizeof *chains);
    chains->texts = measure_xzalloc((o->n_chains + 3) * sizeof *chains->texts);
    for (size_t i = 0; i < o->n_chains; i++) {
        add(chains, o, o->chains[i]);
    }
    if (o->write) {
        char *stage = measure_format("write pcapng");

        if (strcmp(o->write, "-")) {
            measure_append(&stage, " file=");
            measure_language_quote(&stage, o->write);
        }
        add(chains, o, stage);
        free(stage);
    }
    if (!chains->n && !o->accounting) {
        add(chains, o, o->bridge ? DEFAULT_LIVE : DEFAULT_FILE);
    }
    chains->n_counted = chains->n;
    if (o->accounting) {
        add_accounting(chains, o);
    }
}

void
stream_chains_destroy(struct stream_chains *chains)
{
    for (size_t i = 0; i < chains->n; i++) {
        free(chains->texts[i]);
    }
    free(chains->texts);
}
