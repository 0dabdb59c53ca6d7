/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of single stages: packets, what goes in, and what comes out. */

#ifndef CHECK_STAGE_H
#define CHECK_STAGE_H 1

/* Tests of single stages
 * ======================
 *
 *     struct check_packets packets = check_packets_random(&r, 1000, 50);
 *     struct measure_stage *stage
 *         = check_stage("count by=source", NULL, &measure_stage_count);
 *
 *     check_stage_packets(stage, &packets, &r);
 *     check_stage_interval(stage, start_ns, end_ns, true);
 *     ... out.rows, out.n_rows, row_value(row, "packets") ...
 *     check_stage_close(stage);
 *     check_packets_free(&packets);
 *
 * The stage is called directly, as a pipeline would: a small stage behind it,
 * 'out', keeps the rows and the packets that it gives.  Its memory comes from
 * 'budget', whose limit a test may set before. */

#include "check-common.h"

#include "stages/measure-stages.h"

/* Packets. */

struct check_packet {
    struct measure_fields fields;
    uint64_t time_ns;
    uint32_t length;
    uint32_t sequence;
    uint8_t tcp_flags;
    uint32_t payload;           /* Of TCP; the rest is 54 or 74 bytes. */
    struct measure_slot *slots; /* Its record. */
};

struct check_packets {
    struct check_packet *packets;
    size_t n;
    size_t allocated;
};

/* Adds a copy of 'packet', and makes its record. */
static UNUSED void
check_packets_add(struct check_packets *packets,
                  const struct check_packet *packet)
{
    uint64_t key[MEASURE_KEY_WORDS];
    enum measure_layout layout = measure_key_from_fields(key, &packet->fields);
    struct check_packet *p;
    uint64_t tcp = 0;

    if (packets->n == packets->allocated) {
        packets->allocated = packets->allocated * 2 + 64;
        packets->packets = realloc(packets->packets,
                                   packets->allocated
                                   * sizeof *packets->packets);
    }
    p = &packets->packets[packets->n++];
    *p = *packet;
    p->slots = calloc(MEASURE_SLOT_MAX, sizeof *p->slots);
    if (p->fields.protocol == 6) {
        tcp = measure_slot_tcp(p->sequence, p->tcp_flags,
                               p->length - p->payload);
    }
    measure_slot_write(p->slots, layout, key, p->time_ns, p->length, tcp);
}

static UNUSED void
check_packets_free(struct check_packets *packets)
{
    for (size_t i = 0; i < packets->n; i++) {
        free(packets->packets[i].slots);
    }
    free(packets->packets);
    memset(packets, 0, sizeof *packets);
}

/* Fields of IPv4 or IPv6, each out of a tunnel or not: small numbers, so that
 * with few of them there are keys with several packets. */
static UNUSED struct measure_fields
check_fields(struct random *r, uint32_t n_addresses)
{
    struct measure_fields fields;

    memset(&fields, 0, sizeof fields);
    fields.family = random_below(r, MEASURE_N_FAMILIES);
    fields.tunnelled = !random_below(r, 3);
    fields.tunnel = fields.tunnelled ? random_below(r, 3) : 0;
    if (fields.family == MEASURE_IPV4) {
        put_be32(fields.source, 0x0a000000 + random_below(r, n_addresses));
        put_be32(fields.destination,
                 0xc0a80000 + random_below(r, n_addresses));
    } else {
        put_be32(fields.source, 0x20010db8);
        put_be32(fields.source + 12, random_below(r, n_addresses));
        put_be32(fields.destination, 0x20010db8);
        put_be32(fields.destination + 4, 1);
        put_be32(fields.destination + 12, random_below(r, n_addresses));
    }
    fields.protocol = random_below(r, 2) ? 6 : 17;
    fields.source_port = 1024 + random_below(r, 4);
    fields.destination_port = random_below(r, 2) ? 443 : 53;
    fields.vlan = random_below(r, 3);
    fields.port = random_below(r, 3);
    return fields;
}

/* 'n' packets of all layouts, some microseconds apart, with 'n_addresses'
 * different addresses of each family in either direction. */
static UNUSED struct check_packets
check_packets_random(struct random *r, size_t n, uint32_t n_addresses)
{
    struct check_packets packets = { NULL, 0, 0 };
    uint64_t time_ns = UINT64_C(1700000000000000000);

    for (size_t i = 0; i < n; i++) {
        struct check_packet packet;

        memset(&packet, 0, sizeof packet);
        packet.fields = check_fields(r, n_addresses);
        packet.time_ns = time_ns += random_below(r, 5000);
        packet.payload = random_below(r, 1400);
        packet.length = ((packet.fields.family == MEASURE_IPV4 ? 54 : 74)
                         + packet.payload);
        packet.sequence = random_next(r) >> 32;
        packet.tcp_flags = packet.fields.protocol == 6 ? 0x10 : 0;
        check_packets_add(&packets, &packet);
    }
    return packets;
}

/* What the stage under test gives. */

struct check_out {
    struct measure_stage stage;
    struct measure_row **rows;      /* Copies. */
    size_t n_rows, rows_allocated;
    const struct measure_slot **packets;
    size_t n_packets, packets_allocated;
};

static UNUSED struct check_out out;

static void
check_out_row(struct measure_stage *stage UNUSED,
              const struct measure_row *row)
{
    size_t size = measure_row_size(&out.stage.schema);

    if (out.n_rows == out.rows_allocated) {
        out.rows_allocated = out.rows_allocated * 2 + 64;
        out.rows = realloc(out.rows, out.rows_allocated * sizeof *out.rows);
    }
    out.rows[out.n_rows] = calloc(1, size);
    memcpy(out.rows[out.n_rows++], row,
           sizeof *row + out.stage.schema.n * sizeof row->values[0]);
}

static const struct measure_stage_class check_out_class = {
    .name = "out", .takes = MEASURE_TAKES_ROWS | MEASURE_TAKES_PACKETS,
    .row = check_out_row,
};

static UNUSED void
check_out_forget(void)
{
    for (size_t i = 0; i < out.n_rows; i++) {
        free(out.rows[i]);
    }
    free(out.rows);
    free(out.packets);
    out.rows = NULL;
    out.packets = NULL;
    out.n_rows = out.rows_allocated = 0;
    out.n_packets = out.packets_allocated = 0;
}

/* The value of 'row', of 'out', in the column 'name'. */
static UNUSED uint64_t
row_value(const struct measure_row *row, const char *name)
{
    int column = measure_schema_find(&out.stage.schema, name);

    ck_assert_msg(column >= 0, "no column %s", name);
    ck_assert_int_lt(column, row->n_present);
    return row->values[column];
}

static UNUSED double
row_decimal(const struct measure_row *row, const char *name)
{
    uint64_t bits = row_value(row, name);
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static UNUSED struct measure_fields
row_fields(const struct measure_row *row)
{
    struct measure_fields fields;

    measure_fields_from_key(&fields, row->layout, row->key);
    return fields;
}

/* The stage under test. */

static UNUSED struct measure_stage *
check_stage_new(const struct measure_stage_class *class)
{
    struct measure_stage *stage = calloc(1, class->size);

    memset(&out.stage, 0, sizeof out.stage);
    out.stage.class = &check_out_class;
    stage->class = class;
    stage->budget = &budget;
    if (class->gives != MEASURE_GIVES_NOTHING) {
        stage->next = &out.stage;
    }
    return stage;
}

/* Sets the arguments in 'text', which begins with the name of the stage, as a
 * pipeline does.  Returns NULL or the error of set() or begin(). */
static UNUSED char *
check_stage_begin(struct measure_stage *stage, const char *text,
                  const struct measure_schema *input)
{
    char *copy = strdup(text);
    char *rest = NULL;
    char *error = NULL;

    strtok_r(copy, " ", &rest);
    for (char *word; !error && (word = strtok_r(NULL, " ", &rest)); ) {
        const struct measure_stage_argument *a = stage->class->arguments;
        char *value = strchr(word, '=');
        size_t length = value ? value - word : 0;

        while (value && a && a->name
               && (!*a->name || strncmp(a->name, word, length)
                   || a->name[length])) {
            a++;
        }
        if (value && a && a->name) {
            error = stage->class->set(stage, a->name, value + 1);
        } else {
            ck_assert_ptr_nonnull(stage->class->set);
            error = stage->class->set(stage, NULL, word);
        }
    }
    free(copy);
    if (!error) {
        error = stage->class->begin(stage, input);
    }
    out.stage.schema = stage->schema;
    return error;
}

static UNUSED void
check_stage_destroy(struct measure_stage *stage)
{
    if (stage->class->destroy) {
        stage->class->destroy(stage);
    }
    free(stage);
    check_out_forget();
}

/* A stage that has begun, and is open. */
static UNUSED struct measure_stage *
check_stage(const char *text, const struct measure_schema *input,
            const struct measure_stage_class *class)
{
    struct measure_stage *stage = check_stage_new(class);
    char *error = check_stage_begin(stage, text, input);

    ck_assert_msg(!error, "%s: %s", text, error);
    if (class->open) {
        error = class->open(stage);
        ck_assert_msg(!error, "%s: %s", text, error);
    }
    return stage;
}

/* Closes and frees 'stage', which must have no error. */
static UNUSED void
check_stage_close(struct measure_stage *stage)
{
    char *error = stage->class->close ? stage->class->close(stage) : NULL;

    ck_assert_msg(!error, "%s", error);
    check_stage_destroy(stage);
}

/* Expects that 'text' is refused, with exactly 'expected'. */
static UNUSED void
check_stage_error(const char *text, const struct measure_schema *input,
                  const struct measure_stage_class *class,
                  const char *expected)
{
    struct measure_stage *stage = check_stage_new(class);
    char *error = check_stage_begin(stage, text, input);

    ck_assert_msg(error != NULL, "'%s' is not refused", text);
    ck_assert_str_eq(error, expected);
    free(error);
    check_stage_destroy(stage);
}

/* Gives 'n' of 'packets', from 'first' on, in batches of random sizes. */
static UNUSED void
check_stage_some(struct measure_stage *stage,
                 const struct check_packets *packets, size_t first, size_t n,
                 struct random *r)
{
    struct measure_batch batch;

    memset(&batch, 0, sizeof batch);
    for (size_t i = first; i < first + n; ) {
        size_t size = measure_min(1 + random_below(r, MEASURE_BATCH),
                                  first + n - i);

        batch.n = size;
        for (size_t j = 0; j < size; j++) {
            batch.records[j] = packets->packets[i + j].slots;
        }
        stage->records += size;
        stage->batches++;
        stage->class->packets(stage, &batch);
        if (stage->class->gives == MEASURE_GIVES_PACKETS) {
            for (size_t j = 0; j < batch.n; j++) {
                if (out.n_packets == out.packets_allocated) {
                    out.packets_allocated = out.packets_allocated * 2 + 64;
                    out.packets = realloc(out.packets,
                                          out.packets_allocated
                                          * sizeof *out.packets);
                }
                out.packets[out.n_packets++] = batch.records[j];
            }
        }
        i += size;
    }
}

static UNUSED void
check_stage_packets(struct measure_stage *stage,
                    const struct check_packets *packets, struct random *r)
{
    check_stage_some(stage, packets, 0, packets->n, r);
}

/* Gives a row to a stage. */
static UNUSED void
check_stage_row(struct measure_stage *stage, const struct measure_row *row)
{
    stage->records++;
    stage->class->row(stage, row);
}

static UNUSED void
check_stage_interval(struct measure_stage *stage, uint64_t start_ns,
                     uint64_t end_ns, bool last)
{
    if (stage->class->interval) {
        stage->class->interval(stage, start_ns, end_ns, last);
    }
}

#endif /* check-stage.h */
