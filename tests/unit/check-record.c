/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of packet records and flow keys. */

#include "check-common.h"

/* For each kind of key those that need no field which it lacks, from the
 * finest. */
static const bool derives[MEASURE_N_KINDS][MEASURE_N_KINDS] = {
    [MEASURE_KIND_FLOW] = { true, true, true, true },
    [MEASURE_KIND_PAIR] = { false, true, true, true },
    [MEASURE_KIND_SOURCE] = { [MEASURE_KIND_SOURCE] = true },
    [MEASURE_KIND_DESTINATION] = { [MEASURE_KIND_DESTINATION] = true },
};

START_TEST(kinds_derive_from_finer_ones)
{
    for (int from = 0; from < MEASURE_N_KINDS; from++) {
        for (int kind = 0; kind < MEASURE_N_KINDS; kind++) {
            ck_assert_msg(measure_kind_derives(from, kind)
                          == derives[from][kind], "from %s by %s",
                          measure_kind_name(from), measure_kind_name(kind));
        }
    }
}
END_TEST

START_TEST(kinds_have_the_addresses_that_their_names_say)
{
    for (int key_kind = 0; key_kind < MEASURE_N_KINDS; key_kind++) {
        ck_assert_int_eq(measure_kind_has_source(key_kind),
                         derives[key_kind][MEASURE_KIND_SOURCE]);
        ck_assert_int_eq(measure_kind_has_destination(key_kind),
                         derives[key_kind][MEASURE_KIND_DESTINATION]);
    }
}
END_TEST

START_TEST(names_lead_to_kinds_and_back)
{
    static const char *const names[] = {
        "flow", "pair", "source", "destination"
    };
    static const char *const wrong[] = {
        "", "Flow", "flows", "flo", " flow", "flow ", "src", "port"
    };

    for (int i = 0; i < MEASURE_N_KINDS; i++) {
        enum measure_key_kind key_kind = MEASURE_N_KINDS;

        ck_assert_str_eq(measure_kind_name(i), names[i]);
        ck_assert(measure_kind_from_name(names[i], &key_kind));
        ck_assert_int_eq(key_kind, i);
    }
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        enum measure_key_kind key_kind = MEASURE_KIND_SOURCE;

        ck_assert_msg(!measure_kind_from_name(wrong[i], &key_kind), "\"%s\"",
                      wrong[i]);
        ck_assert_int_eq(key_kind, MEASURE_KIND_SOURCE);
    }
}
END_TEST

START_TEST(ports_word_has_the_documented_bits)
{
    ck_assert_uint_eq(measure_ports_word(0x1234, 0x5678, 0x9a),
                      UINT64_C(0x9a56781234));
    ck_assert_uint_eq(measure_ports_word(0xffff, 0, 0), 0xffff);
    ck_assert_uint_eq(measure_ports_word(0, 0xffff, 0), 0xffff0000);
    ck_assert_uint_eq(measure_ports_word(0, 0, 0xff), UINT64_C(0xff00000000));
    ck_assert_uint_eq(measure_ports_word(0xffff, 0xffff, 0xff),
                      UINT64_C(0xffffffffff));
}
END_TEST

START_TEST(key_layout_is_that_of_the_packet)
{
    struct measure_fields v4 = {
        .family = MEASURE_IPV4, .source = { 1, 2, 3, 4 },
        .destination = { 5, 6, 7, 8 }, .source_port = 0x1234,
        .destination_port = 0x5678, .protocol = 6,
    };
    struct measure_fields v6 = { .family = MEASURE_IPV6, .protocol = 17 };
    uint64_t key[MEASURE_KEY_WORDS];
    uint8_t bytes[sizeof key];

    memset(key, 0xff, sizeof key);
    measure_key_from_fields(key, &v4);
    memcpy(bytes, key, sizeof bytes);
    ck_assert_mem_eq(bytes, "\1\2\3\4\5\6\7\10", 8);
    ck_assert_uint_eq(key[1], measure_ports_word(0x1234, 0x5678, 6));
    ck_assert(!key[2] && !key[3] && !key[4] && !key[5]);

    for (int i = 0; i < 16; i++) {
        v6.source[i] = i + 1;
        v6.destination[i] = i + 101;
    }
    memset(key, 0xff, sizeof key);
    measure_key_from_fields(key, &v6);
    memcpy(bytes, key, sizeof bytes);
    ck_assert_mem_eq(bytes, v6.source, 16);
    ck_assert_mem_eq(bytes + 16, v6.destination, 16);
    ck_assert_uint_eq(key[4], measure_ports_word(0, 0, 17));
    ck_assert(!key[5]);

    v4.vlan = 0xabc;
    v4.port = 0xdef;
    ck_assert_int_eq(measure_key_from_fields(key, &v4), MEASURE_NARROW);
    ck_assert_uint_eq(key[1], UINT64_C(0xdefabc0656781234));
    v4.tunnelled = true;
    v4.tunnel = 0x87654321;
    ck_assert_int_eq(measure_key_from_fields(key, &v4), MEASURE_WIDE);
    memcpy(bytes, key, sizeof bytes);
    ck_assert_mem_eq(bytes, "\0\0\0\0\0\0\0\0\0\0\0\0\1\2\3\4", 16);
    ck_assert_mem_eq(bytes + 16, "\0\0\0\0\0\0\0\0\0\0\0\0\5\6\7\10", 16);
    ck_assert_uint_eq(key[4], UINT64_C(0xdefabc0656781234));
    ck_assert_uint_eq(key[5], UINT64_C(0x387654321));

    ck_assert_uint_eq(measure_key_words(MEASURE_NARROW), 2);
    ck_assert_uint_eq(measure_key_words(MEASURE_WIDE), 6);
}
END_TEST

/* IPv4 in a tunnel, too. */
static struct measure_fields
random_tunnelled_fields(struct random *r)
{
    struct measure_fields fields = random_fields(r);

    fields.tunnelled = random_below(r, 2);
    fields.tunnel = fields.tunnelled ? random_next(r) >> 32 : 0;
    return fields;
}

START_TEST(fields_survive_the_way_through_a_key)
{
    struct random r = random_from(test_seed);

    for (int i = 0; i < 20000; i++) {
        struct measure_fields fields = random_tunnelled_fields(&r);
        struct measure_fields again;
        uint64_t key[MEASURE_KEY_WORDS], key_again[MEASURE_KEY_WORDS];
        enum measure_layout layout = measure_key_from_fields(key, &fields);

        memset(&again, 0xff, sizeof again);
        measure_fields_from_key(&again, layout, key);
        ck_assert(fields_equal(&fields, &again));
        ck_assert_int_eq(measure_key_from_fields(key_again, &again), layout);
        ck_assert_mem_eq(key, key_again, sizeof key);
    }
}
END_TEST

START_TEST(record_takes_port_and_tunnel)
{
    struct random r = random_from(test_seed);

    for (int i = 0; i < 20000; i++) {
        struct measure_fields fields = random_tunnelled_fields(&r);
        struct measure_fields parsed = fields, got;
        struct measure_record record;

        parsed.port = 0;
        parsed.tunnelled = false;
        parsed.tunnel = 0;
        record = make_record(&parsed, 100);
        measure_record_set_port(&record, fields.port);
        if (fields.tunnelled) {
            measure_record_set_tunnel(&record, fields.tunnel);
        }
        measure_fields_from_key(&got, record.verdict, record.key);
        ck_assert(fields_equal(&got, &fields));
    }
}
END_TEST

START_TEST(what_is_not_counted_takes_no_port_nor_tunnel)
{
    struct measure_record record = { .verdict = MEASURE_NOT_IP };

    measure_record_set_port(&record, 1);
    measure_record_set_tunnel(&record, 1);
    ck_assert_int_eq(record.verdict, MEASURE_NOT_IP);
    for (int i = 0; i < MEASURE_KEY_WORDS; i++) {
        ck_assert(!record.key[i]);
    }
}
END_TEST

START_TEST(masks_keep_the_fields_of_a_kind)
{
    struct random r = random_from(test_seed);

    for (int i = 0; i < 20000; i++) {
        struct measure_fields fields = random_tunnelled_fields(&r);

        for (int key_kind = 0; key_kind < MEASURE_N_KINDS; key_kind++) {
            struct measure_fields expected = fields, got;
            uint64_t key[MEASURE_KEY_WORDS], masked[MEASURE_KEY_WORDS];
            enum measure_layout layout = measure_key_from_fields(key, &fields);

            for (int j = 0; j < MEASURE_KEY_WORDS; j++) {
                masked[j] = key[j] & measure_masks[key_kind].words[layout][j];
            }
            keep_fields(&expected, key_kind);
            measure_fields_from_key(&got, layout, masked);
            ck_assert(fields_equal(&got, &expected));

            for (int j = 0; j < MEASURE_KEY_WORDS; j++) {
                masked[j]
                    = key[j] & measure_count_masks[key_kind].words[layout][j];
            }
            expected.port = key_kind == MEASURE_KIND_FLOW ? fields.port : 0;
            measure_fields_from_key(&got, layout, masked);
            ck_assert(fields_equal(&got, &expected));
        }
    }
}
END_TEST

/* The order that measure_fields_compare() promises, in the plainest words:
 * bytes that sort as it does. */
static size_t
sort_key(const struct measure_fields *fields, uint8_t *p)
{
    size_t n = 0;

    /* Where one address is the start of the other, the shorter one is first:
     * what is behind the fourth byte begins with the family. */
    for (int i = 0; i < 2; i++) {
        const uint8_t *address = i ? fields->destination : fields->source;

        memcpy(p + n, address, 4);
        p[n + 4] = fields->family == MEASURE_IPV6;
        memset(p + n + 5, 0, 12);
        if (fields->family == MEASURE_IPV6) {
            memcpy(p + n + 5, address + 4, 12);
        }
        n += 17;
    }
    p[n++] = fields->protocol;
    p[n++] = fields->source_port >> 8;
    p[n++] = fields->source_port;
    p[n++] = fields->destination_port >> 8;
    p[n++] = fields->destination_port;
    p[n++] = fields->vlan >> 8;
    p[n++] = fields->vlan;
    p[n++] = fields->tunnelled;
    for (int i = 24; i >= 0; i -= 8) {
        p[n++] = fields->tunnel >> i;
    }
    p[n++] = fields->port >> 8;
    p[n++] = fields->port;
    return n;
}

static int
sign(int x)
{
    return (x > 0) - (x < 0);
}

START_TEST(order_is_total_and_as_documented)
{
    struct random r = random_from(test_seed);
    enum { N = 300 };
    static struct measure_fields fields[N];
    unsigned int n_follow = 0;

    /* Few values in few places, so that all prefixes of the order tie. */
    for (int i = 0; i < N; i++) {
        size_t size;

        memset(&fields[i], 0, sizeof fields[i]);
        fields[i].family = random_below(&r, 2);
        size = fields[i].family == MEASURE_IPV4 ? 4 : 16;
        if (random_below(&r, 2)) {
            fields[i].source[random_below(&r, size)]
                = random_below(&r, 2) ? 255 : 1;
        }
        if (random_below(&r, 2)) {
            fields[i].destination[random_below(&r, size)]
                = random_below(&r, 2) ? 255 : 1;
        }
        fields[i].protocol = random_below(&r, 2) * 255;
        fields[i].source_port = random_below(&r, 2) * 0xff00;
        fields[i].destination_port = random_below(&r, 2) * 0x00ff;
        fields[i].vlan = random_below(&r, 2) * 0x0f00;
        fields[i].tunnelled = random_below(&r, 2);
        fields[i].tunnel = random_below(&r, 2) * 0xff000000;
        fields[i].port = random_below(&r, 2) * 0x00ff;
    }
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            uint8_t a[64], b[64];
            size_t n = sort_key(&fields[i], a);

            ck_assert_uint_eq(n, sort_key(&fields[j], b));
            ck_assert_int_eq(sign(memcmp(a, b, n)),
                             sign(measure_fields_compare(&fields[i],
                                                         &fields[j])));
        }
    }

    /* What is said to follow does, and of most keys it is said. */
    for (int i = 0; i < N; i++) {
        uint64_t key[MEASURE_KEY_WORDS];
        enum measure_layout layout = measure_key_from_fields(key, &fields[i]);

        for (int j = 0; j < N; j++) {
            bool follows = measure_key_follows(layout, key, &fields[j]);

            n_follow += follows;
            ck_assert(!follows
                      || measure_fields_compare(&fields[i], &fields[j]) > 0);
        }
    }
    ck_assert_uint_gt(n_follow, 0);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-record");

    tcase_add_test(tests, kinds_derive_from_finer_ones);
    tcase_add_test(tests, kinds_have_the_addresses_that_their_names_say);
    tcase_add_test(tests, names_lead_to_kinds_and_back);
    tcase_add_test(tests, ports_word_has_the_documented_bits);
    tcase_add_test(tests, key_layout_is_that_of_the_packet);
    tcase_add_test(tests, fields_survive_the_way_through_a_key);
    tcase_add_test(tests, record_takes_port_and_tunnel);
    tcase_add_test(tests, what_is_not_counted_takes_no_port_nor_tunnel);
    tcase_add_test(tests, masks_keep_the_fields_of_a_kind);
    tcase_add_test(tests, order_is_total_and_as_documented);
    return tests_run(tests);
}
