/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the language of chains. */

#include "check-common.h"

#include "base/measure-base.h"
#include "stream/measure-language.h"

/* Stages that do nothing. */

static char *
set(struct measure_stage *stage UNUSED, const char *name UNUSED,
    const char *value UNUSED)
{
    return NULL;
}

static const struct measure_stage_argument where_arguments[] = {
    { "source", "PREFIX", "" },
    { "", "FILTER", "" },
    { NULL, NULL, NULL },
};
static const struct measure_stage_argument count_arguments[] = {
    { "by", "GROUP", "" },
    { NULL, NULL, NULL },
};
static const struct measure_stage_argument top_arguments[] = {
    { "n", "1 to 1000", "" },
    { NULL, NULL, NULL },
};
static const struct measure_stage_argument write_arguments[] = {
    { "file", "PATH", "" },
    { "", "FORMAT", "" },
    { NULL, NULL, NULL },
};

#define PACKETS MEASURE_TAKES_PACKETS
#define ROWS MEASURE_TAKES_ROWS

static const struct measure_stage_class where_class = {
    .name = "where", .arguments = where_arguments, .set = set,
    .takes = PACKETS, .gives = MEASURE_GIVES_PACKETS,
    .partition = MEASURE_PARTITION_ANY,
};
static const struct measure_stage_class flowlets_class = {
    .name = "flowlets",
    .takes = PACKETS, .gives = MEASURE_GIVES_PACKETS,
    .partition = MEASURE_PARTITION_KEY,
};
static const struct measure_stage_class count_class = {
    .name = "count", .arguments = count_arguments, .set = set,
    .takes = PACKETS, .gives = MEASURE_GIVES_ROWS,
    .partition = MEASURE_PARTITION_KEY,
};
static const struct measure_stage_class bursts_class = {
    .name = "bursts",
    .takes = PACKETS, .gives = MEASURE_GIVES_ROWS,
};
static const struct measure_stage_class top_class = {
    .name = "top", .arguments = top_arguments, .set = set,
    .takes = ROWS, .gives = MEASURE_GIVES_ROWS,
};
static const struct measure_stage_class write_class = {
    .name = "write", .arguments = write_arguments, .set = set,
    .takes = PACKETS | ROWS, .gives = MEASURE_GIVES_NOTHING,
};
static const struct measure_stage_class alerts_class = {
    .name = "alerts",
    .takes = ROWS, .gives = MEASURE_GIVES_NOTHING,
};

static const struct measure_stage_class hidden_class = {
    .name = "counts", .hidden = true,
    .takes = PACKETS, .gives = MEASURE_GIVES_NOTHING,
};

static const struct measure_stage_class *const own[] = {
    &where_class, &flowlets_class, &count_class, &bursts_class, &top_class,
    NULL,
};
static const struct measure_stage_class *const more[] = {
    &write_class, &alerts_class, &hidden_class, NULL,
};
static const struct measure_language_classes classes = { { own, more } };

/* What is right. */

static struct measure_language_chain
parse(const char *text)
{
    struct measure_language_chain chain;
    char *error = measure_language_parse(text, &classes, &chain);

    ck_assert_msg(!error, "%s: %s", text, error);
    return chain;
}

static const struct {
    const char *text;
    const char *words;       
} words[] = {
    { "write", "write;" },
    { " \t\nwrite ", "write;" },
    { "write text", "write <text>;" },
    { "write 'te x|t' file=a", "write <te x|t> file=<a>;" },
    { "write file='a b'\"|c'\"", "write file=<a b|c'>;" },
    { "write ''", "write <>;" },
    { "write file=", "write file=<>;" },
    { "write file=a=b", "write file=<a=b>;" },
    { "write =", "write <=>;" },
    { "where source=10.0.0.0/8|write", "where source=<10.0.0.0/8>;write;" },
    { "where protocol=tcp 'a b' | write json",
      "where <protocol=tcp> <a b>;write <json>;" },
    { "where 'source=1;2' source!=3 |write",
      "where source=<1;2> <source!=3>;write;" },
    { "where every | write", "where <every>;write;" },
    { "'count' by=source | top n=1 every=1s | alerts",
      "count by=<source>;top n=<1>;alerts;" },
    { "count every=1000ms every=1s | write every=1s", "count;write;" },
    { "count every=1000ms every=1000000us | write", "count;write;" },
    { "count replicas=4 by=source | write", "count by=<source>;write;" },
    { "where x | counts", "where <x>;counts;" },
};

START_TEST(texts)
{
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        struct measure_language_chain chain;
        char *text = NULL;

        chain = parse(words[i].text);
        for (size_t j = 0; j < chain.n; j++) {
            const struct measure_language_stage *stage = &chain.stages[j];

            measure_append(&text, "%s", stage->class->name);
            for (size_t k = 0; k < stage->n_words; k++) {
                measure_append(&text, " %s%s<%s>",
                               stage->words[k].name ? stage->words[k].name
                               : "", stage->words[k].name ? "=" : "",
                               stage->words[k].value);
            }
            measure_append(&text, ";");
        }
        ck_assert_str_eq(text, words[i].words);
        free(text);
        measure_language_chain_destroy(&chain);
    }
}
END_TEST

START_TEST(intervals)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } times[] = {
        { "1ms", 1 }, { "100ms", 100 }, { "1s", 1000 }, { "5m", 300000 },
        { "1h", 3600000 }, { "8760h", UINT64_C(31536000000) },
    };

    for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
        char *text = measure_format("count | top every=%s | write",
                                    times[i].text);
        struct measure_language_chain chain = parse(text);

        ck_assert_uint_eq(chain.every_ns, times[i].ms * 1000000);
        ck_assert_uint_eq(chain.replicas, 1);
        ck_assert_uint_eq(chain.n_replicated, 3);
        measure_language_chain_destroy(&chain);
        free(text);
    }
}
END_TEST

START_TEST(replicas)
{
    struct measure_language_chain chain
        = parse("where source=1 | count replicas=64 | top | write");

    ck_assert_uint_eq(chain.replicas, 64);
    ck_assert_uint_eq(chain.n_replicated, 2);
    ck_assert_uint_eq(chain.every_ns, 0);
    measure_language_chain_destroy(&chain);

    chain = parse("bursts replicas=1 | write");
    ck_assert_uint_eq(chain.replicas, 1);
    ck_assert_uint_eq(chain.n_replicated, 2);
    measure_language_chain_destroy(&chain);
}
END_TEST

/* What is wrong. */

#define ALL "where, flowlets, count, bursts, top, write or alerts"

static const struct {
    const char *text;
    const char *error;
} errors[] = {
    { "", "there is no stage in '': valid is " ALL },
    { "  ", "there is no stage in '': valid is " ALL },
    { "| write", "there is no stage before '|': valid is " ALL },
    { "count |", "there is no stage behind 'count |': valid is " ALL },
    { "count || write",
      "there is no stage behind 'count |': valid is " ALL },
    { "cuont | write",
      "unknown stage 'cuont': did you mean 'count'?  Valid is " ALL },
    { "Write", "unknown stage 'Write': did you mean 'write'?  Valid is " ALL },
    { "flow | write",
      "unknown stage 'flow': did you mean 'flowlets'?  Valid is " ALL },
    { "countss | write",
      "unknown stage 'countss': did you mean 'count'?  Valid is " ALL },
    { "tip | write",
      "unknown stage 'tip': did you mean 'top'?  Valid is " ALL },
    { "xyz | write", "unknown stage 'xyz': valid is " ALL },
    { "c | write", "unknown stage 'c': valid is " ALL },
    { "'' | write", "unknown stage '': valid is " ALL },
    { "write 'a b", "the quote ' at \"'a b\" is not closed" },
    { "write a\"", "the quote \" at \"\"\" is not closed" },
    { "count bi=source | write",
      "'count' has no argument 'bi': valid is by=GROUP, every=TIME or "
      "replicas=N" },
    { "top m=1 | write",
      "'top' has no argument 'm': valid is n=1 to 1000 or every=TIME" },
    { "flowlets x | write",
      "'flowlets' has no argument 'x': valid is none" },
    { "bursts x=1 | write",
      "'bursts' has no argument 'x': valid is every=TIME" },
    { "count by=source by=pair | write", "count: by=pair: given twice" },
    { "count every=1 | write", "count: every=1: valid is a time from 1ms to "
      "8760h, as 100ms, 1s, 5m or 1h" },
    { "count every= | write", "count: every=: valid is a time from 1ms to "
      "8760h, as 100ms, 1s, 5m or 1h" },
    { "count every=0s | write", "count: every=0s: valid is a time from 1ms "
      "to 8760h, as 100ms, 1s, 5m or 1h" },
    { "count every=999999ns | write", "count: every=999999ns: valid is a time "
      "from 1ms to 8760h, as 100ms, 1s, 5m or 1h" },
    { "count every=1500us | write", "count: every=1500us: valid is a time "
      "from 1ms to 8760h, as 100ms, 1s, 5m or 1h" },
    { "count every=8761h | write", "count: every=8761h: valid is a time from "
      "1ms to 8760h, as 100ms, 1s, 5m or 1h" },
    { "count every=99999999999999999999s | write",
      "count: every=99999999999999999999s: valid is a time from 1ms to "
      "8760h, as 100ms, 1s, 5m or 1h" },
    { "count every=1s | write every=2s",
      "write: every=2s: 'count' has every=1s, and a chain has one length of "
      "intervals" },
    { "where a every=1s | count | write",
      "where: every=1s: it has no rows; valid at 'count' and behind it" },
    { "where a | write every=1s",
      "write: every=1s: no stage of this chain makes rows, so there is "
      "nothing to give at the end of an interval" },
    { "count replicas=0 | write",
      "count: replicas=0: valid is a whole number from 1 to 64" },
    { "count replicas=65 | write",
      "count: replicas=65: valid is a whole number from 1 to 64" },
    { "count replicas=-1 | write",
      "count: replicas=-1: valid is a whole number from 1 to 64" },
    { "count replicas=2 replicas=2 | write",
      "count: replicas=2: given twice" },
    { "where a replicas=2 | count | write",
      "where: replicas=2: valid only at the first stage that makes rows of "
      "packets, here 'count'" },
    { "count | write replicas=2",
      "write: replicas=2: valid only at the first stage that makes rows of "
      "packets, here 'count'" },
    { "where a | write replicas=2",
      "write: replicas=2: valid only at a stage that makes rows of packets, "
      "and this chain has none" },
    { "bursts replicas=2 | write",
      "bursts: replicas=2: valid is 1, for 'bursts' must see all packets" },
    { "flowlets | count replicas=2 | write",
      "count: replicas=2: valid is 1, for 'flowlets' must see all packets" },
    { "top | write",
      "'top' takes rows, but a chain begins with packets: put count or "
      "bursts before it" },
    { "where a | top | write",
      "'top' takes rows, but 'where' gives packets: put count or bursts "
      "between" },
    { "count | where a | write",
      "'where' takes packets, but 'count' gives rows: put 'where' before the "
      "first stage that gives rows" },
    { "write | count | write",
      "'write' gives nothing to 'count': it can only be the last stage" },
    { "count", "nothing is done with what 'count' gives: end with write or "
      "alerts" },
    { "where a", "nothing is done with what 'where' gives: end with write" },
};

START_TEST(wrong_texts)
{
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        struct measure_language_chain chain;
        char *error = measure_language_parse(errors[i].text, &classes,
                                             &chain);

        ck_assert_msg(error != NULL, "%s: no error", errors[i].text);
        ck_assert_str_eq(error, errors[i].error);
        ck_assert(!chain.n && !chain.stages);
        free(error);
    }
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-language");

    tcase_add_test(tests, texts);
    tcase_add_test(tests, intervals);
    tcase_add_test(tests, replicas);
    tcase_add_test(tests, wrong_texts);
    return tests_run(tests);
}
