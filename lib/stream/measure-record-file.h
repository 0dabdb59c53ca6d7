/* SPDX-License-Identifier: Apache-2.0 */
/* Files with the records of packets. */

#ifndef MEASURE_RECORD_FILE_H
#define MEASURE_RECORD_FILE_H 1

#include <stdio.h>

#include "key/measure-switch-port.h"
#include "stream/measure-slot.h"

/* Record files
 * ============
 *
 * A file has the slots of rings (measure-slot.h) as they were: records of
 * packets and marks, in the order of each ring.  doc/record-files.md has the
 * format for others who want to read it.
 *
 *     file header | ports | records of ring 0 | records of ring 1 | ... | end
 *
 * Behind the header of the file follow blocks.  A block is of one ring, has a
 * header that says how long it is, and a CRC32C over all of it.  What is wrong
 * with a block is found before any of it is used, and whatever stands in front
 * of it remains usable.  The last block says how much there must have been: a
 * file without it was not finished.
 *
 * Blocks may be compressed with zstd, each for itself.  A program that was
 * built without zstd says so when it meets one.
 *
 * Groups.  The writer collects the slots of each ring.  When those of one fill
 * a block it writes those of all, in the order of their numbers: a group.  So
 * there are no records behind a group that were put before it, and a reader
 * can give what is in it in the order of time.
 *
 * If a block cannot be written because the disk is full, the file is cut
 * behind the last one that was whole, and nothing more is written.
 *
 * Memory: MEASURE_RECORD_BLOCK_SLOTS * 32 bytes (128 KiB) for each number of a
 * ring that is written, and once more for compression; a reader takes as much
 * as the largest block, at most MEASURE_RECORD_MAX_BLOCK bytes, twice if
 * compressed.
 *
 * Thread safety: a writer or a reader belongs to one thread at a time. */

#define MEASURE_RECORD_FILE_MAGIC UINT64_C(0x736365722d73766f) /* "ovs-recs" */
#define MEASURE_RECORD_FILE_VERSION 1
#define MEASURE_RECORD_BLOCK_MAGIC UINT32_C(0x6b6c622d)        /* "-blk" */
#define MEASURE_RECORD_BLOCK_SLOTS 4096
#define MEASURE_RECORD_MAX_BLOCK (4 * MEASURE_MIB)
#define MEASURE_RECORD_MAX_SOURCES 4096

/* All numbers are in the byte order of the machine that wrote the file. */
struct measure_record_file_header {
    uint64_t magic;
    uint32_t version;
    uint32_t header_size;       /* Bytes: the first block follows. */
    uint32_t slot_size;
    uint32_t block_header_size;
    uint64_t time_ns;           /* When it was begun, or 0. */
    uint8_t unused[28];
    uint32_t crc;               /* Of all that stands before it. */
};

static_assert(sizeof(struct measure_record_file_header) == 64
              && offsetof(struct measure_record_file_header, crc) == 60,
              "the header of a file");

enum measure_record_block_kind {
    MEASURE_RECORD_SLOTS = 1,   /* Records and marks of one ring. */
    MEASURE_RECORD_PORTS = 2,   /* Names of ports, all that there are. */
    MEASURE_RECORD_END = 3,     /* The file is complete. */
};

enum measure_record_compression {
    MEASURE_RECORD_PLAIN = 0,
    MEASURE_RECORD_ZSTD = 1,
};

#define MEASURE_RECORD_BEGINS 1 /* The first block of its ring. */

struct measure_record_block_header {
    uint32_t magic;
    uint32_t crc;               /* Of the rest of the header and the bytes that
                                 * follow it in the file. */
    uint8_t kind;               /* enum measure_record_block_kind. */
    uint8_t compression;        /* enum measure_record_compression. */
    uint16_t flags;             /* MEASURE_RECORD_*. */
    uint32_t stored_size;       /* Bytes that follow in the file... */
    uint32_t size;              /* ...and that they are, decompressed. */
    uint32_t source;            /* Number of the ring in this file, from 0.
                                 * One that has ended may have had it. */
    uint32_t core_id;           /* Of the thread that wrote it. */
    uint32_t n_records;         /* Of packets. */
    uint32_t n_marks;
    uint32_t n_ports;
    uint64_t epoch;             /* Of the last mark of this ring so far... */
    uint64_t offered;           /* ...and what it says. */
    uint64_t filtered;
    uint64_t dropped;
    uint64_t total_records;     /* Of this ring so far, with this block; of
                                 * all rings in the last block. */
};

static_assert(sizeof(struct measure_record_block_header) == 80,
              "the header of a block");

/* Writing. */

struct measure_record_writer;

struct measure_record_writer_options {
    bool zstd;                  /* Compress. */
    int level;                  /* From 1 to 19; 0 for 1. */
    uint64_t time_ns;           /* For the header. */
};

bool measure_record_file_has_zstd(void);

char *measure_record_writer_open(struct measure_record_writer **,
                                 const char *name,
                                 const struct measure_record_writer_options *);
bool measure_record_writer_ports(struct measure_record_writer *,
                                 const struct measure_port_names *);
bool measure_record_writer_begin(struct measure_record_writer *,
                                 uint32_t source);
bool measure_record_writer_put(struct measure_record_writer *,
                               uint32_t source, uint32_t core_id,
                               const struct measure_slot *);
bool measure_record_writer_mark(struct measure_record_writer *,
                                uint32_t source, uint32_t core_id,
                                const struct measure_mark *);
bool measure_record_writer_flush(struct measure_record_writer *);
const char *measure_record_writer_error(const struct measure_record_writer *);
char *measure_record_writer_close(struct measure_record_writer *);

/* Reading. */

struct measure_record_reader;

/* What measure_record_reader_next() has found. */
struct measure_record_block {
    enum measure_record_block_kind kind;
    uint64_t offset;            /* Of its header in the file. */
    uint32_t source;
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

#endif /* measure-record-file.h */
