/* SPDX-License-Identifier: Apache-2.0 */
/* The format 'records' of the stage 'write': files that can be read again. */

#include <config.h>

#include <errno.h>
#include <stdlib.h>

#include "stages/measure-write-format.h"
#include "stream/measure-record-writer.h"

struct write_records {
    struct measure_write w;
    struct measure_record_writer_options options;
    struct measure_record_writer *writer;
    bool has_ports;             /* Their names are in the file. */
};

static struct write_records *
cast(struct measure_write *w)
{
    return (struct write_records *) (void *) w;
}

static char *
records_set(struct measure_write *w, const char *name, const char *value)
{
    struct write_records *records = cast(w);

    (void) name;
    if (strcmp(value, "zstd") && strcmp(value, "none")) {
        return measure_format("compress=%s: valid is zstd or none", value);
    }
    records->options.zstd = !strcmp(value, "zstd");
    return NULL;
}

/* The writer of record files has a file descriptor of its own, so that it can
 * cut off what was not written whole. */
static char *
records_open(struct measure_write *w)
{
    struct write_records *records = cast(w);

    records->options.time_ns = measure_realtime_ns();
    return measure_record_writer_open(&records->writer,
                                      w->file == stdout ? "-" : w->path,
                                      &records->options);
}

static void
check(struct write_records *records)
{
    if (measure_record_writer_error(records->writer)) {
        measure_stage_fail(records->w.stage);
    }
}

/* Names of ports stand before the first packets that may have them. */
static void
put_ports(struct write_records *records)
{
    const struct measure_port_names *ports = records->w.stage->ports;

    if (ports && !records->has_ports) {
        measure_record_writer_ports(records->writer, ports);
        records->has_ports = true;
    }
}

static void
records_ports(struct measure_write *w)
{
    cast(w)->has_ports = false;
}

static void
records_packets(struct measure_write *w, struct measure_batch *batch)
{
    struct write_records *records = cast(w);

    put_ports(records);
    for (size_t i = 0; i < batch->n; i++) {
        measure_record_writer_put(records->writer, batch->ring,
                                  batch->core_id, batch->records[i]);
    }
    check(records);
}

static void
records_mark(struct measure_write *w, const struct measure_batch *batch,
             const struct measure_mark *mark)
{
    struct write_records *records = cast(w);

    measure_record_writer_mark(records->writer, batch->ring, batch->core_id,
                               mark);
    check(records);
}

static void
records_ring(struct measure_write *w, uint32_t ring)
{
    measure_record_writer_begin(cast(w)->writer, ring);
}

static void
records_close(struct measure_write *w)
{
    struct write_records *records = cast(w);

    w->text = measure_record_writer_close(records->writer);
    records->writer = NULL;
}

static void
records_destroy(struct measure_write *w)
{
    struct write_records *records = cast(w);

    if (records->writer) {
        free(measure_record_writer_close(records->writer));
    }
}

static const char *const arguments[] = { "compress", NULL };

const struct measure_write_format measure_write_records = {
    .name = "records",
    .summary = "packets, to be read again, see doc/record-files.md",
    .takes = MEASURE_TAKES_PACKETS,
    .size = sizeof(struct write_records),
    .arguments = arguments,
    .set = records_set,
    .open = records_open,
    .packets = records_packets,
    .mark = records_mark,
    .ring = records_ring,
    .ports = records_ports,
    .close = records_close,
    .destroy = records_destroy,
};
