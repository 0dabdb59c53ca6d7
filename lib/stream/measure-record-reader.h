/* SPDX-License-Identifier: Apache-2.0 */
/* Reading of record files. */

#ifndef MEASURE_RECORD_READER_H
#define MEASURE_RECORD_READER_H 1

#include <stdio.h>

#include "key/measure-switch-port.h"
#include "stream/measure-record-file.h"

/* Readers of record files
 * =======================
 *
 * A reader checks each block before anything of it is used: the checksum, and
 * then all that it says of itself and what was before it.  The first block
 * that is wrong ends the file, with an error that has its offset.
 *
 * Memory: as much as the largest block, at most MEASURE_RECORD_MAX_BLOCK
 * bytes, twice if it is compressed.
 *
 * Thread safety: a reader belongs to one thread at a time. */

struct measure_record_reader;

/* What measure_record_reader_next() has found. */
struct measure_record_block {
    enum measure_record_block_kind kind;
    uint64_t offset;            /* Of its header in the file. */
    uint32_t ring;
    uint32_t core_id;
    bool begins;                /* The ring.  One that had its number has
                                 * ended. */
    const struct measure_slot *slots;   /* Until the next call. */
    size_t n_slots;
    uint32_t n_records;
    uint32_t n_marks;
    uint64_t epoch;
    uint64_t offered;
    uint64_t filtered;
    uint64_t dropped;
};

enum measure_record_result {
    MEASURE_RECORD_BLOCK,       /* There was a block. */
    MEASURE_RECORD_FINISHED,    /* None follows, and none is missing. */
    MEASURE_RECORD_DAMAGED,     /* See measure_record_reader_error(). */
};

char *measure_record_reader_open(struct measure_record_reader **,
                                 const char *name);
char *measure_record_reader_open_stream(struct measure_record_reader **,
                                        FILE *, const char *name);
enum measure_record_result
measure_record_reader_next(struct measure_record_reader *,
                           struct measure_record_block *);
struct measure_port_names *
measure_record_reader_take_ports(struct measure_record_reader *);
const char *measure_record_reader_error(const struct measure_record_reader *);
uint64_t measure_record_reader_records(const struct measure_record_reader *);
uint64_t measure_record_reader_offset(const struct measure_record_reader *);
uint64_t measure_record_reader_size(const struct measure_record_reader *);
void measure_record_reader_close(struct measure_record_reader *);

#endif /* measure-record-reader.h */
