/* SPDX-License-Identifier: Apache-2.0 */
/* The format pcapng of the stage 'write': packets for tcpdump and the like. */

#include <config.h>

#include <errno.h>
#include <sys/stat.h>

#include "stages/measure-write-format.h"
#include "stream/measure-pcapng.h"

struct write_pcapng {
    struct measure_write w;
    struct measure_pcapng *pcapng;
    bool waited_for;            /* Somebody reads it while it is written. */
};

static struct write_pcapng *
cast(struct measure_write *w)
{
    return (struct write_pcapng *) (void *) w;
}

static void
put_block(void *w, const void *block, size_t size)
{
    measure_write_put(w, block, size);
}

/* A reader of a pipe needs the beginning at once, and the last packets before
 * a pause, however many came with them. */
static void
flush(struct measure_write *w)
{
    if (!w->error && fflush(w->file)) {
        w->error = errno ? errno : EIO;
    }
}

static char *
write_pcapng_open(struct measure_write *w)
{
    struct stat s;

    cast(w)->waited_for = (fstat(fileno(w->file), &s)
                           || !S_ISREG(s.st_mode));
    cast(w)->pcapng = measure_pcapng_create(put_block, w, "ovs-measure");
    flush(w);
    return NULL;
}

static void
write_pcapng_packets(struct measure_write *w, struct measure_batch *batch)
{
    for (size_t i = 0; i < batch->n; i++) {
        measure_pcapng_packet(cast(w)->pcapng, batch->records[i],
                              batch->ring, w->stage->ports);
    }
    if (cast(w)->waited_for) {
        flush(w);
    }
}

static void
write_pcapng_mark(struct measure_write *w, const struct measure_batch *batch,
                  const struct measure_mark *mark)
{
    measure_pcapng_mark(cast(w)->pcapng, mark, batch->ring);
    flush(w);
}

static void
write_pcapng_ring(struct measure_write *w, uint32_t ring)
{
    measure_pcapng_begin_ring(cast(w)->pcapng, ring);
}

static void
write_pcapng_close(struct measure_write *w)
{
    measure_pcapng_finish(cast(w)->pcapng);
}

static void
write_pcapng_destroy(struct measure_write *w)
{
    measure_pcapng_destroy(cast(w)->pcapng);
}

const struct measure_write_format measure_write_pcapng = {
    .name = "pcapng",
    .summary = "packets, for tcpdump, Wireshark and the like",
    .takes = MEASURE_TAKES_PACKETS,
    .wants_headers = true,
    .size = sizeof(struct write_pcapng),
    .open = write_pcapng_open,
    .packets = write_pcapng_packets,
    .mark = write_pcapng_mark,
    .ring = write_pcapng_ring,
    .close = write_pcapng_close,
    .destroy = write_pcapng_destroy,
};
