/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the table of states of flows. */

#include "check-flow-stages.h"

#define N_KEYS 400

/* What the test knows of a flow. */
struct known {
    bool in_table;
    uint64_t time_ns;
    uint64_t value;
};

static struct known known[N_KEYS];
static enum measure_flow_end why_expected;
static uint64_t oldest_ns;
static unsigned int n_ended;

struct value {
    uint64_t i;
    uint64_t value;
    uint8_t more[40];
};

static void
ended(struct measure_flow_states *states UNUSED,
      struct measure_flow_state *flow, enum measure_flow_end why)
{
    const struct value *v = MEASURE_FLOW_STATE(const struct value, flow);

    REQUIRE(why == why_expected);
    REQUIRE(known[v->i].in_table && known[v->i].value == v->value
            && known[v->i].time_ns == flow->time_ns);
    if (why == MEASURE_FLOW_EVICTED && oldest_ns) {
        REQUIRE(flow->time_ns == oldest_ns);
    }
    known[v->i].in_table = false;
    n_ended++;
}

static struct measure_stage *
new_stage(void)
{
    static const struct measure_stage_class class = {
        .name = "test", .size = sizeof(struct measure_stage),
        .gives = MEASURE_GIVES_NOTHING,
    };

    return check_stage_new(&class);
}

/* The record of the 'i'th flow, in either direction, or NULL. */
static const struct measure_slot *
record(struct measure_slot *slots, uint32_t i, bool back, uint64_t time_ns)
{
    struct measure_fields fields = client(i % N_VARIANTS, i / N_VARIANTS);
    uint64_t key[MEASURE_KEY_WORDS];
    enum measure_layout layout;

    if (back) {
        fields = server(&fields);
    }
    layout = measure_key_from_fields(key, &fields);
    measure_slot_write(slots, layout, key, time_ns, 100, 0);
    return slots;
}

/* Random flows come, go, and are asked for. */
START_TEST(the_table_is_a_map)
{
    static const uint32_t sizes[] = { 1, 2, 16, 100, N_KEYS };
    uint32_t n_max = sizes[_i];
    struct measure_stage *stage = new_stage();
    struct measure_flow_states states;
    struct measure_group_by by;
    struct random r = random_from(test_seed);
    uint64_t time_ns = T0, evicted = 0;

    memset(known, 0, sizeof known);
    measure_group_by_of_kind(&by, MEASURE_KIND_FLOW);
    ck_assert_ptr_null(measure_flow_states_init(&states, stage,
                                                sizeof(struct value), n_max));
    states.ended = ended;
    /* So long that the clock hand moves, and ends none. */
    states.idle_ns = T0;
    why_expected = MEASURE_FLOW_EVICTED;
    for (int n = 0; n < 100000; n++) {
        uint32_t i = random_below(&r, N_KEYS);
        bool back = random_below(&r, 2);
        struct measure_batch batch = { .n = 1 };
        struct measure_slot slots[2];
        struct measure_flow_packet packet;
        struct measure_flow_state *flow;

        time_ns += 1 + random_below(&r, 1000);
        batch.records[0] = record(slots, i, back, time_ns);
        measure_flow_states_begin(&states, &batch);
        REQUIRE(states.hand < n_max);
        measure_flow_packet_init(&packet, batch.records[0], &by, true);
        measure_flow_states_prefetch(&states, &packet, 1);
        flow = measure_flow_states_find(&states, &packet);
        REQUIRE((flow != NULL) == known[i].in_table);
        if (flow) {
            struct value *v = MEASURE_FLOW_STATE(struct value, flow);

            REQUIRE(v->i == i && v->value == known[i].value);
            if (!random_below(&r, 4)) {
                measure_flow_states_remove(&states, flow);
                known[i].in_table = false;
            } else {
                measure_flow_state_touch(flow, &packet);
                known[i].time_ns = time_ns;
            }
        } else {
            struct value *v;
            uint32_t n_in_table = 0;

            oldest_ns = UINT64_MAX;
            for (uint32_t j = 0; j < N_KEYS; j++) {
                if (known[j].in_table) {
                    n_in_table++;
                    oldest_ns = measure_min(oldest_ns, known[j].time_ns);
                }
            }
            REQUIRE(n_in_table == states.n_used);
            evicted += n_in_table == n_max;
            /* Only of small tables all are candidates. */
            oldest_ns = n_max <= MEASURE_FLOW_CANDIDATES ? oldest_ns : 0;
            flow = measure_flow_states_add(&states, &packet);
            REQUIRE(states.n_evicted == evicted);
            v = MEASURE_FLOW_STATE(struct value, flow);
            REQUIRE(!v->value && !v->i && !v->more[39]);
            v->i = i;
            v->value = known[i].value = random_next(&r);
            known[i].in_table = true;
            known[i].time_ns = time_ns;
        }
    }
    ck_assert_uint_eq(evicted > 0, n_max < N_KEYS);

    /* All are there, once. */
    for (uint32_t at = 0;;) {
        struct measure_flow_state *flow
            = measure_flow_states_next(&states, &at);
        uint64_t i;

        if (!flow) {
            break;
        }
        i = MEASURE_FLOW_STATE(struct value, flow)->i;
        ck_assert(known[i].in_table);
        known[i].in_table = false;
    }
    for (uint32_t i = 0; i < N_KEYS; i++) {
        ck_assert(!known[i].in_table);
    }
    measure_flow_states_destroy(&states);
    check_stage_destroy(stage);
}
END_TEST

/* A batch with one packet of flow 'i' at 'time_ns', which is added. */
static void
one_packet(struct measure_flow_states *states,
           const struct measure_group_by *by, uint32_t i, uint64_t time_ns)
{
    struct measure_batch batch = { .n = 1 };
    struct measure_flow_packet packet;
    struct measure_flow_state *flow;
    struct measure_slot slots[2];

    batch.records[0] = record(slots, i, false, time_ns);
    measure_flow_states_begin(states, &batch);
    measure_flow_packet_init(&packet, batch.records[0], by, true);
    measure_flow_states_prefetch(states, &packet, 1);
    flow = measure_flow_states_find(states, &packet);
    if (!flow) {
        flow = measure_flow_states_add(states, &packet);
        MEASURE_FLOW_STATE(struct value, flow)->i = i;
        known[i].in_table = true;
        known[i].value = 0;
    }
    measure_flow_state_touch(flow, &packet);
    known[i].time_ns = flow->time_ns;
}

/* The clock hand gives all places back, of flows that send no more. */
START_TEST(idle_flows_go)
{
    struct measure_stage *stage = new_stage();
    struct measure_flow_states states;
    struct measure_group_by by;

    memset(known, 0, sizeof known);
    measure_group_by_of_kind(&by, MEASURE_KIND_FLOW);
    measure_flow_states_init(&states, stage, sizeof(struct value), N_KEYS);
    states.ended = ended;
    states.idle_ns = SECOND;
    why_expected = MEASURE_FLOW_IDLE;
    n_ended = 0;
    for (uint32_t i = 0; i < N_KEYS; i++) {
        one_packet(&states, &by, i, T0 + i);
    }
    /* One flow goes on. */
    for (uint32_t i = 0; i < 2000; i++) {
        one_packet(&states, &by, 7, T0 + i * MS);
        ck_assert_uint_eq(n_ended == 0, i <= 1000);
    }
    ck_assert_uint_eq(n_ended, N_KEYS - 1);
    ck_assert_uint_eq(states.n_used, 1);

    /* Not if it has just paused. */
    one_packet(&states, &by, 7, T0 + 2998 * MS);
    ck_assert_uint_eq(n_ended, N_KEYS - 1);
    one_packet(&states, &by, 7, T0 + 3998 * MS);
    ck_assert_uint_eq(n_ended, N_KEYS);
    measure_flow_states_destroy(&states);
    check_stage_destroy(stage);
}
END_TEST

/* A packet from the future ends no other flow, and does not stay for ever. */
START_TEST(wrong_times_harm_nobody)
{
    struct measure_stage *stage = new_stage();
    struct measure_flow_states states;
    struct measure_group_by by;

    memset(known, 0, sizeof known);
    measure_group_by_of_kind(&by, MEASURE_KIND_FLOW);
    measure_flow_states_init(&states, stage, sizeof(struct value), N_KEYS);
    states.ended = ended;
    states.idle_ns = SECOND;
    why_expected = MEASURE_FLOW_IDLE;
    n_ended = 0;
    for (uint32_t i = 0; i < N_KEYS - 1; i++) {
        one_packet(&states, &by, i, T0 + i);
    }
    one_packet(&states, &by, N_KEYS - 1, T0 + 3600 * SECOND);
    ck_assert_uint_eq(n_ended, 0);
    for (uint32_t i = 0; i < 10 * N_KEYS; i++) {
        one_packet(&states, &by, i % (N_KEYS - 1), T0 + MS + i);
    }
    ck_assert_uint_eq(n_ended, 1);
    ck_assert(!known[N_KEYS - 1].in_table);

    /* Nor does one from the past. */
    one_packet(&states, &by, 5, 1);
    ck_assert_uint_eq(n_ended, 2);
    for (uint32_t i = 0; i < N_KEYS - 1; i++) {
        one_packet(&states, &by, i, T0 + 2 * MS);
    }
    ck_assert_uint_le(n_ended, 3);

    /* A little back is the same flow. */
    n_ended = 0;
    one_packet(&states, &by, 1, T0 + 3 * MS);
    one_packet(&states, &by, 1, T0);
    ck_assert_uint_eq(n_ended, 0);
    ck_assert_uint_eq(known[1].time_ns, T0 + 3 * MS);
    measure_flow_states_destroy(&states);
    check_stage_destroy(stage);
}
END_TEST

/* A jump of time by more rounds of the hand than an integer can count. */
START_TEST(far_jumps_move_the_hand)
{
    struct measure_stage *stage = new_stage();
    struct measure_flow_states states;
    struct measure_group_by by;

    memset(known, 0, sizeof known);
    measure_group_by_of_kind(&by, MEASURE_KIND_FLOW);
    measure_flow_states_init(&states, stage, sizeof(struct value), N_KEYS);
    states.ended = ended;
    states.idle_ns = 1;
    why_expected = MEASURE_FLOW_IDLE;
    n_ended = 0;
    for (uint32_t i = 0; i < N_KEYS; i++) {
        one_packet(&states, &by, i, 5);
    }
    one_packet(&states, &by, 7, T0);
    ck_assert_uint_eq(n_ended, 1);
    /* That flow again, and one of others at least. */
    one_packet(&states, &by, 7, T0 + T0 / 4);
    ck_assert_uint_ge(n_ended, 3);
    measure_flow_states_destroy(&states);
    check_stage_destroy(stage);
}
END_TEST

START_TEST(memory_is_limited)
{
    struct measure_stage *stage = new_stage();
    struct measure_flow_states states;
    struct measure_flow_packet packet;
    struct measure_group_by by;
    struct measure_slot slots[2];
    char *error;

    budget.limit = MEASURE_MIB;
    ck_assert_ptr_null(measure_flow_states_init(&states, stage, 40, 0));
    ck_assert_uint_gt(states.n_max, 500);
    ck_assert_uint_le(measure_budget_used(&budget), MEASURE_MIB / 8);
    measure_flow_states_destroy(&states);

    error = measure_flow_states_init(&states, stage, 40, 1000000);
    ck_assert_str_eq(error, "flows=1000000 needs 141384 KiB of memory, which "
                     "are not left; ask for less flows, or for more memory");
    free(error);
    measure_flow_states_destroy(&states);

    /* Without any there is a table without flows. */
    budget.limit = 1;
    ck_assert_ptr_null(measure_flow_states_init(&states, stage, 40, 0));
    ck_assert_uint_eq(states.n_max, 0);
    measure_group_by_of_kind(&by, MEASURE_KIND_FLOW);
    measure_flow_packet_init(&packet, record(slots, 1, false, T0), &by, true);
    measure_flow_states_prefetch(&states, &packet, 1);
    ck_assert_ptr_null(measure_flow_states_find(&states, &packet));
    ck_assert_ptr_null(measure_flow_states_add(&states, &packet));
    measure_flow_states_destroy(&states);
    check_stage_destroy(stage);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-flow-state");

    tcase_add_loop_test(tests, the_table_is_a_map, 0, 5);
    tcase_add_test(tests, idle_flows_go);
    tcase_add_test(tests, wrong_times_harm_nobody);
    tcase_add_test(tests, far_jumps_move_the_hand);
    tcase_add_test(tests, memory_is_limited);
    return tests_run(tests);
}
