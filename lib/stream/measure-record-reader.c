/* SPDX-License-Identifier: Apache-2.0 */
/* Reading of record files. */

#include <config.h>

#include "stream/measure-record-reader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

#include "base/measure-base.h"
#include "base/measure-crc32c.h"

#define MAX_HEADER 4096

struct read_ring {
    bool seen;
    uint32_t core_id;
    uint64_t total_records;
};

struct measure_record_reader {
    char *name;
    FILE *file;
    uint64_t offset;            /* Of what is read next. */
    uint64_t total_records;
    char *error;
    bool ended;
    uint8_t *stored;            /* The bytes of a block in the file... */
    size_t stored_size;
    uint8_t *block;             /* ...and decompressed. */
    size_t block_size;
    struct measure_port_names *ports;   /* Of the last block of ports, unless
                                         * taken. */
    size_t n_rings;
    struct read_ring *rings;
};

static void
make_room(uint8_t **p, size_t *size, size_t needed)
{
    if (needed > *size) {
        *p = measure_xrealloc(*p, needed);
        *size = needed;
    }
}

/* Returns how many bytes there were. */
static size_t
read_bytes(struct measure_record_reader *r, void *p, size_t n)
{
    size_t got = n ? fread(p, 1, n, r->file) : 0;

    r->offset += got;
    return got;
}

static uint32_t
header_crc(const struct measure_record_file_header *header)
{
    return measure_crc32c(0, header, offsetof(
                              struct measure_record_file_header, crc));
}

/* Reads what stands in front of the first block.  Returns NULL or what is
 * wrong with it. */
static char *
read_file_header(struct measure_record_reader *r)
{
    struct measure_record_file_header header;
    size_t n = read_bytes(r, &header, sizeof header);
    uint8_t rest[MAX_HEADER];

    if (n < sizeof header.magic
        || (header.magic != MEASURE_RECORD_FILE_MAGIC
            && header.magic
               != __builtin_bswap64(MEASURE_RECORD_FILE_MAGIC))) {
        return measure_format("%s: not a record file of ovs-measure", r->name);
    }
    if (header.magic != MEASURE_RECORD_FILE_MAGIC) {
        return measure_format("%s: was written on a machine with another "
                              "order of bytes", r->name);
    }
    if (n < sizeof header) {
        return measure_format("%s: ends at offset %zu, in its header", r->name,
                              n);
    }
    if (header.crc != header_crc(&header)) {
        return measure_format("%s: its header is damaged, at offset 0",
                              r->name);
    }
    if (header.version != MEASURE_RECORD_FILE_VERSION
        || header.slot_size != sizeof(struct measure_slot)
        || (header.block_header_size
            != sizeof(struct measure_record_block_header))) {
        return measure_format("%s: version %"PRIu32" with slots of %"PRIu32
                              " bytes: this program reads version %d with "
                              "slots of %zu bytes", r->name, header.version,
                              header.slot_size, MEASURE_RECORD_FILE_VERSION,
                              sizeof(struct measure_slot));
    }
    if (header.header_size < sizeof header
        || header.header_size > MAX_HEADER) {
        return measure_format("%s: a header of %"PRIu32" bytes: valid are "
                              "%zu to %d", r->name, header.header_size,
                              sizeof header, MAX_HEADER);
    }
    n = header.header_size - sizeof header;
    if (read_bytes(r, rest, n) < n) {
        return measure_format("%s: ends at offset %"PRIu64", in its header",
                              r->name, r->offset);
    }
    return NULL;
}

/* Begins to read 'file', which is called 'name' and will be closed with the
 * reader, or now if something is wrong.  Returns NULL, or what that is, which
 * the caller frees. */
char *
measure_record_reader_open_stream(struct measure_record_reader **reader,
                                  FILE *file, const char *name)
{
    struct measure_record_reader *r = measure_xzalloc(sizeof *r);
    char *error;

    r->name = measure_format("%s", name);
    r->file = file;
    error = read_file_header(r);
    if (error) {
        measure_record_reader_close(r);
        return error;
    }
    *reader = r;
    return NULL;
}

/* The same for the file 'name', or the standard input if that is "-". */
char *
measure_record_reader_open(struct measure_record_reader **reader,
                           const char *name)
{
    bool standard_input = !strcmp(name, "-");
    int fd = (standard_input ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
              : open(name, O_RDONLY | O_CLOEXEC));
    FILE *file = fd < 0 ? NULL : fdopen(fd, "rb");

    if (!file) {
        char *error = measure_format("%s: cannot be opened: %s", name,
                                     strerror(errno));

        if (fd >= 0) {
            close(fd);
        }
        return error;
    }
    return measure_record_reader_open_stream(
        reader, file, standard_input ? "standard input" : name);
}

/* Returns NULL or what cannot be right in the header of a block, without a
 * look at the bytes that follow it. */
static char *
check_block_header(const struct measure_record_block_header *h)
{
    if (h->magic != MEASURE_RECORD_BLOCK_MAGIC) {
        return measure_format("no block begins here");
    }
    if (h->stored_size > MEASURE_RECORD_MAX_BLOCK
        || h->size > MEASURE_RECORD_MAX_BLOCK) {
        return measure_format("a block of %"PRIu32" bytes: valid are up to "
                              "%"PRIu64, (uint32_t) measure_max(h->size,
                                                          h->stored_size),
                              MEASURE_RECORD_MAX_BLOCK);
    }
    return NULL;
}

/* The same, of one whose checksum is right: what is wrong now is the fault of
 * the program that wrote it. */
static char *
check_block(const struct measure_record_reader *r,
            const struct measure_record_block_header *h)
{
    const struct read_ring *s;

    if (h->compression != MEASURE_RECORD_PLAIN
        && h->compression != MEASURE_RECORD_ZSTD) {
        return measure_format("compression %d: this program knows 0 (none) "
                              "and 1 (zstd)", h->compression);
    }
    if (h->compression == MEASURE_RECORD_ZSTD
        && !measure_record_file_has_zstd()) {
        return measure_format("the block is compressed with zstd, and this "
                              "program was built without it");
    }
    if (h->compression == MEASURE_RECORD_PLAIN && h->stored_size != h->size) {
        return measure_format("%"PRIu32" bytes that should be %"PRIu32,
                              h->stored_size, h->size);
    }
    switch (h->kind) {
    case MEASURE_RECORD_SLOTS:
        if (h->ring >= MEASURE_RECORD_MAX_RINGS) {
            return measure_format("ring %"PRIu32": valid are 0 to %d",
                                  h->ring, MEASURE_RECORD_MAX_RINGS - 1);
        }
        if (h->size % sizeof(struct measure_slot)) {
            return measure_format("%"PRIu32" bytes are no whole slots",
                                  h->size);
        }
        s = (h->ring < r->n_rings && !(h->flags & MEASURE_RECORD_BEGINS)
             ? &r->rings[h->ring] : NULL);
        if (s && s->seen && s->core_id != h->core_id) {
            return measure_format("ring %"PRIu32" of core %"PRIu32" was that "
                                  "of core %"PRIu32" before", h->ring,
                                  h->core_id, s->core_id);
        }
        if (h->total_records
            != (s ? s->total_records : 0) + h->n_records) {
            return measure_format("records of ring %"PRIu32" are missing: "
                                  "there should be %"PRIu64" up to here, and "
                                  "there are %"PRIu64, h->ring,
                                  h->total_records,
                                  (s ? s->total_records : 0) + h->n_records);
        }
        return NULL;

    case MEASURE_RECORD_END:
        if (h->total_records != r->total_records) {
            return measure_format("records are missing: there should be "
                                  "%"PRIu64" in all, and there are %"PRIu64,
                                  h->total_records, r->total_records);
        }
        return NULL;

    case MEASURE_RECORD_PORTS:
        return NULL;

    default:
        return measure_format("a block of kind %d: this program knows 1 to "
                              "%d", h->kind, MEASURE_RECORD_END);
    }
}

static void
forget_ports(struct measure_port_names *ports)
{
    if (ports) {
        measure_port_names_destroy(ports);
        free(ports);
    }
}

/* Takes the names of ports from a block.  Returns NULL or what is wrong. */
static char *
read_ports(struct measure_record_reader *r, const uint8_t *p, size_t size,
           uint32_t n)
{
    struct measure_port_names *ports = measure_xzalloc(sizeof *ports);
    uint32_t n_found = 0;
    char *error = NULL;

    while (size && !error) {
        char name[MEASURE_RECORD_MAX_PORT_NAME + 1];
        uint16_t entry[2];

        if (size < sizeof entry) {
            error = measure_format("half a port");
            break;
        }
        memcpy(entry, p, sizeof entry);
        p += sizeof entry;
        size -= sizeof entry;
        if (!entry[1] || entry[1] > MEASURE_RECORD_MAX_PORT_NAME
            || entry[1] > size) {
            error = measure_format("port %d with a name of %d bytes", entry[0],
                                   entry[1]);
            break;
        }
        memcpy(name, p, entry[1]);
        name[entry[1]] = '\0';
        p += entry[1];
        size -= entry[1];
        if (strlen(name) != entry[1]
            || !measure_port_adopt(ports, entry[0], name)) {
            error = measure_format("port %d has no name that can be its own",
                                   entry[0]);
        }
        n_found++;
    }
    if (!error && n_found != n) {
        error = measure_format("%"PRIu32" ports that should be %"PRIu32,
                               n_found, n);
    }
    if (error) {
        forget_ports(ports);
        return error;
    }
    forget_ports(r->ports);
    r->ports = ports;
    return NULL;
}

/* Counts what is in the slots of a block.  Returns NULL or what is wrong. */
static char *
check_slots(const struct measure_slot *slots, size_t n_slots,
            const struct measure_record_block_header *h)
{
    uint32_t n_records = 0, n_marks = 0;

    for (size_t i = 0; i < n_slots; ) {
        enum measure_slot_kind kind = measure_slot_kind(&slots[i]);
        unsigned int n = measure_slot_size(&slots[i]);

        if (n > n_slots - i) {
            return measure_format("a record of %u slots in the last %zu of "
                                  "the block", n, n_slots - i);
        }
        n_marks += kind == MEASURE_SLOT_MARK;
        n_records += kind != MEASURE_SLOT_MARK && kind != MEASURE_SLOT_FILL;
        i += n;
    }
    if (n_records != h->n_records || n_marks != h->n_marks) {
        return measure_format("%"PRIu32" records and %"PRIu32" marks that "
                              "should be %"PRIu32" and %"PRIu32, n_records,
                              n_marks, h->n_records, h->n_marks);
    }
    return NULL;
}

/* Sets '*payload' to the bytes of a block as they were before they were
 * compressed. */
static char *
decompress(struct measure_record_reader *r,
           const struct measure_record_block_header *h,
           const uint8_t **payload)
{
    *payload = r->stored;
#ifdef HAVE_ZSTD
    if (h->compression == MEASURE_RECORD_ZSTD) {
        size_t size;

        make_room(&r->block, &r->block_size, h->size);
        size = ZSTD_decompress(r->block, h->size, r->stored, h->stored_size);
        if (ZSTD_isError(size)) {
            return measure_format("cannot be decompressed: %s",
                                  ZSTD_getErrorName(size));
        }
        if (size != h->size) {
            return measure_format("%zu bytes that should be %"PRIu32, size,
                                  h->size);
        }
        *payload = r->block;
    }
#else
    (void) h;
#endif
    return NULL;
}

/* What a block whose header and bytes are right has for the caller. */
static char *
use_block(struct measure_record_reader *r,
          const struct measure_record_block_header *h,
          struct measure_record_block *block)
{
    struct read_ring *s;
    const uint8_t *payload;
    char *error = decompress(r, h, &payload);

    if (error) {
        return error;
    }
    block->kind = h->kind;
    switch (h->kind) {
    case MEASURE_RECORD_PORTS:
        return read_ports(r, payload, h->size, h->n_ports);

    case MEASURE_RECORD_SLOTS:
        block->slots = (const struct measure_slot *) (const void *) payload;
        block->n_slots = h->size / sizeof *block->slots;
        error = check_slots(block->slots, block->n_slots, h);
        if (error) {
            return error;
        }
        break;
    }
    block->ring = h->ring;
    block->core_id = h->core_id;
    block->begins = h->flags & MEASURE_RECORD_BEGINS;
    block->n_records = h->n_records;
    block->n_marks = h->n_marks;
    block->epoch = h->epoch;
    block->offered = h->offered;
    block->filtered = h->filtered;
    block->dropped = h->dropped;
    if (h->ring >= r->n_rings) {
        r->rings = measure_xrealloc(r->rings,
                                      (h->ring + 1) * sizeof *r->rings);
        memset(r->rings + r->n_rings, 0,
               (h->ring + 1 - r->n_rings) * sizeof *r->rings);
        r->n_rings = h->ring + 1;
    }
    s = &r->rings[h->ring];
    if (block->begins) {
        s->total_records = 0;
    }
    s->seen = true;
    s->core_id = h->core_id;
    s->total_records += h->n_records;
    r->total_records += h->n_records;
    return NULL;
}

/* Reads the next block to '*block'.  Returns NULL or what is wrong with it. */
static char *
read_block(struct measure_record_reader *r, struct measure_record_block *block)
{
    struct measure_record_block_header h;
    size_t n = read_bytes(r, &h, sizeof h);
    char *error;

    if (!n) {
        return (ferror(r->file)
                ? measure_format("cannot be read: %s", strerror(errno))
                : measure_format("the file ends here and was not finished"));
    }
    if (n < sizeof h) {
        return measure_format("the file ends in the header of a block");
    }
    error = check_block_header(&h);
    if (error) {
        return error;
    }
    make_room(&r->stored, &r->stored_size, measure_max(h.stored_size, 1));
    n = read_bytes(r, r->stored, h.stored_size);
    if (n < h.stored_size) {
        return measure_format("the file ends after %zu of the %"PRIu32
                              " bytes of a block", n, h.stored_size);
    }
    if (measure_record_block_crc(&h, r->stored) != h.crc) {
        return measure_format("the block is damaged: its checksum is wrong");
    }
    error = check_block(r, &h);
    if (error) {
        return error;
    }
    if (h.kind == MEASURE_RECORD_END) {
        uint8_t byte;

        r->ended = true;
        block->kind = MEASURE_RECORD_END;
        return (read_bytes(r, &byte, 1)
                ? measure_format("more bytes follow the end") : NULL);
    }
    return use_block(r, &h, block);
}

/* Reads the next block, of records or of ports, to '*block'.  After anything
 * but MEASURE_RECORD_BLOCK there is nothing more to read. */
enum measure_record_result
measure_record_reader_next(struct measure_record_reader *r,
                           struct measure_record_block *block)
{
    char *error;

    memset(block, 0, sizeof *block);
    if (r->error) {
        return MEASURE_RECORD_DAMAGED;
    }
    if (r->ended) {
        return MEASURE_RECORD_FINISHED;
    }
    block->offset = r->offset;
    error = read_block(r, block);
    if (error) {
        r->error = measure_format("%s: at offset %"PRIu64": %s; %"PRIu64
                                  " records before it can be used", r->name,
                                  block->offset, error, r->total_records);
        free(error);
        return MEASURE_RECORD_DAMAGED;
    }
    return r->ended ? MEASURE_RECORD_FINISHED : MEASURE_RECORD_BLOCK;
}

/* Returns the names of ports that the last block of ports had, which the
 * caller destroys and frees, or NULL if they have been taken before. */
struct measure_port_names *
measure_record_reader_take_ports(struct measure_record_reader *r)
{
    struct measure_port_names *ports = r->ports;

    r->ports = NULL;
    return ports;
}

/* Returns what is wrong with the file, or NULL. */
const char *
measure_record_reader_error(const struct measure_record_reader *r)
{
    return r->error;
}

/* Returns how many records of packets have been read. */
uint64_t
measure_record_reader_records(const struct measure_record_reader *r)
{
    return r->total_records;
}

/* Returns how many bytes have been read. */
uint64_t
measure_record_reader_offset(const struct measure_record_reader *r)
{
    return r->offset;
}

/* Returns the size of the file, or 0 if it is not known, as for a pipe. */
uint64_t
measure_record_reader_size(const struct measure_record_reader *r)
{
    int fd = fileno(r->file);
    struct stat status;

    return (fd >= 0 && !fstat(fd, &status) && S_ISREG(status.st_mode)
            ? status.st_size : 0);
}

void
measure_record_reader_close(struct measure_record_reader *r)
{
    if (r) {
        forget_ports(r->ports);
        fclose(r->file);
        free(r->rings);
        free(r->stored);
        free(r->block);
        free(r->error);
        free(r->name);
        free(r);
    }
}
