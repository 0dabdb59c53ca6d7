/* SPDX-License-Identifier: Apache-2.0 */
/* The rows that a question is about: where=. */

#include <config.h>

#include "key/measure-filter.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"
#include "base/measure-number.h"
#include "key/measure-group-by.h"

#define MAX_PREFIX_TEXT (INET6_ADDRSTRLEN + 4)
#define MAX_NAMES 20            /* Ports that an error message lists. */

static const struct {
    const char *name;
    uint8_t number;
} protocols[] = {
    { "icmp", 1 },
    { "tcp", 6 },
    { "udp", 17 },
    { "icmp6", 58 },
    { "sctp", 132 },
};

/* Makes a filter that all packets match. */
void
measure_filter_init(struct measure_filter *filter)
{
    memset(filter, 0, sizeof *filter);
    filter->mask[MEASURE_IPV4][5] = MEASURE_KEY_IPV4;
    filter->value[MEASURE_IPV4][5] = MEASURE_KEY_IPV4;
}

/* Demands of the 'size' bytes at 'offset' of 'value' that they be 'bytes'
 * under 'new_mask', besides what was demanded before.  Returns false if that
 * cannot be. */
static bool
demand(void *mask_, void *value_, size_t offset, size_t size,
       const void *new_mask_, const void *bytes_)
{
    uint8_t *mask = (uint8_t *) mask_ + offset;
    uint8_t *value = (uint8_t *) value_ + offset;
    const uint8_t *new_mask = new_mask_;
    const uint8_t *bytes = bytes_;
    bool possible = true;

    for (size_t i = 0; i < size; i++) {
        if ((value[i] ^ bytes[i]) & mask[i] & new_mask[i]) {
            possible = false;
        }
        mask[i] |= new_mask[i];
        value[i] |= bytes[i] & new_mask[i];
    }
    return possible;
}

/* Demands 'value' of the ports word under 'mask'. */
static void
demand_ports(struct measure_filter *filter, uint64_t mask, uint64_t value)
{
    bool possible = demand(filter->narrow_mask, filter->narrow_value, 8, 8,
                           &mask, &value);

    for (int family = 0; family < MEASURE_N_FAMILIES; family++) {
        demand(filter->mask[family], filter->value[family], 32, 8, &mask,
               &value);
        if (!possible) {
            filter->never[family] = true;
        }
    }
}

static void
demand_prefix(struct measure_filter *filter, bool destination,
              const struct measure_prefix *prefix)
{
    if (prefix->family == MEASURE_IPV4) {
        if (!demand(filter->narrow_mask, filter->narrow_value,
                    destination ? 4 : 0, 4, prefix->mask, prefix->address)) {
            filter->never[MEASURE_IPV4] = true;
        }
        demand(filter->mask[MEASURE_IPV4], filter->value[MEASURE_IPV4],
               destination ? 28 : 12, 4, prefix->mask, prefix->address);
        filter->never[MEASURE_IPV6] = true;
    } else {
        if (!demand(filter->mask[MEASURE_IPV6], filter->value[MEASURE_IPV6],
                    destination ? 16 : 0, 16, prefix->mask,
                    prefix->address)) {
            filter->never[MEASURE_IPV6] = true;
        }
        filter->never[MEASURE_IPV4] = true;
    }
}

static void
demand_tunnel(struct measure_filter *filter, uint32_t tunnel)
{
    uint64_t mask = MEASURE_KEY_TUNNELLED | UINT32_MAX;
    uint64_t value = MEASURE_KEY_TUNNELLED | tunnel;

    filter->need_tunnel = true;
    for (int family = 0; family < MEASURE_N_FAMILIES; family++) {
        if (!demand(filter->mask[family], filter->value[family], 40, 8, &mask,
                    &value)) {
            filter->never[family] = true;
        }
    }
}

/* Demands that packets came in by the port 'name', or that nothing matches if
 * it is not in 'ports' and 'missing' is not NULL: then '*missing' is its name.
 * Returns false if it is not in 'ports'. */
static bool
demand_port(struct measure_filter *filter, const char *name,
            const struct measure_port_names *ports, char **missing)
{
    uint16_t number = ports ? measure_port_find(ports, name) : 0;

    if (!number && (!missing || !*name)) {
        return false;
    }
    if (!number) {
        free(*missing);
        *missing = measure_check_memory(strdup(name));
        for (int family = 0; family < MEASURE_N_FAMILIES; family++) {
            filter->never[family] = true;
        }
        return true;
    }
    demand_ports(filter, (uint64_t) MEASURE_MAX_PORT << MEASURE_PORT_SHIFT,
                 (uint64_t) number << MEASURE_PORT_SHIFT);
    return true;
}

static bool
parse_protocol(const char *s, uint64_t *number)
{
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++) {
        if (!strcmp(s, protocols[i].name)) {
            *number = protocols[i].number;
            return true;
        }
    }
    return measure_integer_parse(s, 0, 255, number);
}

/* The conditions. */

struct condition {
    const char *name;
    enum measure_field field;
    uint64_t max;
    unsigned int shift;         /* In the ports word. */
    const char *valid;
};

static const struct condition conditions[] = {
    { "source", MEASURE_FIELD_SOURCE, 0, 0,
      "an address, or a prefix such as 10.0.0.0/8 or 2001:db8::/32" },
    { "destination", MEASURE_FIELD_DESTINATION, 0, 0,
      "an address, or a prefix such as 10.0.0.0/8 or 2001:db8::/32" },
    { "protocol", MEASURE_FIELD_PROTOCOL, 0xff, 32,
      "tcp, udp, icmp, icmp6, sctp or a number from 0 to 255" },
    { "source-port", MEASURE_FIELD_SOURCE_PORT, 0xffff, 0,
      "a number from 0 to 65535" },
    { "destination-port", MEASURE_FIELD_DESTINATION_PORT, 0xffff, 16,
      "a number from 0 to 65535" },
    { "vlan", MEASURE_FIELD_VLAN, 0xfff, MEASURE_VLAN_SHIFT,
      "a number from 0 (no tag) to 4095" },
    { "tunnel", MEASURE_FIELD_TUNNEL, UINT32_MAX, 0,
      "a number from 0 to 4294967295" },
    { "port", MEASURE_FIELD_PORT, 0xfff, MEASURE_PORT_SHIFT,
      "the name of a port that was measured" },
};

#define N_CONDITIONS (sizeof conditions / sizeof *conditions)

/* Adds 'condition' with 'value' to 'filter'.  Returns false if 'value' is
 * invalid. */
static bool
add_condition(struct measure_filter *filter, const struct condition *condition,
              const char *value, const struct measure_port_names *ports,
              char **missing)
{
    struct measure_prefix prefix;
    uint64_t number;

    switch (condition->field) {
    case MEASURE_FIELD_SOURCE:
    case MEASURE_FIELD_DESTINATION:
        if (!measure_prefix_parse(value, &prefix)) {
            return false;
        }
        demand_prefix(filter, condition->field == MEASURE_FIELD_DESTINATION,
                      &prefix);
        break;

    case MEASURE_FIELD_TUNNEL:
        if (!measure_integer_parse(value, 0, condition->max, &number)) {
            return false;
        }
        demand_tunnel(filter, number);
        break;

    case MEASURE_FIELD_PORT:
        if (!demand_port(filter, value, ports, missing)) {
            return false;
        }
        break;

    case MEASURE_FIELD_PROTOCOL:
    case MEASURE_FIELD_SOURCE_PORT:
    case MEASURE_FIELD_DESTINATION_PORT:
    case MEASURE_FIELD_VLAN:
    default:
        if (condition->field == MEASURE_FIELD_PROTOCOL) {
            if (!parse_protocol(value, &number)) {
                return false;
            }
        } else if (!measure_integer_parse(value, 0, condition->max, &number)) {
            return false;
        }
        demand_ports(filter, condition->max << condition->shift,
                     number << condition->shift);
        break;
    }
    filter->fields |= condition->field;
    return true;
}

/* Characters that end a value, or begin one that does not. */
#define SPECIAL ",\\"

/* Appends 'name' to '*text' as it can be part of a filter. */
static void
append_escaped(char **text, const char *name)
{
    for (; *name; name++) {
        measure_append(text, "%s%c", strchr(SPECIAL, *name) ? "\\" : "",
                       *name);
    }
}

static void
append_ports(char **text, const struct measure_port_names *ports)
{
    int n = 0;

    for (int i = 1; ports && i <= MEASURE_MAX_PORT; i++) {
        const char *name = measure_port_name(ports, i);

        if (name && n == MAX_NAMES) {
            measure_append(text, ", ...");
            break;
        } else if (name) {
            measure_append(text, "%s", n++ ? ", " : ": ");
            append_escaped(text, name);
        }
    }
}

/* Parses the condition 's', which it changes.  Returns NULL, or what is wrong,
 * which the caller must free(). */
static char *
parse_condition(char *s, const struct measure_port_names *ports,
                struct measure_filter *filter, char **missing)
{
    char *equals = strchr(s, '=');
    const struct condition *condition = NULL;
    char *error;

    if (equals) {
        *equals = '\0';
        for (size_t i = 0; i < N_CONDITIONS; i++) {
            if (!strcmp(s, conditions[i].name)) {
                condition = &conditions[i];
            }
        }
        if (condition
            && add_condition(filter, condition, equals + 1, ports, missing)) {
            return NULL;
        }
        *equals = '=';
    }

    if (!condition) {
        return measure_format("%s: unknown condition; valid is %s", s,
                              MEASURE_FILTER_VALID);
    }
    error = measure_format("%s: valid is %s", s, condition->valid);
    if (condition->field == MEASURE_FIELD_PORT) {
        append_ports(&error, ports);
    }
    return error;
}

/* Ends the condition at the beginning of 's' at its comma, and takes out the
 * backslashes before characters that are part of it.  Returns the condition
 * behind it, or NULL. */
static char *
split_condition(char *s)
{
    char *end = s;

    while (*s && *s != ',') {
        if (*s == '\\' && s[1] && strchr(SPECIAL, s[1])) {
            s++;
        }
        *end++ = *s++;
    }
    bool more = *s;

    *end = '\0';
    return more ? s + 1 : NULL;
}

static char *
parse(const char *s, const struct measure_port_names *ports,
      struct measure_filter *filter, char **missing)
{
    char *copy = measure_check_memory(strdup(s));
    char *next = copy;
    char *error = NULL;

    measure_filter_init(filter);
    while (next && !error) {
        char *condition = next;

        next = split_condition(condition);
        error = parse_condition(condition, ports, filter, missing);
    }
    free(copy);
    return error;
}

/* Makes 'filter' from 's' (see the header).  Returns NULL if all is well, else
 * what is wrong, which the caller must free(). */
char *
measure_filter_parse(const char *s, const struct measure_port_names *ports,
                     struct measure_filter *filter)
{
    return parse(s, ports, filter, NULL);
}

/* The same where ports may be named before they are there.  A port that is not
 * in 'ports', or any port if that is NULL, is not wrong: then the filter
 * matches nothing, and '*missing' is the name of such a port, which the caller
 * must free(); else NULL. */
char *
measure_filter_parse_early(const char *s,
                           const struct measure_port_names *ports,
                           struct measure_filter *filter, char **missing)
{
    *missing = NULL;
    return parse(s, ports, filter, missing);
}

/* Returns true if keys of kind 'from' have all fields that 'filter' looks
 * at. */
bool
measure_filter_derives(enum measure_key_kind from,
                       const struct measure_filter *filter)
{
    struct measure_group_by group_by;

    measure_group_by_init(&group_by, filter->fields, 128, 128);
    return measure_group_by_derives(from, &group_by);
}

/* Prefixes. */

/* Parses "ADDRESS" or "ADDRESS/BITS".  Bits of the address beyond these are
 * cleared.  Returns false, and leaves 'prefix' alone, if 's' is neither. */
bool
measure_prefix_parse(const char *s, struct measure_prefix *prefix)
{
    const char *slash = strchr(s, '/');
    size_t n = slash ? (size_t) (slash - s) : strlen(s);
    char text[MAX_PREFIX_TEXT];
    struct measure_prefix p;
    uint64_t bits;
    size_t size;

    memset(&p, 0, sizeof p);
    if (n >= sizeof text) {
        return false;
    }
    memcpy(text, s, n);
    text[n] = '\0';
    if (inet_pton(AF_INET, text, p.address) == 1) {
        p.family = MEASURE_IPV4;
        size = 4;
    } else if (inet_pton(AF_INET6, text, p.address) == 1) {
        p.family = MEASURE_IPV6;
        size = 16;
    } else {
        return false;
    }
    bits = size * 8;
    if (slash && !measure_integer_parse(slash + 1, 0, bits, &bits)) {
        return false;
    }
    p.bits = bits;
    measure_prefix_mask(bits, size, p.mask);
    for (size_t i = 0; i < size; i++) {
        p.address[i] &= p.mask[i];
    }
    *prefix = p;
    return true;
}

/* Makes 'prefixes' from 's', prefixes joined by commas, or an empty string for
 * none.  Returns false, and leaves 'prefixes' alone, if 's' is anything else
 * or there are too many. */
bool
measure_prefixes_parse(const char *s, struct measure_prefixes *prefixes)
{
    struct measure_prefixes result;
    bool more = *s != '\0';

    memset(&result, 0, sizeof result);
    while (more) {
        size_t n = strcspn(s, ",");
        char text[MAX_PREFIX_TEXT];

        if (n >= sizeof text || result.n >= MEASURE_MAX_PREFIXES) {
            return false;
        }
        memcpy(text, s, n);
        text[n] = '\0';
        if (!measure_prefix_parse(text, &result.prefixes[result.n++])) {
            return false;
        }
        more = s[n] == ',';
        s += n + 1;
    }
    *prefixes = result;
    return true;
}

/* Returns true if 'address' is in one of 'prefixes'. */
bool
measure_prefixes_match(const struct measure_prefixes *prefixes,
                       enum measure_family family, const uint8_t *address)
{
    size_t size = family == MEASURE_IPV4 ? 4 : 16;

    for (size_t i = 0; i < prefixes->n; i++) {
        const struct measure_prefix *p = &prefixes->prefixes[i];
        bool match = p->family == family;

        for (size_t j = 0; match && j < size; j++) {
            match = (address[j] & p->mask[j]) == p->address[j];
        }
        if (match) {
            return true;
        }
    }
    return false;
}
