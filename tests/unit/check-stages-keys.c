/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the stages that look at keys of packets: where, count, distinct. */

#include "check-stage.h"

#include "key/measure-filter.h"

extern const struct measure_stage_class measure_stage_count;
extern const struct measure_stage_class measure_stage_distinct;
extern const struct measure_stage_class measure_stage_where;

#define START UINT64_C(1700000000000000000)
#define END (START + UINT64_C(1000000000))

/* Leaves in 'fields' what 'group_by' keeps. */
static void
group(struct measure_fields *fields, const struct measure_group_by *group_by)
{
    unsigned int kept = group_by->fields;

    if (!(kept & MEASURE_FIELDS_PAIR)) {
        fields->family = MEASURE_IPV4;  /* Either. */
    }
    keep_bits(fields->source,
              kept & MEASURE_FIELD_SOURCE ? group_by->source_prefix : 0);
    keep_bits(fields->destination,
              (kept & MEASURE_FIELD_DESTINATION
               ? group_by->destination_prefix : 0));
    fields->protocol *= (kept & MEASURE_FIELD_PROTOCOL) != 0;
    fields->source_port *= (kept & MEASURE_FIELD_SOURCE_PORT) != 0;
    fields->destination_port *= (kept & MEASURE_FIELD_DESTINATION_PORT) != 0;
    fields->vlan *= (kept & MEASURE_FIELD_VLAN) != 0;
    fields->port *= (kept & MEASURE_FIELD_PORT) != 0;
    fields->tunnelled &= (kept & MEASURE_FIELD_TUNNEL) != 0;
    fields->tunnel *= fields->tunnelled;
}

/* The key of a row, as group() leaves one. */
static struct measure_fields
row_group(const struct measure_row *row)
{
    struct measure_fields fields = row_fields(row);

    group(&fields, &out.stage.schema.group_by);
    return fields;
}

static const char *const groups[] = {
    "flow", "pair", "source", "destination", "source/24", "destination/29",
    "source/28+destination/100", "source-port", "protocol+destination-port",
    "port", "vlan", "tunnel", "source+tunnel", "vlan+port+protocol",
    "flow+port",
};

static struct oracle
count_oracle(const struct check_packets *packets, size_t first, size_t n,
             const struct measure_group_by *group_by)
{
    struct oracle oracle = oracle_open();

    for (size_t i = first; i < first + n; i++) {
        struct measure_fields fields = packets->packets[i].fields;

        group(&fields, group_by);
        oracle_add(&oracle, &fields, 1, packets->packets[i].length);
    }
    return oracle;
}

/* Two intervals of random packets, by each group. */
START_TEST(counts_are_exact)
{
    struct random r = random_from(test_seed + _i);
    struct check_packets packets = check_packets_random(&r, 20000, 300);
    char *text = measure_format("count by=%s", groups[_i]);
    struct measure_stage *stage = check_stage(text, NULL,
                                              &measure_stage_count);
    size_t first = 0;

    for (int interval = 0; interval < 2; interval++) {
        size_t n = interval ? packets.n - first : packets.n / 3;
        struct oracle oracle = count_oracle(&packets, first, n,
                                            &stage->schema.group_by);

        check_stage_some(stage, &packets, first, n, &r);
        check_stage_interval(stage, START, END + interval, interval == 1);
        ck_assert_uint_eq(out.n_rows, oracle.n);
        for (size_t i = 0; i < out.n_rows; i++) {
            struct measure_fields fields = row_group(out.rows[i]);
            struct oracle_row *row = oracle_find(&oracle, &fields);

            REQUIRE(row && !row->seen);
            row->seen = true;
            REQUIRE(row_value(out.rows[i], "packets") == row->packets);
            REQUIRE(row_value(out.rows[i], "bytes") == row->bytes);
            REQUIRE(!row_value(out.rows[i], "packets-error-max"));
            REQUIRE(out.rows[i]->time_ns == END + interval);
            REQUIRE(!out.rows[i]->flags);
        }
        oracle_close(&oracle);
        check_out_forget();
        first += n;
    }
    ck_assert_uint_eq(stage->lost, 0);
    check_stage_close(stage);
    check_packets_free(&packets);
    free(text);
}
END_TEST

/* With one MiB not all keys find a place: those that do have all of their
 * packets, and the others are in one row and in 'lost'. */
START_TEST(count_adds_up_in_little_memory)
{
    struct random r = random_from(test_seed);
    struct check_packets packets = check_packets_random(&r, 100000, 1000000);
    struct measure_stage *stage;
    struct oracle oracle;
    uint64_t n_packets = 0, n_bytes = 0, other = 0;

    budget.limit = MEASURE_MIB;
    stage = check_stage("count by=pair", NULL, &measure_stage_count);
    oracle = count_oracle(&packets, 0, packets.n, &stage->schema.group_by);
    check_stage_packets(stage, &packets, &r);
    ck_assert_uint_le(measure_budget_used(&budget), budget.limit);
    check_stage_interval(stage, START, END, true);
    for (size_t i = 0; i < out.n_rows; i++) {
        n_packets += row_value(out.rows[i], "packets");
        n_bytes += row_value(out.rows[i], "bytes");
        if (out.rows[i]->flags & MEASURE_ROW_OTHER) {
            REQUIRE(i == out.n_rows - 1);
            other = row_value(out.rows[i], "packets");
        } else {
            struct measure_fields fields = row_group(out.rows[i]);
            struct oracle_row *row = oracle_find(&oracle, &fields);

            REQUIRE(row && row_value(out.rows[i], "packets") == row->packets);
        }
    }
    ck_assert_uint_eq(n_packets, packets.n);
    ck_assert_uint_eq(n_bytes, oracle.bytes);
    ck_assert_uint_gt(other, 0);
    ck_assert_uint_gt(out.n_rows, 3000);
    ck_assert_uint_eq(stage->lost, other);
    oracle_close(&oracle);
    check_stage_close(stage);
    check_packets_free(&packets);
}
END_TEST

START_TEST(count_refuses_what_is_wrong)
{
    check_stage_error("count by=sauce", NULL, &measure_stage_count,
                      "valid is " MEASURE_GROUP_BY_VALID);
    budget.limit = 1000;
    check_stage_error("count", NULL, &measure_stage_count,
                      "no memory for a first table");
}
END_TEST

/* Distinct keys. */

static const char *const distincts[][2] = {
    { "destination", "source" }, { "source", "destination" },
    { "destination/29", "source/28" }, { "source/30", "source/24" },
    { "source/24", "source/30" }, { "destination-port", "source" },
    { "source", "protocol" }, { "flow", "port" }, { "tunnel", "vlan" },
    { "vlan", "tunnel" }, { "pair", "destination-port" },
};

/* Fills 'counts' with the distinct keys of 'of' within each one of 'by'. */
static void
distinct_oracle(const struct check_packets *packets,
                const struct measure_group_by *of,
                const struct measure_group_by *by, struct oracle *counts)
{
    struct oracle *within = NULL;
    size_t n = 0;

    for (size_t i = 0; i < packets->n; i++) {
        struct measure_fields of_fields = packets->packets[i].fields;
        struct measure_fields by_fields = of_fields;
        struct oracle_row *row;
        size_t j;

        group(&of_fields, of);
        group(&by_fields, by);
        oracle_add(counts, &by_fields, 0, 0);
        row = oracle_find(counts, &by_fields);
        j = row - counts->rows;
        if (j == n) {
            within = realloc(within, ++n * sizeof *within);
            within[j] = oracle_open();
        }
        if (!oracle_find(&within[j], &of_fields)) {
            oracle_add(&within[j], &of_fields, 1, 0);
            row->packets++;
        }
    }
    for (size_t i = 0; i < n; i++) {
        oracle_close(&within[i]);
    }
    free(within);
}

static const char *
distinct_column(void)
{
    return out.stage.schema.columns[0].name;
}

START_TEST(distinct_keys_are_exact)
{
    struct random r = random_from(test_seed + _i);
    struct check_packets packets = check_packets_random(&r, 5000, 60);
    char *text = measure_format("distinct of=%s by=%s", distincts[_i][0],
                                distincts[_i][1]);
    struct measure_stage *stage = check_stage(text, NULL,
                                              &measure_stage_distinct);
    struct oracle counts = oracle_open();
    struct measure_group_by of;

    ck_assert(measure_group_by_parse(distincts[_i][0], &of));
    distinct_oracle(&packets, &of, &stage->schema.group_by, &counts);
    for (int interval = 0; interval < 2; interval++) {
        check_stage_packets(stage, &packets, &r);
        check_stage_interval(stage, START, END, interval == 1);
        ck_assert_uint_eq(out.n_rows, counts.n);
        for (size_t i = 0; i < out.n_rows; i++) {
            struct measure_fields fields = row_group(out.rows[i]);
            struct oracle_row *row = oracle_find(&counts, &fields);

            REQUIRE(row);
            ck_assert_uint_eq(row_value(out.rows[i], distinct_column()),
                              row->packets);
            REQUIRE(!out.rows[i]->values[1]);
        }
        check_out_forget();
    }
    oracle_close(&counts);
    check_stage_close(stage);
    check_packets_free(&packets);
    free(text);
}
END_TEST

/* What is missing is not more than the error says. */
START_TEST(distinct_is_bounded_in_little_memory)
{
    struct random r = random_from(test_seed);
    struct check_packets packets = check_packets_random(&r, 40000, 2000);
    struct oracle counts = oracle_open();
    struct measure_group_by of;
    struct measure_stage *stage;
    bool is_low = false;

    budget.limit = MEASURE_MIB;
    stage = check_stage("distinct of=destination by=source", NULL,
                        &measure_stage_distinct);
    ck_assert_str_eq(distinct_column(), "destinations");
    ck_assert(measure_group_by_parse("destination", &of));
    distinct_oracle(&packets, &of, &stage->schema.group_by, &counts);
    check_stage_packets(stage, &packets, &r);
    ck_assert_uint_le(measure_budget_used(&budget), budget.limit);
    check_stage_interval(stage, START, END, true);
    ck_assert_uint_gt(stage->lost, 0);
    for (size_t i = 0; i < out.n_rows; i++) {
        struct measure_fields fields = row_group(out.rows[i]);
        struct oracle_row *row = oracle_find(&counts, &fields);
        uint64_t n = row_value(out.rows[i], "destinations");

        REQUIRE(row && n <= row->packets);
        REQUIRE(row->packets - n
                <= row_value(out.rows[i], "destinations-error-max"));
        REQUIRE(row_value(out.rows[i], "destinations-error-max")
                == stage->lost);
        is_low |= n < row->packets;
    }
    ck_assert(is_low);
    oracle_close(&counts);
    check_stage_close(stage);
    check_packets_free(&packets);
}
END_TEST

START_TEST(distinct_refuses_what_is_wrong)
{
    check_stage_error("distinct of=flaw by=source", NULL,
                      &measure_stage_distinct,
                      "valid is " MEASURE_GROUP_BY_VALID);
    check_stage_error("distinct of=flow", NULL, &measure_stage_distinct,
                      "needs by=GROUP, which is " MEASURE_GROUP_BY_VALID);
    check_stage_error("distinct by=flow", NULL, &measure_stage_distinct,
                      "needs of=GROUP, which is " MEASURE_GROUP_BY_VALID);
    budget.limit = 40000;
    check_stage_error("distinct of=flow by=vlan", NULL,
                      &measure_stage_distinct, "no memory for a first table");
}
END_TEST

/* Filters. */

static bool
is_tcp(const struct measure_fields *f)
{
    return f->protocol == 6;
}

static bool
is_tcp_of_net(const struct measure_fields *f)
{
    return (f->protocol == 6 && f->family == MEASURE_IPV4
            && f->source[0] == 10 && f->source[3] < 16 && !f->source[2]);
}

static bool
is_ipv6_net(const struct measure_fields *f)
{
    return f->family == MEASURE_IPV6 && f->destination[15] < 8;
}

static bool
is_web(const struct measure_fields *f)
{
    return f->destination_port == 443 && f->vlan == 1;
}

static bool
is_tunnel_2(const struct measure_fields *f)
{
    return f->tunnelled && f->tunnel == 2;
}

static bool
is_nothing(const struct measure_fields *f UNUSED)
{
    return false;
}

static const struct {
    const char *text;
    bool (*oracle)(const struct measure_fields *);
} filters[] = {
    { "where protocol=tcp", is_tcp },
    { "where protocol=tcp,source=10.0.0.0/28", is_tcp_of_net },
    { "where protocol=tcp source=10.0.0.0/28", is_tcp_of_net },
    { "where destination=2001:db8:0:0:0:1::/96,"
      "destination=::/0,destination=2001:db8:0:1::/125", is_nothing },
    { "where destination=2001:db8:0:1::/125", is_ipv6_net },
    { "where destination-port=443,vlan=1", is_web },
    { "where tunnel=2", is_tunnel_2 },
    { "where vlan=3", is_nothing },
    { "where protocol=tcp,protocol=udp", is_nothing },
};

START_TEST(where_lets_the_right_ones_through)
{
    struct random r = random_from(test_seed + _i);
    struct check_packets packets = check_packets_random(&r, 5000, 60);
    struct measure_stage *stage = check_stage(filters[_i].text, NULL,
                                              &measure_stage_where);
    size_t n = 0;

    check_stage_packets(stage, &packets, &r);
    for (size_t i = 0; i < packets.n; i++) {
        if (filters[_i].oracle(&packets.packets[i].fields)) {
            REQUIRE(n < out.n_packets);
            REQUIRE(out.packets[n] == packets.packets[i].slots);
            n++;
        }
    }
    ck_assert_uint_eq(out.n_packets, n);
    ck_assert_int_eq(!n, filters[_i].oracle == is_nothing);
    ck_assert_ptr_null(stage->warning);
    check_stage_close(stage);
    check_packets_free(&packets);
}
END_TEST

/* A port that is not there yet lets nothing through, and says so. */
START_TEST(where_waits_for_ports)
{
    struct random r = random_from(test_seed);
    struct check_packets packets = check_packets_random(&r, 1000, 60);
    struct measure_port_names *ports = calloc(1, sizeof *ports);
    struct measure_stage *stage = check_stage_new(&measure_stage_where);
    size_t n = 0;

    ck_assert_ptr_null(check_stage_begin(stage, "where port=a\\,b", NULL));
    check_stage_packets(stage, &packets, &r);
    ck_assert_uint_eq(out.n_packets, 0);
    ck_assert_ptr_nonnull(stage->warning);

    ck_assert_uint_eq(measure_port_number(ports, "x"), 1);
    stage->ports = ports;
    stage->class->ports(stage);
    ck_assert_ptr_nonnull(stage->warning);
    ck_assert_uint_eq(measure_port_number(ports, "a,b"), 2);
    stage->class->ports(stage);
    ck_assert_ptr_null(stage->warning);
    check_stage_packets(stage, &packets, &r);
    for (size_t i = 0; i < packets.n; i++) {
        n += packets.packets[i].fields.port == 2;
    }
    ck_assert_uint_gt(n, 0);
    ck_assert_uint_eq(out.n_packets, n);
    check_stage_close(stage);
    measure_port_names_destroy(ports);
    free(ports);
    check_packets_free(&packets);
}
END_TEST

START_TEST(where_refuses_what_is_wrong)
{
    check_stage_error("where", NULL, &measure_stage_where,
                      "no filter; valid is " MEASURE_FILTER_VALID);
    check_stage_error("where colour=red", NULL, &measure_stage_where,
                      "colour=red: unknown condition; valid is "
                      MEASURE_FILTER_VALID);
    check_stage_error("where port=", NULL, &measure_stage_where,
                      "port=: valid is the name of a port that was "
                      "measured");
    check_stage_error("where port=p1,vlan=4096", NULL, &measure_stage_where,
                      "vlan=4096: valid is a number from 0 (no tag) to "
                      "4095");
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-stages-keys");

    tcase_add_loop_test(tests, counts_are_exact, 0, ARRAY_SIZE(groups));
    tcase_add_test(tests, count_adds_up_in_little_memory);
    tcase_add_test(tests, count_refuses_what_is_wrong);
    tcase_add_loop_test(tests, distinct_keys_are_exact, 0,
                        ARRAY_SIZE(distincts));
    tcase_add_test(tests, distinct_is_bounded_in_little_memory);
    tcase_add_test(tests, distinct_refuses_what_is_wrong);
    tcase_add_loop_test(tests, where_lets_the_right_ones_through, 0,
                        ARRAY_SIZE(filters));
    tcase_add_test(tests, where_waits_for_ports);
    tcase_add_test(tests, where_refuses_what_is_wrong);
    return tests_run(tests);
}
