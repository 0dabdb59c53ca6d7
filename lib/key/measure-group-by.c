/* SPDX-License-Identifier: Apache-2.0 */
/* The fields that rows are grouped by. */

#include <config.h>

#include "key/measure-group-by.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/measure-number.h"

#define WHOLE 128               /* Bits of an address, or more. */

static const struct {
    const char *name;
    unsigned int fields;
} names[] = {
    /* The first that fits is the name of a group. */
    { "flow", MEASURE_FIELDS_FLOW },
    { "pair", MEASURE_FIELDS_PAIR },
    { "source", MEASURE_FIELD_SOURCE },
    { "destination", MEASURE_FIELD_DESTINATION },
    { "protocol", MEASURE_FIELD_PROTOCOL },
    { "source-port", MEASURE_FIELD_SOURCE_PORT },
    { "destination-port", MEASURE_FIELD_DESTINATION_PORT },
    { "vlan", MEASURE_FIELD_VLAN },
    { "tunnel", MEASURE_FIELD_TUNNEL },
    { "port", MEASURE_FIELD_PORT },
};

#define N_NAMES (sizeof names / sizeof *names)

/* Sets the first 'bits' bits, at most all, of the 'n_bytes' of 'mask', and
 * clears the others. */
void
measure_prefix_mask(unsigned int bits, size_t n_bytes, uint8_t *mask)
{
    for (size_t i = 0; i < n_bytes; i++) {
        unsigned int here = bits > i * 8 ? bits - i * 8 : 0;

        mask[i] = here >= 8 ? 0xff : 0xff << (8 - here);
    }
}

/* Makes the group of 'fields', an OR of MEASURE_FIELD_*.  Of an address that
 * is in it the first 'source_prefix' or 'destination_prefix' bits count, 128
 * for all. */
void
measure_group_by_init(struct measure_group_by *group_by, unsigned int fields,
                      unsigned int source_prefix,
                      unsigned int destination_prefix)
{
    uint8_t *narrow = (uint8_t *) group_by->narrow;
    uint8_t *wide4 = (uint8_t *) group_by->wide4;
    uint8_t *wide6 = (uint8_t *) group_by->wide6;
    uint64_t ports = 0;

    memset(group_by, 0, sizeof *group_by);
    group_by->fields = fields;
    group_by->source_prefix = WHOLE;
    group_by->destination_prefix = WHOLE;
    if (fields & MEASURE_FIELD_SOURCE) {
        group_by->source_prefix = source_prefix;
        measure_prefix_mask(source_prefix, 4, narrow);
        measure_prefix_mask(source_prefix, 4, wide4 + 12);
        measure_prefix_mask(source_prefix, 16, wide6);
    }
    if (fields & MEASURE_FIELD_DESTINATION) {
        group_by->destination_prefix = destination_prefix;
        measure_prefix_mask(destination_prefix, 4, narrow + 4);
        measure_prefix_mask(destination_prefix, 4, wide4 + 28);
        measure_prefix_mask(destination_prefix, 16, wide6 + 16);
    }
    if (fields & MEASURE_FIELD_SOURCE_PORT) {
        ports |= 0xffff;
    }
    if (fields & MEASURE_FIELD_DESTINATION_PORT) {
        ports |= UINT64_C(0xffff) << 16;
    }
    if (fields & MEASURE_FIELD_PROTOCOL) {
        ports |= UINT64_C(0xff) << 32;
    }
    if (fields & MEASURE_FIELD_VLAN) {
        ports |= UINT64_C(0xfff) << MEASURE_VLAN_SHIFT;
    }
    if (fields & MEASURE_FIELD_PORT) {
        ports |= UINT64_C(0xfff) << MEASURE_PORT_SHIFT;
    }
    group_by->narrow[1] = group_by->wide4[4] = group_by->wide6[4] = ports;

    if (fields & MEASURE_FIELD_TUNNEL) {
        group_by->wide4[5] = MEASURE_KEY_TUNNELLED | UINT32_MAX;
    }
    group_by->wide6[5] = group_by->wide4[5];
    if (fields & MEASURE_FIELDS_PAIR) {
        group_by->wide4[5] |= MEASURE_KEY_IPV4;
    }
}

void
measure_group_by_of_kind(struct measure_group_by *group_by,
                         enum measure_key_kind key_kind)
{
    static const unsigned int fields[MEASURE_N_KINDS] = {
        [MEASURE_KIND_FLOW] = MEASURE_FIELDS_FLOW,
        [MEASURE_KIND_PAIR] = MEASURE_FIELDS_PAIR,
        [MEASURE_KIND_SOURCE] = MEASURE_FIELD_SOURCE,
        [MEASURE_KIND_DESTINATION] = MEASURE_FIELD_DESTINATION,
    };

    measure_group_by_init(group_by, fields[key_kind], WHOLE, WHOLE);
}

/* Parses a name such as "source/24", of 'n' characters. */
static bool
parse_name(const char *s, size_t n, unsigned int *fields, unsigned int *bits)
{
    const char *slash = memchr(s, '/', n);
    size_t length = slash ? slash - s : n;

    *bits = WHOLE;
    if (slash) {
        char digits[8];
        uint64_t value;
        size_t n_digits = n - length - 1;

        if (n_digits >= sizeof digits) {
            return false;
        }
        memcpy(digits, slash + 1, n_digits);
        digits[n_digits] = '\0';
        if (!measure_integer_parse(digits, 1, WHOLE, &value)) {
            return false;
        }
        *bits = value;
    }
    for (size_t i = 0; i < N_NAMES; i++) {
        if (strlen(names[i].name) == length
            && !memcmp(names[i].name, s, length)) {
            *fields = names[i].fields;
            return (!slash || *fields == MEASURE_FIELD_SOURCE
                    || *fields == MEASURE_FIELD_DESTINATION);
        }
    }
    return false;
}

/* Makes the group that 's' names (see the header).  Returns false, and leaves
 * 'group_by' alone, if it names none: MEASURE_GROUP_BY_VALID says what is
 * valid. */
bool
measure_group_by_parse(const char *s, struct measure_group_by *group_by)
{
    unsigned int source_prefix = WHOLE, destination_prefix = WHOLE;
    unsigned int fields = 0;

    for (;;) {
        size_t n = strcspn(s, "+");
        unsigned int named, bits;

        if (!parse_name(s, n, &named, &bits) || fields & named) {
            return false;
        }
        fields |= named;
        if (named == MEASURE_FIELD_SOURCE) {
            source_prefix = bits;
        } else if (named == MEASURE_FIELD_DESTINATION) {
            destination_prefix = bits;
        }
        if (!s[n]) {
            break;
        }
        s += n + 1;
    }
    measure_group_by_init(group_by, fields, source_prefix, destination_prefix);
    return true;
}

static size_t
append(char *name, size_t n, const char *word, unsigned int bits)
{
    n += snprintf(name + n, MEASURE_GROUP_BY_NAME_SIZE - n, "%s%s",
                  n ? "+" : "", word);
    if (bits < WHOLE) {
        n += snprintf(name + n, MEASURE_GROUP_BY_NAME_SIZE - n, "/%u", bits);
    }
    return n;
}

/* Fills 'name' with what measure_group_by_parse() makes 'group_by' from. */
void
measure_group_by_name(const struct measure_group_by *group_by,
                      char name[MEASURE_GROUP_BY_NAME_SIZE])
{
    unsigned int left = group_by->fields;
    size_t n = 0;

    name[0] = '\0';
    for (size_t i = 0; i < N_NAMES; i++) {
        unsigned int fields = names[i].fields;
        unsigned int bits
            = (!(fields & MEASURE_FIELDS_PAIR) ? WHOLE
               : fields == MEASURE_FIELD_SOURCE ? group_by->source_prefix
               : fields == MEASURE_FIELD_DESTINATION
               ? group_by->destination_prefix
               : group_by->source_prefix < group_by->destination_prefix
               ? group_by->source_prefix : group_by->destination_prefix);
        bool several = (fields & (fields - 1)) != 0;

        if ((left & fields) == fields && (!several || bits == WHOLE)) {
            n = append(name, n, names[i].name, bits);
            left &= ~fields;
        }
    }
}

/* Returns true if 'group_by' is what keys of kind 'key_kind' are. */
bool
measure_group_by_is_kind(const struct measure_group_by *group_by,
                         enum measure_key_kind key_kind)
{
    struct measure_group_by other;

    measure_group_by_of_kind(&other, key_kind);
    return (group_by->fields == other.fields
            && group_by->source_prefix == WHOLE
            && group_by->destination_prefix == WHOLE);
}

/* Returns true if keys of kind 'from' have all fields of 'group_by'. */
bool
measure_group_by_derives(enum measure_key_kind from,
                         const struct measure_group_by *group_by)
{
    struct measure_group_by key;

    if (from == MEASURE_KIND_FLOW) {
        return true;
    }
    measure_group_by_of_kind(&key, from);
    return !(group_by->fields & ~key.fields);
}
