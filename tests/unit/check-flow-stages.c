/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the stages that remember flows. */

#include "check-flow-stages.h"

#include <limits.h>
#include <pcap/pcap.h>

#include "key/measure-parse.h"
#include "stream/measure-pipeline.h"

/* rtt. */

/* Handshakes with known times, each with what may go wrong. */
START_TEST(rtt_of_handshakes)
{
    static const uint32_t sequences[] = { 1000, UINT32_MAX };
    int variant = _i % N_VARIANTS;
    uint32_t s = sequences[_i / N_VARIANTS];
    struct random r = random_from(test_seed);
    struct check_packets packets = { NULL, 0, 0 };
    struct lines expected = { NULL, 0, 0 };
    struct measure_stage *stage = check_stage("rtt", NULL, &measure_stage_rtt);
    struct measure_fields fields, c, d;
    uint64_t t = T0;

    /* Plain: 300 us to the server and back, 5 ms to the client. */
    c = client(variant, 1);
    d = server(&c);
    add(&packets, c, t, S, s, 0);
    add(&packets, d, t + 300 * US, S | A, 77, 0);
    add(&packets, c, t + 5300 * US, A, s + 1, 0);
    add(&packets, c, t + 5301 * US, A, s + 1, 100);
    add(&packets, d, t + 5600 * US, A, 78, 1000);
    fields = flow_of(&c);
    add_line(&expected, &fields,
             (uint64_t[]) { 0, 300 * US, 5 * MS, 5300 * US }, 4);

    /* With data in the third packet, ECN in the first two, and packets of
     * others and of the wrong number between them. */
    c = client(variant, 2);
    d = server(&c);
    add(&packets, c, t, S | 0xc0, s, 0);
    add(&packets, d, t + 10 * US, A, 5, 0);
    add(&packets, d, t + 20 * US, S | A | 0x40, 77, 0);
    add(&packets, c, t + 25 * US, A, s + 5, 0);
    add(&packets, c, t + 26 * US, A, s, 0);
    add(&packets, d, t + 27 * US, A, s + 1, 0);
    add(&packets, c, t + 30 * US, A | 8, s + 1, 400);
    fields = flow_of(&c);
    add_line(&expected, &fields,
             (uint64_t[]) { 0, 20 * US, 10 * US, 30 * US }, 4);

    /* SYN twice, SYN-ACK three times: not known which was answered. */
    c = client(variant, 3);
    d = server(&c);
    add(&packets, c, t, S, s, 0);
    add(&packets, c, t + SECOND, S, s, 0);
    add(&packets, d, t + SECOND + 1, S | A, 77, 0);
    add(&packets, c, t + SECOND + 2, A, s + 1, 0);
    fields = flow_of(&c);
    add_line(&expected, &fields, (uint64_t[]) { 1 }, 1);
    c = client(variant, 4);
    d = server(&c);
    add(&packets, c, t, S, s, 0);
    add(&packets, d, t + 1, S | A, 77, 0);
    add(&packets, d, t + SECOND, S | A, 77, 0);
    add(&packets, d, t + 2 * SECOND, S | A, 77, 0);
    add(&packets, c, t + 2 * SECOND + 1, A, s + 1, 0);
    fields = flow_of(&c);
    add_line(&expected, &fields, (uint64_t[]) { 2 }, 1);

    /* Refused, and never completed. */
    c = client(variant, 5);
    d = server(&c);
    add(&packets, c, t, S, s, 0);
    add(&packets, d, t + 1, R | A, 0, 0);
    add(&packets, d, t + 2, S | A, 77, 0);
    add(&packets, c, t + 3, A, s + 1, 0);
    c = client(variant, 6);
    add(&packets, c, t, S, s, 0);
    add(&packets, c, t + 1, A, s + 1, 0);

    /* Another connection with the same ports. */
    c = client(variant, 7);
    d = server(&c);
    add(&packets, c, t, S, s - 5000, 0);
    add(&packets, c, t + 100, S, s, 0);
    add(&packets, d, t + 150, S | A, 77, 0);
    add(&packets, c, t + 160, A, s + 1, 0);
    add(&packets, c, t + 1000, S, s + 90000, 0);
    add(&packets, d, t + 1100, S | A, 99, 0);
    add(&packets, c, t + 1300, A, s + 90001, 0);
    fields = flow_of(&c);
    add_line(&expected, &fields, (uint64_t[]) { 0, 50, 10, 60 }, 4);
    add_line(&expected, &fields, (uint64_t[]) { 0, 100, 200, 300 }, 4);

    /* Longer than the timeout. */
    c = client(variant, 8);
    d = server(&c);
    add(&packets, c, t, S, s, 0);
    add(&packets, d, t + 10 * SECOND, S | A, 77, 0);
    add(&packets, c, t + 10 * SECOND + 1, A, s + 1, 0);

    sort_by_time(&packets);
    check_stage_packets(stage, &packets, &r);
    ck_assert_uint_eq(stage->given, 7 - 1);
    check_rows(0, &expected);
    ck_assert_uint_eq(stage->lost, 0);
    check_stage_close(stage);
    check_packets_free(&packets);
}
END_TEST

/* The directions come by two rings, one behind the other. */
START_TEST(rtt_of_two_rings)
{
    struct random r = random_from(test_seed);
    struct check_packets packets = { NULL, 0, 0 };
    struct lines expected = { NULL, 0, 0 };
    struct measure_stage *stage = check_stage("rtt", NULL, &measure_stage_rtt);

    for (uint32_t i = 0; i < 500; i++) {
        struct measure_fields c = client(i % N_VARIANTS, i), d = server(&c);
        uint64_t t = T0 + random_below(&r, 1000000);
        uint64_t server_ns = random_below(&r, 1000000);
        uint64_t client_ns = random_below(&r, 1000000);
        uint32_t s = random_next(&r);
        bool server_first = random_below(&r, 2);

        c.port = d.port = 0;
        for (int j = 0; j < 2; j++) {
            if (server_first == !j) {
                add(&packets, d, t + server_ns, S | A, 7, 0);
            } else {
                add(&packets, c, t, S, s, 0);
                add(&packets, c, t + server_ns + client_ns, A, s + 1, 0);
            }
        }
        add_line(&expected, &c, (uint64_t[]) {
            0, server_ns, client_ns, server_ns + client_ns }, 4);
    }
    check_stage_packets(stage, &packets, &r);
    check_rows(0, &expected);
    check_stage_close(stage);
    check_packets_free(&packets);
}
END_TEST

/* half-open. */

START_TEST(half_open_connections)
{
    int variant = _i;
    struct random r = random_from(test_seed);
    struct check_packets packets = { NULL, 0, 0 };
    struct lines expected = { NULL, 0, 0 };
    struct measure_stage *stage = check_stage("half-open timeout=5s", NULL,
                                              &measure_stage_half_open);
    struct measure_fields c, d, group;
    size_t first;

    /* 0 completes at once, 1 later, 2 is not answered, 3 has its SYN-ACK, 4 is
     * refused, 5 is too old at the end, 6 tries again, 7 gives up. */
    for (uint32_t i = 0; i < 8; i++) {
        uint64_t t = T0 + (i == 5 ? 0 : 3 * SECOND);

        c = client(variant, i);
        d = server(&c);
        if (i == 2) {
            /* Another connection before, which was. */
            add(&packets, c, t - 2, S, 12345, 0);
            add(&packets, d, t - 1, S | A, 77, 0);
        }
        add(&packets, c, t, S, 10 * i, 0);
        if (i == 0 || i == 1 || i == 3) {
            add(&packets, d, t + 1, S | A, 77, 0);
        }
        if (i == 0) {
            add(&packets, c, t + 2, A, 1, 0);
        } else if (i == 4) {
            add(&packets, d, t + 2, R | A, 0, 0);
        } else if (i == 6) {
            add(&packets, c, t + SECOND, S, 60, 0);
        } else if (i == 7) {
            add(&packets, c, t + SECOND, R, 71, 0);
        } else if (i == 3) {
            add(&packets, c, t + 4, A, 77, 0);
        }
    }
    sort_by_time(&packets);
    check_stage_packets(stage, &packets, &r);
    check_stage_interval(stage, T0, T0 + 5 * SECOND, false);
    group = client(variant, 0);
    memset(group.source, 0, sizeof group.source);
    group.source_port = group.destination_port = group.protocol = 0;
    group.vlan = group.port = group.tunnel = 0;
    group.tunnelled = false;
    /* 1, 2, 3, 6; of those 2 and 6. */
    add_line(&expected, &group, (uint64_t[]) { 4, 2, 10, 4 }, 4);
    check_rows(0, &expected);

    /* In the next interval 1 completes; 2 and 3 are too old at its end. */
    first = out.n_rows;
    check_packets_free(&packets);
    add(&packets, client(variant, 1), T0 + 6 * SECOND, A, 11, 0);
    check_stage_packets(stage, &packets, &r);
    check_stage_interval(stage, T0 + 5 * SECOND, T0 + 8 * SECOND, false);
    add_line(&expected, &group, (uint64_t[]) { 1, 1, 0, 0 }, 4);
    check_rows(first, &expected);

    first = out.n_rows;
    check_stage_interval(stage, T0 + 8 * SECOND, T0 + 9 * SECOND, true);
    ck_assert_uint_eq(out.n_rows, first);
    ck_assert_uint_eq(stage->lost, 0);
    check_stage_close(stage);
    check_packets_free(&packets);
}
END_TEST

/* Answers that another ring gives before the SYNs that they are of: times
 * tell. */
START_TEST(half_open_of_two_rings)
{
    struct random r = random_from(test_seed);
    struct check_packets packets = { NULL, 0, 0 };
    struct lines expected = { NULL, 0, 0 };
    struct measure_stage *stage = check_stage("half-open", NULL,
                                              &measure_stage_half_open);
    struct measure_fields group;

    /* 0 has its SYN-ACK, 1 is refused, of 2 and 3 the answers are those of
     * earlier connections, 4 is only an answer, 5 is reset after its SYN-ACK,
     * 6 was reset by the client, before. */
    for (uint32_t i = 0; i < 7; i++) {
        struct measure_fields c = client(_i, i), d = server(&c);
        uint64_t t = T0 + i * US;

        if (i == 0 || i == 5) {
            add(&packets, d, t + 1, S | A, 77, 0);
        } else if (i == 3 || i == 4) {
            add(&packets, d, t - 1, S | A, 77, 0);
        } else if (i == 6) {
            add(&packets, c, t - 1, R, 0, 0);
        }
        if (i == 1 || i == 5) {
            add(&packets, d, t + 2, R | A, 0, 0);
        } else if (i == 2) {
            add(&packets, d, t - 1, R | A, 0, 0);
        }
        if (i != 4) {
            add(&packets, c, t, S, i, 0);
        }
    }
    check_stage_packets(stage, &packets, &r);
    check_stage_interval(stage, T0, T0 + SECOND, true);
    group = client(_i, 0);
    memset(group.source, 0, sizeof group.source);
    group.source_port = group.destination_port = group.protocol = 0;
    group.vlan = group.port = group.tunnel = 0;
    group.tunnelled = false;
    /* 0, 2, 3, 6; of those 2, 3, 6. */
    add_line(&expected, &group, (uint64_t[]) { 4, 3, 6, 4 }, 4);
    check_rows(0, &expected);
    ck_assert_uint_eq(stage->lost, 0);
    check_stage_close(stage);
    check_packets_free(&packets);
}
END_TEST

/* Answers that nobody has asked for do not push out those that wait. */
START_TEST(half_open_under_a_flood_of_answers)
{
    struct random r = random_from(test_seed);
    struct check_packets packets = { NULL, 0, 0 };
    struct measure_stage *stage
        = check_stage("half-open flows=16 by=destination-port", NULL,
                      &measure_stage_half_open);

    for (uint32_t i = 0; i < 10; i++) {
        add(&packets, client(_i, i), T0 + i * US, S, i, 0);
    }
    for (uint32_t i = 100; i < 1000; i++) {
        struct measure_fields c = client(_i, i);

        add(&packets, server(&c), T0 + i * US, i % 2 ? R : S | A, i, 0);
    }
    check_stage_packets(stage, &packets, &r);
    check_stage_interval(stage, T0, T0 + SECOND, true);
    ck_assert_uint_eq(out.n_rows, 1);
    ck_assert_uint_eq(row_value(out.rows[0], "half-open"), 10);
    ck_assert_uint_eq(stage->lost, 0);
    check_stage_close(stage);
    check_packets_free(&packets);
}
END_TEST

START_TEST(half_open_under_a_flood)
{
    struct random r = random_from(test_seed);
    struct check_packets packets = { NULL, 0, 0 };
    struct measure_stage *stage
        = check_stage("half-open flows=20000 by=destination-port", NULL,
                      &measure_stage_half_open);
    const uint32_t n = 20000;

    for (uint32_t i = 0; i < n; i++) {
        struct measure_fields c = client(i % N_VARIANTS, i);

        add(&packets, c, T0 + i * US, S, i, 0);
        if (i % 2) {
            add(&packets, server(&c), T0 + i * US, S | A, i, 0);
        }
    }
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(stage->schema.columns[i].kind,
                         i < 2 ? MEASURE_COLUMN_LEVEL : MEASURE_COLUMN_COUNT);
    }
    check_stage_packets(stage, &packets, &r);
    check_stage_interval(stage, T0, T0 + SECOND, true);
    ck_assert_uint_eq(out.n_rows, 1);
    ck_assert_uint_eq(row_fields(out.rows[0]).destination_port, 443);
    ck_assert_uint_eq(row_value(out.rows[0], "half-open"), n);
    ck_assert_uint_eq(row_value(out.rows[0], "unanswered"), n / 2);
    ck_assert_uint_eq(row_value(out.rows[0], "syns"), n);
    ck_assert_uint_eq(row_value(out.rows[0], "syn-acks"), n / 2);
    ck_assert_uint_eq(stage->lost, 0);
    check_stage_close(stage);
    check_packets_free(&packets);
}
END_TEST

/* out-of-order. */

enum { SEGMENTS, OUT_OF_ORDER, RETRANSMITTED, BYTES, AMBIGUOUS, UNKNOWN };

/* A case is a list of segments: where each begins, and how long it is. */
static const struct {
    const char *name;
    struct {
        int32_t start;
        uint32_t length;
    } segments[12];
    uint64_t expected[6];
} orders[] = {
    { "in order", { { 0, 100 }, { 100, 50 }, { 150, 1 } }, { 3 } },
    { "the same twice", { { 0, 100 }, { 0, 100 } }, { 2, 0, 1, 100 } },
    { "two change places", { { 0, 100 }, { 200, 100 }, { 100, 100 } },
      { 3, 1 } },
    { "a hole is filled twice",
      { { 0, 100 }, { 200, 100 }, { 100, 100 }, { 100, 100 } },
      { 4, 1, 1, 100 } },
    { "a hole is filled in parts",
      { { 0, 100 }, { 400, 100 }, { 200, 100 }, { 100, 100 }, { 300, 100 } },
      { 5, 3 } },
    { "more than a hole", { { 0, 100 }, { 200, 100 }, { 50, 200 } },
      { 3, 1, 0, 100 } },
    { "partly new", { { 0, 100 }, { 50, 100 } }, { 2, 0, 1, 50 } },
    { "before the first", { { 0, 100 }, { -100, 100 } },
      { 2, 0, 0, 0, 1 } },
    { "across the first", { { 0, 100 }, { -50, 100 } },
      { 2, 0, 0, 50, 1 } },
    { "a fifth hole",
      { { 0, 10 }, { 20, 10 }, { 40, 10 }, { 60, 10 }, { 80, 10 },
        { 100, 10 }, { 10, 10 }, { 30, 10 }, { 20, 10 }, { 0, 10 } },
      { 10, 1, 1, 10, 2 } },
    { "a keepalive", { { 0, 100 }, { 99, 1 } }, { 2, 0, 1, 1 } },
    { "far away", { { 0, 100 }, { 0x40000065, 100 }, { 100, 100 },
        { 100, 100 } }, { 4, 0, 1, 100 } },
};

START_TEST(orders_made_by_hand)
{
    static const uint32_t bases[] = { 5000, UINT32_MAX - 150, INT32_MAX };
    struct random r = random_from(test_seed);

    for (int variant = 0; variant < N_VARIANTS; variant++) {
        for (size_t b = 0; b < ARRAY_SIZE(bases); b++) {
            struct check_packets packets = { NULL, 0, 0 };
            struct lines expected = { NULL, 0, 0 };
            struct measure_stage *stage
                = check_stage("out-of-order", NULL,
                              &measure_stage_out_of_order);
            struct measure_fields c = client(variant, 1), fields;

            for (int j = 0; orders[_i].segments[j].length; j++) {
                add(&packets, c, T0 + j, A,
                    bases[b] + orders[_i].segments[j].start,
                    orders[_i].segments[j].length);
                /* No segments. */
                add(&packets, c, T0 + j, A, bases[b] + 100000, 0);
                add(&packets, server(&c), T0 + j, A, bases[b], 0);
            }
            check_stage_packets(stage, &packets, &r);
            ck_assert_uint_eq(out.n_rows, 0);
            end_stream(stage);
            fields = flow_of(&c);
            add_line(&expected, &fields, orders[_i].expected, 6);
            ck_assert_msg(out.n_rows == 1, "%s", orders[_i].name);
            check_rows(0, &expected);
            check_stage_close(stage);
            check_packets_free(&packets);
        }
    }
}
END_TEST

/* SYN and FIN take numbers; a SYN can begin anew; unknown lengths. */
START_TEST(orders_of_connections)
{
    struct random r = random_from(test_seed);
    struct check_packets packets = { NULL, 0, 0 };
    struct lines expected = { NULL, 0, 0 };
    struct measure_stage *stage = check_stage("out-of-order", NULL,
                                              &measure_stage_out_of_order);
    struct measure_fields c = client(_i, 1), fields = flow_of(&c);
    uint32_t s = UINT32_MAX;
    struct check_packet unknown;

    add(&packets, c, T0, S, s, 0);
    add(&packets, c, T0 + 1, S, s, 5);          /* Retransmitted, no bytes. */
    add(&packets, c, T0 + 2, A, s + 1, 10);     /* Likewise, 5 bytes. */
    add(&packets, c, T0 + 3, A | F, s + 11, 5);
    add(&packets, c, T0 + 4, A | F, s + 11, 5); /* Likewise, 5 bytes. */
    add(&packets, c, T0 + 5, A, s + 17, 0);
    add(&packets, c, T0 + 6, R, s + 17, 10);
    add(&packets, c, T0 + 7, S, s - 77777, 0);  /* Another connection. */
    add(&packets, c, T0 + 8, A, s - 77776, 10);
    memset(&unknown, 0, sizeof unknown);
    unknown.fields = c;
    unknown.time_ns = T0 + 9;
    unknown.length = 500;
    unknown.tcp_flags = A;
    unknown.sequence = s - 77000;
    unknown.payload = 300;
    check_packets_add(&packets, &unknown);
    check_stage_packets(stage, &packets, &r);
    check_stage_interval(stage, T0, T0 + SECOND, false);
    add_line(&expected, &fields, (uint64_t[]) { 7, 0, 3, 10, 0, 1 }, 6);
    check_rows(0, &expected);

    /* The next interval knows what was before, and counts anew. */
    check_packets_free(&packets);
    add(&packets, c, T0 + SECOND, A, s - 77776, 10);
    check_stage_packets(stage, &packets, &r);
    check_stage_interval(stage, T0 + SECOND, T0 + 2 * SECOND, false);
    add_line(&expected, &fields, (uint64_t[]) { 1, 0, 1, 10, 0, 0 }, 6);
    check_rows(1, &expected);

    /* After idle= it does not. */
    check_packets_free(&packets);
    add(&packets, c, T0 + 61 * SECOND, A, s - 77776, 10);
    check_stage_packets(stage, &packets, &r);
    check_stage_interval(stage, T0 + 2 * SECOND, T0 + 62 * SECOND, true);
    add_line(&expected, &fields, (uint64_t[]) { 1, 0, 0, 0, 0, 0 }, 6);
    check_rows(2, &expected);
    check_stage_close(stage);
    check_packets_free(&packets);
}
END_TEST

/* The oracle: a map of all bytes. */

#define MAP_BYTES 40000
#define MAP_BEFORE 3000         /* Of the first segment. */

struct byte_map {
    bool seen[MAP_BYTES];
    uint32_t known;
    uint32_t next;
    uint32_t base;              /* Sequence number of byte 0. */
    uint64_t counts[6];
};

static void
map_add(struct byte_map *map, uint32_t start, uint32_t length)
{
    bool fills = false;

    map->counts[SEGMENTS]++;
    if (!map->next) {
        map->known = start;
    } else if (start < map->next) {
        for (uint32_t i = start; i < start + length; i++) {
            bool is_known = i >= map->known && i < map->next;

            map->counts[BYTES] += is_known && map->seen[i];
            fills |= is_known && !map->seen[i];
        }
        map->counts[fills ? OUT_OF_ORDER
                    : start < map->known ? AMBIGUOUS : RETRANSMITTED]++;
    }
    for (uint32_t i = start; i < start + length; i++) {
        map->seen[i] = true;
    }
    map->next = measure_max(map->next, start + length);

    /* Four holes at most. */
    for (;;) {
        uint32_t end = 0;
        int n = 0;

        for (uint32_t i = map->known; i < map->next; i++) {
            if (!map->seen[i] && (i == map->known || map->seen[i - 1])) {
                n++;
                for (uint32_t j = i; n == 1 && !map->seen[j]; j++) {
                    end = j + 1;
                }
            }
        }
        if (n <= 4) {
            break;
        }
        map->known = end;
    }
}

START_TEST(orders_as_a_map_of_bytes)
{
    struct random r = random_from(test_seed + _i);
    struct check_packets packets = { NULL, 0, 0 };
    struct lines expected = { NULL, 0, 0 };
    struct measure_stage *stage
        = check_stage("out-of-order", NULL, &measure_stage_out_of_order);
    enum { N_MAPS = 20 };
    struct byte_map *maps = calloc(N_MAPS, sizeof *maps);
    uint64_t sum[6] = { 0 };

    for (uint32_t i = 0; i < N_MAPS; i++) {
        maps[i].base = (random_below(&r, 2)
                        ? UINT32_MAX - random_below(&r, 10000)
                        : random_next(&r));
    }
    for (int i = 0; i < 3000; i++) {
        uint32_t j = random_below(&r, N_MAPS);
        struct byte_map *map = &maps[j];
        uint32_t length = 1 + random_below(&r, 200);
        uint32_t start = map->next ? map->next : MAP_BEFORE;

        if (map->next) {
            switch (random_below(&r, 6)) {
            case 0:
                start += random_below(&r, 300);
                break;
            case 1:
                start -= random_below(&r, 200);
                break;
            case 2:
                start -= random_below(&r, MAP_BEFORE);
                break;
            case 3:
                /* The beginning of a hole. */
                for (uint32_t k = map->known; k < map->next; k++) {
                    if (!map->seen[k]) {
                        start = k;
                        break;
                    }
                }
                break;
            }
        }
        if (start + length > MAP_BYTES) {
            continue;
        }
        map_add(map, start, length);
        add(&packets, client(j % N_VARIANTS, j), T0 + i * US, A,
            map->base + start, length);
    }
    check_stage_packets(stage, &packets, &r);
    end_stream(stage);
    for (uint32_t j = 0; j < N_MAPS; j++) {
        struct measure_fields fields = client(j % N_VARIANTS, j);

        fields = flow_of(&fields);
        if (maps[j].next) {
            add_line(&expected, &fields, maps[j].counts, 6);
        }
        for (int i = 0; i < 6; i++) {
            sum[i] += maps[j].counts[i];
        }
    }
    check_rows(0, &expected);
    for (int i = 0; i < 5; i++) {
        ck_assert_uint_gt(sum[i], 20);
    }
    free(maps);
    check_stage_close(stage);
    check_packets_free(&packets);
}
END_TEST

/* flowlets. */

static bool
is_pair_of(const struct measure_fields *a, const struct measure_fields *b)
{
    return (a->family == b->family
            && !memcmp(a->source, b->source, sizeof a->source)
            && !memcmp(a->destination, b->destination, sizeof a->source));
}

static struct measure_fields
pair_of(const struct measure_fields *fields)
{
    struct measure_fields pair;

    memset(&pair, 0, sizeof pair);
    pair.family = fields->family;
    memcpy(pair.source, fields->source, sizeof pair.source);
    memcpy(pair.destination, fields->destination, sizeof pair.source);
    return pair;
}

/* The flowlets of 'packets', found by looking for the next packet of the same
 * flow from each on. */
static void
expect_flowlets(const struct check_packets *packets, uint64_t gap_ns,
                bool pairs, struct lines *expected)
{
    bool *done = calloc(packets->n, sizeof *done);

    for (size_t i = 0; i < packets->n; i++) {
        struct measure_fields first = flow_of(&packets->packets[i].fields);
        uint64_t start_ns = packets->packets[i].time_ns, last_ns = start_ns;
        uint64_t n = 0, bytes = 0;

        if (done[i]) {
            continue;
        }
        for (size_t j = i; j < packets->n; j++) {
            const struct check_packet *p = &packets->packets[j];
            struct measure_fields fields = flow_of(&p->fields);

            if (pairs ? !is_pair_of(&first, &fields)
                : !fields_equal(&first, &fields)) {
                continue;
            }
            if (p->time_ns >= last_ns + gap_ns) {
                break;
            }
            done[j] = true;
            n++;
            bytes += p->length;
            last_ns = p->time_ns;
        }
        first = pairs ? pair_of(&first) : first;
        add_line(expected, &first,
                 (uint64_t[]) { start_ns, last_ns - start_ns, n, bytes }, 4);
    }
    free(done);
}

START_TEST(flowlets_by_the_oracle)
{
    struct random r = random_from(test_seed + _i);
    struct check_packets packets = check_packets_random(&r, 5000, 3);
    struct lines expected = { NULL, 0, 0 };
    struct measure_stage *stage
        = check_stage(_i == 0 ? "flowlets gap=1ms"
                      : _i == 1 ? "flowlets gap=200us by=pair" : "flowlets",
                      NULL, &measure_stage_flowlets);

    expect_flowlets(&packets, (_i == 0 ? 1000 : _i == 1 ? 200 : 50) * US,
                    _i == 1, &expected);
    check_stage_some(stage, &packets, 0, 2000, &r);
    check_stage_interval(stage, T0, packets.packets[1999].time_ns, false);
    check_stage_some(stage, &packets, 2000, 3000, &r);
    end_stream(stage);
    check_rows(0, &expected);
    ck_assert_uint_eq(stage->lost, 0);
    check_stage_close(stage);
    check_packets_free(&packets);
}
END_TEST

START_TEST(flowlets_at_their_gap)
{
    struct random r = random_from(test_seed);
    struct check_packets packets = { NULL, 0, 0 };
    struct lines expected = { NULL, 0, 0 };
    struct measure_stage *stage = check_stage("flowlets", NULL,
                                              &measure_stage_flowlets);
    struct measure_fields c = client(_i, 1), fields = flow_of(&c);
    uint32_t length = c.family == MEASURE_IPV4 ? 64 : 84;

    add(&packets, c, T0, A, 1, 10);
    add(&packets, c, T0 + 49999, A, 1, 10);
    add(&packets, c, T0 + 49999 + 50000, A, 1, 10);
    add(&packets, c, T0 + 49999 + 40000, A, 1, 10);     /* Mixed up. */
    check_stage_packets(stage, &packets, &r);
    check_stage_interval(stage, T0, T0 + 49999 + 99999, false);
    add_line(&expected, &fields,
             (uint64_t[]) { T0, 49999, 2, 2 * length }, 4);
    check_rows(0, &expected);
    check_stage_interval(stage, T0, T0 + 49999 + 100000, false);
    add_line(&expected, &fields,
             (uint64_t[]) { T0 + 89999, 10000, 2, 2 * length }, 4);
    check_rows(1, &expected);
    check_stage_close(stage);
    check_packets_free(&packets);
}
END_TEST

/* features. */

#define MAX_FLOWS 200000
#define NONE SIZE_MAX

struct oracle_flow {
    struct measure_fields first;
    uint64_t start_ns, last_ns, seen_ns;
    uint32_t sequence;
    bool syn, forth, back, given;
    uint64_t values[MEASURE_ROW_COLUMNS];
    size_t n;
};

static void
expect_features(const struct check_packets *packets, size_t n_most,
                uint64_t idle_ns, struct lines *expected)
{
    struct oracle connections = oracle_open();
    struct oracle_flow *flows = NULL;
    size_t n_flows = 0, allocated = 0;

    for (size_t i = 0; i < packets->n; i++) {
        const struct check_packet *p = &packets->packets[i];
        bool tcp = p->fields.protocol == 6;
        bool syn = tcp && (p->tcp_flags & (S | A | R | F)) == S;
        struct measure_fields fields = flow_of(&p->fields);
        struct measure_fields connection = connection_of(&fields);
        struct oracle_row *row = oracle_find(&connections, &connection);
        struct oracle_flow *f = row ? &flows[row->packets] : NULL;
        bool same_way = f && fields_equal(&f->first, &fields);

        if (!f || p->time_ns >= f->seen_ns + idle_ns
            || (syn && !(f->syn && same_way && f->sequence == p->sequence))) {
            if (!row) {
                oracle_add(&connections, &connection, 0, 0);
                row = oracle_find(&connections, &connection);
            }
            if (n_flows == allocated) {
                allocated = allocated * 2 + 64;
                flows = realloc(flows, allocated * sizeof *flows);
            }
            row->packets = n_flows;
            f = &flows[n_flows++];
            memset(f, 0, sizeof *f);
            f->first = fields;
            f->start_ns = f->last_ns = p->time_ns;
            f->syn = syn;
            f->sequence = p->sequence;
            same_way = true;
        }
        f->seen_ns = measure_max(f->seen_ns, p->time_ns);
        if (f->given) {
            continue;
        }
        f->values[2 + 4 * f->n] = p->length;
        f->values[3 + 4 * f->n] = (p->time_ns < f->last_ns ? 0
                                   : p->time_ns - f->last_ns);
        f->values[4 + 4 * f->n] = tcp ? p->tcp_flags : 0;
        f->values[5 + 4 * f->n] = !same_way;
        f->n++;
        f->last_ns = measure_max(f->last_ns, p->time_ns);
        f->forth |= tcp && p->tcp_flags & F && same_way;
        f->back |= tcp && p->tcp_flags & F && !same_way;
        f->given = (f->n == n_most || (tcp && p->tcp_flags & R)
                    || (f->forth && f->back));
    }
    for (size_t i = 0; i < n_flows; i++) {
        flows[i].values[0] = flows[i].n;
        flows[i].values[1] = flows[i].start_ns;
        add_line(expected, &flows[i].first, flows[i].values,
                 2 + 4 * flows[i].n);
    }
    free(flows);
    oracle_close(&connections);
}

START_TEST(features_of_a_connection)
{
    struct random r = random_from(test_seed);
    struct check_packets packets = { NULL, 0, 0 };
    struct lines expected = { NULL, 0, 0 };
    struct measure_stage *stage = check_stage("features n=5", NULL,
                                              &measure_stage_features);
    struct measure_fields c = client(_i, _i), d = server(&c);
    struct measure_fields fields = flow_of(&c);
    uint64_t h = c.family == MEASURE_IPV4 ? 54 : 74;

    add(&packets, c, T0, S, 9, 0);
    add(&packets, d, T0 + 10, S | A, 70, 0);
    add(&packets, c, T0 + 30, A, 10, 0);
    add(&packets, c, T0 + 31, A | F, 10, 500);
    check_stage_packets(stage, &packets, &r);
    ck_assert_uint_eq(out.n_rows, 0);
    check_packets_free(&packets);
    add(&packets, d, T0 + 50, A | F, 71, 100);
    check_stage_packets(stage, &packets, &r);
    add_line(&expected, &fields, (uint64_t[]) {
        5, T0,
        h, 0, S, 0,
        h, 10, S | A, 1,
        h, 20, A, 0,
        h + 500, 1, A | F, 0,
        h + 100, 19, A | F, 1 }, 22);
    check_rows(0, &expected);

    /* What follows is no flow, until there is a SYN. */
    check_packets_free(&packets);
    add(&packets, c, T0 + 60, A, 511, 0);
    add(&packets, c, T0 + SECOND, S, 8000, 0);
    add(&packets, c, T0 + 2 * SECOND, S, 8000, 0);
    add(&packets, d, T0 + 3 * SECOND, R | A, 0, 0);
    check_stage_packets(stage, &packets, &r);
    add_line(&expected, &fields, (uint64_t[]) {
        3, T0 + SECOND,
        h, 0, S, 0,
        h, SECOND, S, 0,
        h, SECOND, R | A, 1 }, 14);
    check_rows(1, &expected);

    /* Or nothing for a minute. */
    check_packets_free(&packets);
    add(&packets, d, T0 + 62 * SECOND, A, 1, 0);
    add(&packets, d, T0 + 122 * SECOND, A, 1, 0);
    add(&packets, d, T0 + 182 * SECOND, A, 1, 0);
    check_stage_packets(stage, &packets, &r);
    end_stream(stage);
    fields = flow_of(&d);
    add_line(&expected, &fields, (uint64_t[]) {
        1, T0 + 122 * SECOND, h, 0, A, 0 }, 6);
    add_line(&expected, &fields, (uint64_t[]) {
        1, T0 + 182 * SECOND, h, 0, A, 0 }, 6);
    check_rows(2, &expected);
    check_stage_close(stage);
    check_packets_free(&packets);
}
END_TEST

START_TEST(features_by_the_oracle)
{
    static const char *const texts[] = {
        "features", "features n=1", "features n=29 idle=3ms",
        "features n=4 idle=200us flows=100000",
    };
    static const size_t n[] = { 10, 1, 29, 4 };
    static const uint64_t idle_ns[] = { 60 * SECOND, 60 * SECOND, 3 * MS,
                                        200 * US };
    struct random r = random_from(test_seed + _i);
    struct check_packets packets = { NULL, 0, 0 };
    struct lines expected = { NULL, 0, 0 };
    struct measure_stage *stage = check_stage(texts[_i], NULL,
                                              &measure_stage_features);
    uint64_t t = T0;

    for (int i = 0; i < 20000; i++) {
        static const uint8_t flags[] = { S, S | A, A, A, A, A | F, R, 0xc2 };
        uint32_t j = random_below(&r, 100);
        struct measure_fields fields = client(j % N_VARIANTS, j);

        fields.protocol = j % 7 ? 6 : 17;
        t += random_below(&r, 5000);
        add(&packets, random_below(&r, 2) ? fields : server(&fields), t,
            fields.protocol == 6 ? flags[random_below(&r, 8)] : 0,
            random_below(&r, 2), random_below(&r, 1000));
        if (fields.protocol != 6) {
            packets.packets[packets.n - 1].tcp_flags = 0;
        }
    }
    expect_features(&packets, n[_i], idle_ns[_i], &expected);
    check_stage_packets(stage, &packets, &r);
    end_stream(stage);
    ck_assert_uint_eq(stage->given, expected.n);
    check_rows(0, &expected);
    ck_assert_uint_eq(stage->lost, 0);
    check_stage_close(stage);
    check_packets_free(&packets);
}
END_TEST

/* microbursts. */

/* 'n' packets of the 'flow'th flow, in window 'window', at even distances. */
static void
add_window(struct check_packets *packets, int variant, uint32_t flow,
           uint16_t port, uint64_t window, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct measure_fields fields = client(variant, flow);
        struct check_packet packet;

        memset(&packet, 0, sizeof packet);
        fields.port = port;
        packet.fields = fields;
        packet.length = 1250;
        packet.time_ns = T0 + window * 100 * US + i * 100 * US / n;
        check_packets_add(packets, &packet);
    }
}

START_TEST(microbursts_of_known_sizes)
{
    struct random r = random_from(test_seed);
    struct check_packets packets = { NULL, 0, 0 };
    struct lines expected = { NULL, 0, 0 };
    struct measure_stage *stage
        = check_stage("microbursts n=2", NULL, &measure_stage_microbursts);
    struct measure_fields fields;
    uint64_t us100 = 100 * US;

    /* 5 Gb/s are 50 packets.  Port 1: a window of exactly that, one that has
     * one packet less, two that are hot, and port 2 at the same time. */
    add_window(&packets, _i, 1, 1, 10, 30);
    add_window(&packets, _i, 2, 1, 10, 20);
    add_window(&packets, _i, 1, 1, 20, 49);
    add_window(&packets, _i, 3, 2, 20, 49);
    add_window(&packets, _i, 1, 1, 30, 60);
    add_window(&packets, _i, 1, 1, 31, 10);
    add_window(&packets, _i, 2, 1, 31, 65);
    add_window(&packets, _i, 3, 1, 31, 1);
    add_window(&packets, _i, 4, 2, 31, 200);
    add_window(&packets, _i, 1, 1, 32, 1);
    sort_by_time(&packets);
    check_stage_packets(stage, &packets, &r);
    end_stream(stage);

    fields = client(_i, 1);
    add_line(&expected, &fields, (uint64_t[]) {
        T0 + 10 * us100, us100, 1, 62500, 50, 1, 37500, 0, 30, 0 }, 10);
    add_line(&expected, &fields, (uint64_t[]) {
        T0 + 30 * us100, 2 * us100, 2, 170000, 136, 1, 87500, 0, 70, 0 }, 10);
    fields = client(_i, 2);
    add_line(&expected, &fields, (uint64_t[]) {
        T0 + 10 * us100, us100, 1, 62500, 50, 2, 25000, 0, 20, 0 }, 10);
    add_line(&expected, &fields, (uint64_t[]) {
        T0 + 30 * us100, 2 * us100, 2, 170000, 136, 2, 81250, 0, 65, 0 }, 10);
    fields = client(_i, 4);
    fields.port = 2;
    add_line(&expected, &fields, (uint64_t[]) {
        T0 + 31 * us100, us100, 1, 250000, 200, 1, 250000, 0, 200, 0 }, 10);
    check_rows(0, &expected);
    ck_assert_uint_eq(stage->lost, 0);
    check_stage_close(stage);
    check_packets_free(&packets);
}
END_TEST

/* A burst that its port says nothing more after is given when packets of other
 * ports show that it is over.  A ring that lags is no port that is silent. */
START_TEST(microbursts_of_a_silent_port)
{
    struct random r = random_from(test_seed);
    struct check_packets packets = { NULL, 0, 0 };
    struct measure_stage *stage = check_stage("microbursts", NULL,
                                              &measure_stage_microbursts);

    add_window(&packets, 0, 1, 1, 10, 50);
    for (uint32_t i = 0; i < 9000; i++) {
        add_window(&packets, 0, 2, 2, 10 + i, 1);
    }
    add_window(&packets, 0, 1, 1, 11, 1);
    check_stage_packets(stage, &packets, &r);
    ck_assert_uint_eq(out.n_rows, 0);
    ck_assert_uint_eq(stage->lost, 0);
    check_packets_free(&packets);
    for (uint32_t i = 9000; i < 12000; i++) {
        add_window(&packets, 0, 2, 2, 10 + i, 1);
    }
    check_stage_packets(stage, &packets, &r);
    ck_assert_uint_eq(out.n_rows, 1);
    ck_assert_uint_eq(row_value(out.rows[0], "burst-packets"), 50);
    end_stream(stage);
    ck_assert_uint_eq(out.n_rows, 1);
    check_stage_close(stage);
    check_packets_free(&packets);
}
END_TEST

/* Random windows with many keys, from two rings of which one is some windows
 * behind the other: totals are exact, and keys within their bounds. */
START_TEST(microbursts_within_their_bounds)
{
    enum { WINDOWS = 300, FLOWS = 400, PORTS = 3 };
    struct random r = random_from(test_seed);
    struct check_packets packets = { NULL, 0, 0 };
    struct measure_stage *stage
        = check_stage("microbursts rate=100Mb/s n=16", NULL,
                      &measure_stage_microbursts);
    static uint64_t bytes[PORTS][WINDOWS], counts[PORTS][WINDOWS];
    static uint64_t of_flow[PORTS][WINDOWS][FLOWS];
    static uint64_t packets_of_flow[PORTS][WINDOWS][FLOWS];
    uint64_t n_bursts = 0, n_found = 0, n_error = 0;

    memset(bytes, 0, sizeof bytes);
    memset(counts, 0, sizeof counts);
    memset(of_flow, 0, sizeof of_flow);
    memset(packets_of_flow, 0, sizeof packets_of_flow);
    for (uint32_t w = 0; w < WINDOWS + 20; w++) {
        for (int ring = 0; ring < 2; ring++) {
            uint32_t window = w - 20 * ring;
            uint32_t n = random_below(&r, 3) ? 0 : random_below(&r, 1500);

            if (window >= WINDOWS) {
                continue;
            }
            for (uint32_t i = 0; i < n; i++) {
                uint32_t flow = random_below(&r, 4) * random_below(&r, 133);
                uint32_t port = random_below(&r, PORTS);
                struct check_packet packet;

                memset(&packet, 0, sizeof packet);
                packet.fields = client(flow % N_VARIANTS, flow);
                packet.fields.protocol = 17;
                packet.fields.port = port;
                packet.length = 60 + random_below(&r, 100);
                packet.time_ns = (T0 + window * 100 * US
                                  + random_below(&r, 100000));
                check_packets_add(&packets, &packet);
                bytes[port][window] += packet.length;
                counts[port][window]++;
                of_flow[port][window][flow] += packet.length;
                packets_of_flow[port][window][flow]++;
            }
        }
    }
    check_stage_packets(stage, &packets, &r);
    end_stream(stage);
    ck_assert_uint_eq(stage->lost, 0);

    for (int port = 0; port < PORTS; port++) {
        for (uint32_t first = 0; first < WINDOWS; first++) {
            uint32_t last = first;
            uint64_t total = 0, n = 0, rank = 0;

            if (bytes[port][first] < 1250) {
                continue;
            }
            while (last < WINDOWS && bytes[port][last] >= 1250) {
                n += counts[port][last];
                total += bytes[port][last++];
            }
            n_bursts++;
            for (size_t i = 0; i < out.n_rows; i++) {
                const struct measure_row *row = out.rows[i];
                struct measure_fields fields = row_fields(row);
                uint64_t low = row_value(row, "bytes"), sum = 0;
                uint64_t error = row_value(row, "bytes-error-max");
                uint64_t low_n = row_value(row, "packets"), sum_n = 0;
                uint64_t error_n = row_value(row, "packets-error-max");
                uint32_t flow = 0;

                if (fields.port != port || (row_value(row, "start-time")
                                            != T0 + first * 100 * US)) {
                    continue;
                }
                ck_assert_uint_eq(row_value(row, "windows"), last - first);
                ck_assert_uint_eq(row_value(row, "burst-bytes"), total);
                ck_assert_uint_eq(row_value(row, "burst-packets"), n);
                ck_assert_uint_eq(row_value(row, "rank"), ++rank);
                for (; flow < FLOWS; flow++) {
                    struct measure_fields c = client(flow % N_VARIANTS, flow);

                    c.protocol = 17;
                    c.port = port;
                    if (fields_equal(&c, &fields)) {
                        break;
                    }
                }
                ck_assert_uint_lt(flow, FLOWS);
                for (uint32_t w = first; w < last; w++) {
                    sum += of_flow[port][w][flow];
                    sum_n += packets_of_flow[port][w][flow];
                }
                ck_assert_uint_le(low, sum);
                ck_assert_uint_le(sum, low + error);
                ck_assert_uint_le(low_n, sum_n);
                ck_assert_uint_le(sum_n, low_n + error_n);
                ck_assert_uint_le(low_n + error_n, n);
                n_error += low_n < sum_n;
                n_found++;
            }
            ck_assert_uint_gt(rank, 0);
            first = last;
        }
    }
    ck_assert_uint_eq(n_found, out.n_rows);
    ck_assert_uint_gt(n_bursts, 20);
    ck_assert_uint_gt(n_error, 0);
    check_stage_close(stage);
    check_packets_free(&packets);
}
END_TEST

/* One that does not end is given in parts: at the end of each interval, and
 * without intervals after 10 s.  Nothing of it gets lost. */
START_TEST(microbursts_without_an_end)
{
    enum { WINDOWS = 25000 };
    struct random r = random_from(test_seed);
    struct measure_stage *stage
        = check_stage("microbursts window=1ms rate=1Mb/s by=port", NULL,
                      &measure_stage_microbursts);
    uint64_t n_given = 0, next_ns = T0;

    for (uint32_t w = 0; w < WINDOWS; w += 1000) {
        struct check_packets packets = { NULL, 0, 0 };

        /* Ten windows of 100 us with a packet are one. */
        for (uint32_t i = 0; i < 1000; i++) {
            add_window(&packets, 0, 1, 1, (w + i) * 10, 1);
        }
        check_stage_packets(stage, &packets, &r);
        if (_i) {
            uint64_t start_ns = T0 + w * MS;

            check_stage_interval(stage, start_ns, start_ns + SECOND, false);
            ck_assert_uint_eq(out.n_rows, w / 1000 + 1);
        } else {
            ck_assert_uint_le((w + 1000) / 10000, out.n_rows + 1);
        }
        check_packets_free(&packets);
    }
    end_stream(stage);
    ck_assert_uint_eq(out.n_rows, _i ? 25 : 3);
    for (size_t i = 0; i < out.n_rows; i++) {
        ck_assert_uint_eq(row_value(out.rows[i], "start-time"), next_ns);
        ck_assert_uint_eq(row_value(out.rows[i], "packets"),
                          row_value(out.rows[i], "windows"));
        ck_assert_uint_eq(row_value(out.rows[i], "packets"),
                          row_value(out.rows[i], "burst-packets"));
        next_ns += row_value(out.rows[i], "duration-ns");
        n_given += row_value(out.rows[i], "packets");
    }
    ck_assert_uint_eq(n_given, WINDOWS);
    ck_assert_uint_eq(stage->lost, 0);
    check_stage_close(stage);
}
END_TEST

START_TEST(microbursts_of_one_port_and_wrong_times)
{
    struct random r = random_from(test_seed);
    struct check_packets packets = { NULL, 0, 0 };
    static struct measure_port_names names;
    struct measure_stage *stage = check_stage_new(&measure_stage_microbursts);

    memset(&names, 0, sizeof names);
    stage->ports = &names;
    ck_assert_ptr_null(check_stage_begin(stage,
                                         "microbursts port=eth2 by=port",
                                         NULL));
    add_window(&packets, 0, 1, 1, 0, 100);
    add_window(&packets, 0, 1, 2, 0, 100);
    check_stage_packets(stage, &packets, &r);
    end_stream(stage);
    ck_assert_uint_eq(out.n_rows, 0);
    ck_assert_uint_eq(measure_port_number(&names, "eth1"), 1);
    ck_assert_uint_eq(measure_port_number(&names, "eth2"), 2);
    stage->class->ports(stage);
    check_stage_packets(stage, &packets, &r);
    end_stream(stage);
    ck_assert_uint_eq(out.n_rows, 1);
    ck_assert_uint_eq(row_fields(out.rows[0]).port, 2);

    /* A time in the future: what follows is late, but not for ever. */
    check_packets_free(&packets);
    add_window(&packets, 0, 1, 2, 100000000, 1);
    add_window(&packets, 0, 1, 2, 100, 163);
    check_stage_packets(stage, &packets, &r);
    ck_assert_uint_eq(stage->lost, 63);
    end_stream(stage);
    ck_assert_uint_eq(out.n_rows, 2);
    ck_assert_uint_eq(row_value(out.rows[1], "packets"), 100);

    measure_port_names_destroy(&names);
    check_stage_close(stage);
    check_packets_free(&packets);
}
END_TEST

/* Little memory: what is left out is counted. */

static uint64_t
sum_of(const char *name)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < out.n_rows; i++) {
        sum += row_value(out.rows[i], name);
    }
    return sum;
}

START_TEST(nothing_is_lost_silently)
{
    static const struct measure_stage_class *const classes[] = {
        &measure_stage_features, &measure_stage_flowlets,
        &measure_stage_half_open, &measure_stage_out_of_order,
        &measure_stage_rtt,
    };
    static const char *const texts[] = {
        "features n=2", "flowlets gap=1s", "half-open by=source",
        "out-of-order", "rtt",
    };
    const uint32_t n = 20000;
    struct random r = random_from(test_seed);
    struct check_packets packets = { NULL, 0, 0 };
    bool none = _i >= 5;
    struct measure_stage *stage;
    const char *text = texts[_i % 5];

    /* All connections at the same time, in an order of their own. */
    for (uint32_t i = 0; i < n; i++) {
        struct measure_fields c = client(i % N_VARIANTS, i);

        add(&packets, c, T0 + i * US, S, i, 0);
    }
    budget.limit = none ? 1 : MEASURE_MIB;
    stage = check_stage(text, NULL, classes[_i % 5]);
    check_stage_packets(stage, &packets, &r);
    ck_assert_uint_le(measure_budget_used(&budget), budget.limit);
    if (!strcmp(text, "rtt")) {
        struct check_packets more = { NULL, 0, 0 };

        /* The last ones first, for they are remembered. */
        for (uint32_t i = n; i-- > 0; ) {
            struct measure_fields c = client(i % N_VARIANTS, i);

            add(&more, server(&c), T0 + SECOND + i * US, S | A, 7, 0);
            add(&more, c, T0 + SECOND + i * US + 500, A, i + 1, 0);
        }
        check_stage_packets(stage, &more, &r);
        check_packets_free(&more);
    }
    end_stream(stage);
    if (none) {
        ck_assert_uint_eq(out.n_rows, 0);
        ck_assert_uint_ge(stage->lost, n);
    } else if (!strcmp(text, "flowlets gap=1s")) {
        ck_assert_uint_eq(sum_of("packets"), n);
    } else if (!strcmp(text, "out-of-order")) {
        ck_assert_uint_eq(sum_of("segments"), n);
    } else if (!strcmp(text, "half-open by=source")) {
        ck_assert_uint_eq(sum_of("syns"), n);
    } else {
        ck_assert_uint_eq(stage->given + stage->lost, n);
        ck_assert_uint_gt(stage->given, 100);
    }
    ck_assert_uint_gt(stage->lost, 1000);
    check_stage_close(stage);
    check_packets_free(&packets);
}
END_TEST

START_TEST(microbursts_with_little_memory)
{
    struct random r = random_from(test_seed);
    struct check_packets packets = { NULL, 0, 0 };
    struct measure_stage *stage;
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < 4000; i++) {
        add_window(&packets, i % N_VARIANTS, i, 1 + i % 8, 10 + i / 80, 5);
    }
    budget.limit = 600 * MEASURE_KIB;
    stage = check_stage("microbursts", NULL, &measure_stage_microbursts);
    check_stage_packets(stage, &packets, &r);
    end_stream(stage);
    /* Of each burst, once. */
    for (size_t i = 0; i < out.n_rows; i++) {
        uint64_t known = row_value(out.rows[i], "bytes");

        ck_assert_uint_le(known + row_value(out.rows[i], "bytes-error-max"),
                          row_value(out.rows[i], "burst-bytes"));
        ck_assert_uint_le(row_value(out.rows[i], "packets")
                          + row_value(out.rows[i], "packets-error-max"),
                          row_value(out.rows[i], "burst-packets"));
        if (row_value(out.rows[i], "rank") <= 1) {
            bytes += row_value(out.rows[i], "burst-bytes");
        }
    }
    ck_assert_uint_eq(bytes, 4000 * 5 * 1250);
    ck_assert_uint_gt(stage->lost, 0);
    check_stage_close(stage);

    budget.limit = 1;
    stage = check_stage("microbursts", NULL, &measure_stage_microbursts);
    check_stage_packets(stage, &packets, &r);
    end_stream(stage);
    ck_assert_uint_eq(out.n_rows, 0);
    ck_assert_uint_eq(stage->lost, packets.n);
    check_stage_close(stage);
    check_packets_free(&packets);
}
END_TEST

/* Arguments. */

START_TEST(wrong_arguments)
{
    static const char time_valid[]
        = "valid is a number and ns, us, ms, s, m or h, at least 1ns";
    static const char by_valid[] = "valid is " MEASURE_GROUP_BY_VALID;

    check_stage_error("rtt timeout=5", NULL, &measure_stage_rtt, time_valid);
    check_stage_error("rtt fast", NULL, &measure_stage_rtt,
                      "valid is timeout=TIME or flows=N");
    check_stage_error("flowlets gap=0us", NULL, &measure_stage_flowlets,
                      time_valid);
    check_stage_error("flowlets host", NULL, &measure_stage_flowlets,
                      by_valid);
    check_stage_error("features n=30", NULL, &measure_stage_features,
                      "valid is a number from 1 to 29");
    check_stage_error("half-open by=port", NULL, &measure_stage_half_open,
                      "a connection has no port of the switch: valid is a "
                      "group without it");
    check_stage_error("half-open by=host", NULL, &measure_stage_half_open,
                      by_valid);
    check_stage_error("microbursts window=2s", NULL,
                      &measure_stage_microbursts,
                      "valid is a length of time from 1us to 1s");
    check_stage_error("microbursts rate=fast", NULL,
                      &measure_stage_microbursts,
                      "valid is a number, k, M, G or T, and b/s or bps, up to "
                      "1000Tb/s");
    check_stage_error("out-of-order flows=0", NULL,
                      &measure_stage_out_of_order,
                      "valid is a number from 1 to 268435456");
    budget.limit = MEASURE_MIB;
    check_stage_error("out-of-order flows=100000", NULL,
                      &measure_stage_out_of_order,
                      "flows=100000 needs 20798 KiB of memory, which are not "
                      "left; ask for less flows, or for more memory");
}
END_TEST

/* Captures. */

static char traces[PATH_MAX - 300];

static unsigned int
get16(const uint8_t *p)
{
    return p[0] * 256 + p[1];
}

/* What 'frame' of 'size' bytes says of TCP, if its header is there: for frames
 * of IPv4 and of IPv6 without extension headers. */
static void
read_tcp(const uint8_t *frame, size_t size, struct check_packet *packet)
{
    size_t at = 12, end;

    while (get16(frame + at) == 0x8100 || get16(frame + at) == 0x88a8) {
        at += 4;
    }
    if (get16(frame + at) == 0x0800) {
        at += 2;
        if (get16(frame + at + 6) & 0x1fff) {
            return;
        }
        end = at + get16(frame + at + 2);
        at += frame[at] % 16 * 4;
    } else if (get16(frame + at) == 0x86dd && frame[at + 8] == 6) {
        at += 2;
        end = at + 40 + get16(frame + at + 4);
        at += 40;
    } else {
        return;
    }
    if (at + 20 > end || end > size
        || at + frame[at + 12] / 16 * 4 > end) {
        return;
    }
    packet->sequence = ((uint32_t) get16(frame + at + 4) << 16
                        | get16(frame + at + 6));
    packet->tcp_flags = frame[at + 13];
    packet->payload = end - at - frame[at + 12] / 16 * 4;
}

static struct check_packets
read_capture(const char *name)
{
    struct check_packets packets = { NULL, 0, 0 };
    char error[PCAP_ERRBUF_SIZE], path[PATH_MAX];
    struct pcap_pkthdr *header;
    const u_char *data;
    pcap_t *pcap;

    snprintf(path, sizeof path, "%s/%s.pcap", traces, name);
    pcap = pcap_open_offline(path, error);
    ck_assert_msg(pcap != NULL, "%s", error);
    while (pcap_next_ex(pcap, &header, &data) == 1) {
        uint8_t *frame = calloc(1, header->len + 64);
        struct measure_record record;
        struct check_packet packet;

        memcpy(frame, data, header->caplen);
        measure_parse(frame, header->len, 0, &record);
        if (record.verdict < MEASURE_N_LAYOUTS) {
            memset(&packet, 0, sizeof packet);
            measure_fields_from_key(&packet.fields, record.verdict,
                                    record.key);
            packet.length = header->len;
            packet.time_ns = (header->ts.tv_sec * SECOND
                              + header->ts.tv_usec * US);
            if (packet.fields.protocol == 6) {
                read_tcp(frame, header->len, &packet);
            }
            check_packets_add(&packets, &packet);
        }
        free(frame);
    }
    pcap_close(pcap);
    return packets;
}

/* The number after '#total NAME' in the truth file of 'capture'. */
static uint64_t
read_truth(const char *capture, const char *name)
{
    char path[PATH_MAX], line[512], what[64];
    uint64_t value, found = UINT64_MAX;
    FILE *truth;

    snprintf(path, sizeof path, "%s/%s.truth.tsv", traces, capture);
    truth = fopen(path, "r");
    ck_assert_msg(truth != NULL, "%s", path);
    while (fgets(line, sizeof line, truth)) {
        if (sscanf(line, "#total %63s %"SCNu64, what, &value) == 2
            && !strcmp(what, name)) {
            found = value;
        }
    }
    fclose(truth);
    ck_assert_uint_ne(found, UINT64_MAX);
    return found;
}

static const char *const captures[] = {
    "real-mix-oss", "scan", "ipv6", "vlan", "tunnel"
};

/* Features of all flows of a capture; each pair of addresses of the truth file
 * is in them. */
START_TEST(features_of_captures)
{
    const char *capture = captures[_i];
    struct check_packets packets = read_capture(capture);
    struct random r = random_from(test_seed);
    struct lines expected = { NULL, 0, 0 };
    struct oracle pairs = oracle_open(), in_rows = oracle_open();
    struct measure_stage *stage
        = check_stage("features n=3 flows=200000", NULL,
                      &measure_stage_features);
    uint64_t n_pairs = 0;

    ck_assert_uint_eq(packets.n, read_truth(capture, "counted_packets"));
    for (size_t i = 0; i < packets.n; i++) {
        struct measure_fields pair = pair_of(&packets.packets[i].fields);

        oracle_add(&pairs, &pair, 1, 0);
    }
    ck_assert_uint_eq(pairs.n, read_truth(capture, "distinct_pairs"));
    expect_features(&packets, 3, 60 * SECOND, &expected);
    check_stage_packets(stage, &packets, &r);
    end_stream(stage);
    printf("%s: %"PRIu64" flows\n", capture, stage->given);
    fflush(stdout);
    ck_assert_uint_eq(stage->given, expected.n);
    ck_assert_uint_eq(stage->lost, 0);
    for (size_t i = 0; i < out.n_rows; i++) {
        struct measure_fields pair = row_fields(out.rows[i]);

        pair = pair_of(&pair);
        oracle_add(&in_rows, &pair, 1, 0);
    }
    for (size_t i = 0; i < pairs.n; i++) {
        struct measure_fields back = server(&pairs.rows[i].fields);

        back.port = 0;
        n_pairs += (oracle_find(&in_rows, &pairs.rows[i].fields) != NULL
                    || oracle_find(&in_rows, &back) != NULL);
    }
    ck_assert_uint_eq(n_pairs, pairs.n);
    check_rows(0, &expected);
    oracle_close(&pairs);
    oracle_close(&in_rows);
    check_stage_close(stage);
    check_packets_free(&packets);
}
END_TEST

/* The other stages go through captures, with their sums. */
START_TEST(sums_of_captures)
{
    struct check_packets packets = read_capture(captures[_i]);
    struct random r = random_from(test_seed);
    uint64_t bytes = 0, segments = 0, syns = 0, syn_acks = 0;
    struct measure_stage *stage;

    for (size_t i = 0; i < packets.n; i++) {
        const struct check_packet *p = &packets.packets[i];
        uint32_t other = p->length - p->payload;
        bool tcp = p->fields.protocol == 6;
        uint8_t f = p->tcp_flags;

        bytes += p->length;
        segments += (tcp && !(f & R)
                     && (p->payload || f & (S | F)
                         || other <= 13 || other > 140));
        syns += tcp && (f & (S | A | R | F)) == S;
        syn_acks += tcp && (f & (S | A | R | F)) == (S | A);
    }

    stage = check_stage("flowlets gap=10ms", NULL, &measure_stage_flowlets);
    check_stage_packets(stage, &packets, &r);
    end_stream(stage);
    ck_assert_uint_eq(sum_of("packets"), packets.n);
    ck_assert_uint_eq(sum_of("bytes"), bytes);
    check_stage_close(stage);

    stage = check_stage("out-of-order", NULL, &measure_stage_out_of_order);
    check_stage_packets(stage, &packets, &r);
    end_stream(stage);
    ck_assert_uint_eq(sum_of("segments") + sum_of("unknown"), segments);
    check_stage_close(stage);

    stage = check_stage("half-open", NULL, &measure_stage_half_open);
    check_stage_packets(stage, &packets, &r);
    end_stream(stage);
    ck_assert_uint_eq(sum_of("syns"), syns);
    ck_assert_uint_eq(sum_of("syn-acks"), syn_acks);
    check_stage_close(stage);

    stage = check_stage("rtt", NULL, &measure_stage_rtt);
    check_stage_packets(stage, &packets, &r);
    ck_assert_uint_le(stage->given, syns);
    printf("%s: %"PRIu64" handshakes\n", captures[_i], stage->given);
    fflush(stdout);
    check_stage_close(stage);

    stage = check_stage("microbursts rate=8b/s", NULL,
                        &measure_stage_microbursts);
    check_stage_packets(stage, &packets, &r);
    end_stream(stage);
    bytes = 0;
    for (size_t i = 0; i < out.n_rows; i++) {
        if (row_value(out.rows[i], "rank") == 1) {
            bytes += row_value(out.rows[i], "burst-packets");
        }
    }
    ck_assert_uint_eq(bytes + stage->lost, packets.n);
    ck_assert_uint_eq(stage->lost, 0);
    check_stage_close(stage);
    check_packets_free(&packets);
}
END_TEST

/* Counts rows, and SYNs: replicas have rows of the same destination. */

static uint64_t n_piped, syns_piped;

static void
count_piped(struct measure_stage *stage UNUSED, const struct measure_row *row)
{
    n_piped++;
    syns_piped += row->n_present > 2 ? row->values[2] : 0;
}

static char *
begin_piped(struct measure_stage *stage UNUSED,
            const struct measure_schema *input UNUSED)
{
    return NULL;
}

static const struct measure_stage_class piped_class = {
    .name = "out", .summary = "counts rows", .takes = MEASURE_TAKES_ROWS,
    .gives = MEASURE_GIVES_NOTHING, .size = sizeof(struct measure_stage),
    .begin = begin_piped, .row = count_piped,
};

/* In a pipeline with replicas: what there is without. */
START_TEST(stages_in_a_pipeline)
{
    static const char *const stages[] = {
        "features n=3", "rtt", "flowlets", "microbursts rate=100kb/s",
        "out-of-order", "half-open",
    };
    static const struct measure_stage_class *const classes[] = {
        &measure_stage_features, &measure_stage_rtt, &measure_stage_flowlets,
        &measure_stage_microbursts, &measure_stage_out_of_order,
        &measure_stage_half_open,
    };
    static const struct measure_stage_class *const more[] = {
        &piped_class, NULL,
    };
    struct measure_pipeline_options options = {
        .classes = measure_stages, .more_classes = more,
    };
    struct check_packets packets = read_capture("real-mix-oss");
    struct random r = random_from(test_seed);
    struct measure_stage *stage = check_stage(stages[_i], NULL, classes[_i]);
    bool replicas = classes[_i]->partition != MEASURE_PARTITION_NONE;
    struct measure_pipeline *pipeline = measure_pipeline_create(&options);
    struct measure_source *source;
    uint64_t given;
    char chain[100], *error;

    check_stage_packets(stage, &packets, &r);
    end_stream(stage);
    given = _i == 5 ? sum_of("syns") : stage->given;
    check_stage_close(stage);

    snprintf(chain, sizeof chain, "%s%s | out", stages[_i],
             replicas ? " replicas=3" : "");
    n_piped = syns_piped = 0;
    error = measure_pipeline_add_chain(pipeline, chain);
    ck_assert_msg(!error, "%s: %s", chain, error);
    source = measure_pipeline_create_source(pipeline, 4096, 0);
    error = measure_pipeline_start(pipeline);
    ck_assert_msg(!error, "%s: %s", chain, error);
    for (size_t i = 0; i < packets.n; i++) {
        unsigned int n = measure_slot_size(packets.packets[i].slots);
        struct measure_slot *slots;

        while (!(slots = measure_source_reserve(source, n))) {
            measure_pipeline_work(pipeline);
        }
        memcpy(slots, packets.packets[i].slots, n * sizeof *slots);
        measure_ring_advance(measure_source_writer(source), n);
        measure_ring_publish(measure_source_writer(source));
    }
    error = measure_pipeline_finish(pipeline);
    ck_assert_msg(!error, "%s: %s", chain, error);
    ck_assert_uint_eq(_i == 5 ? syns_piped : n_piped, given);
    measure_pipeline_destroy(pipeline);
    check_packets_free(&packets);
}
END_TEST

static bool
find_traces(void)
{
    const char *directory = getenv("MEASURE_TRACES");
    const char *source = getenv("MEASURE_SOURCE");
    char path[PATH_MAX];

    if (directory && directory[0]) {
        snprintf(traces, sizeof traces, "%s", directory);
    } else {
        snprintf(traces, sizeof traces, "%s%s../shared/traces",
                 source && source[0] ? source : "",
                 source && source[0] ? "/" : "");
    }
    snprintf(path, sizeof path, "%s/%s.pcap", traces, captures[0]);
    return !access(path, R_OK);
}

int
main(void)
{
    TCase *tests = tests_begin("flow-stages");

    tcase_add_loop_test(tests, rtt_of_handshakes, 0, 2 * N_VARIANTS);
    tcase_add_test(tests, rtt_of_two_rings);
    tcase_add_loop_test(tests, half_open_connections, 0, N_VARIANTS);
    tcase_add_loop_test(tests, half_open_of_two_rings, 0, N_VARIANTS);
    tcase_add_loop_test(tests, half_open_under_a_flood_of_answers, 0,
                        N_VARIANTS);
    tcase_add_test(tests, half_open_under_a_flood);
    tcase_add_loop_test(tests, orders_made_by_hand, 0, ARRAY_SIZE(orders));
    tcase_add_loop_test(tests, orders_of_connections, 0, N_VARIANTS);
    tcase_add_loop_test(tests, orders_as_a_map_of_bytes, 0, 20);
    tcase_add_loop_test(tests, flowlets_by_the_oracle, 0, 3);
    tcase_add_loop_test(tests, flowlets_at_their_gap, 0, N_VARIANTS);
    tcase_add_loop_test(tests, features_of_a_connection, 0, N_VARIANTS);
    tcase_add_loop_test(tests, features_by_the_oracle, 0, 4);
    tcase_add_loop_test(tests, microbursts_of_known_sizes, 0, N_VARIANTS);
    tcase_add_test(tests, microbursts_of_a_silent_port);
    tcase_add_test(tests, microbursts_within_their_bounds);
    tcase_add_loop_test(tests, microbursts_without_an_end, 0, 2);
    tcase_add_test(tests, microbursts_of_one_port_and_wrong_times);
    tcase_add_loop_test(tests, nothing_is_lost_silently, 0, 10);
    tcase_add_test(tests, microbursts_with_little_memory);
    tcase_add_test(tests, wrong_arguments);
    if (find_traces()) {
        tcase_add_loop_test(tests, features_of_captures, 0,
                            ARRAY_SIZE(captures));
        tcase_add_loop_test(tests, sums_of_captures, 0,
                            ARRAY_SIZE(captures));
        tcase_add_loop_test(tests, stages_in_a_pipeline, 0, 6);
    } else {
        test_skipped("captures", "no shared captures");
    }
    return tests_run(tests);
}
