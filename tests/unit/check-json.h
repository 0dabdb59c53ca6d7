/* SPDX-License-Identifier: Apache-2.0 */
/* A small validator of JSON. */

#ifndef CHECK_JSON_H
#define CHECK_JSON_H 1

/* A small validator of JSON (RFC 8259), stricter than most: what it does not
 * know is an error. */

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static inline bool json_value(const char **, int depth);

static inline bool
json_token(const char **s, const char *token)
{
    size_t n = strlen(token);

    if (strncmp(*s, token, n)) {
        return false;
    }
    *s += n;
    return true;
}

static inline bool
json_string(const char **s)
{
    if (!json_token(s, "\"")) {
        return false;
    }
    while (**s != '"') {
        if ((unsigned char) **s < 0x20) {
            return false;
        }
        if (json_token(s, "\\")) {
            if (**s == 'u') {
                for (int i = 1; i <= 4; i++) {
                    if (!isxdigit((unsigned char) (*s)[i])) {
                        return false;
                    }
                }
                *s += 4;
            } else if (!**s || !strchr("\"\\/bfnrt", **s)) {
                return false;
            }
        }
        ++*s;
    }
    ++*s;
    return true;
}

static inline bool
json_digits(const char **s)
{
    if (!isdigit((unsigned char) **s)) {
        return false;
    }
    while (isdigit((unsigned char) **s)) {
        ++*s;
    }
    return true;
}

static inline bool
json_number(const char **s)
{
    json_token(s, "-");
    if (!json_token(s, "0") && !json_digits(s)) {
        return false;
    }
    if (json_token(s, ".") && !json_digits(s)) {
        return false;
    }
    if (**s == 'e' || **s == 'E') {
        ++*s;
        if (**s == '+' || **s == '-') {
            ++*s;
        }
        return json_digits(s);
    }
    return true;
}

static inline bool
json_members(const char **s, int depth, bool named, const char *end)
{
    if (json_token(s, end)) {
        return true;
    }
    do {
        if (named && (!json_string(s) || !json_token(s, ":"))) {
            return false;
        }
        if (!json_value(s, depth + 1)) {
            return false;
        }
    } while (json_token(s, ","));
    return json_token(s, end);
}

static inline bool
json_value(const char **s, int depth)
{
    return (depth > 64 ? false
            : json_token(s, "{") ? json_members(s, depth, true, "}")
            : json_token(s, "[") ? json_members(s, depth, false, "]")
            : json_token(s, "true") || json_token(s, "false")
              || json_token(s, "null") || json_string(s) || json_number(s));
}

/* Returns true if 's' is one value of JSON and nothing else, not even white
 * space. */
static inline bool
json_valid(const char *s)
{
    return json_value(&s, 0) && !*s;
}

#endif /* check-json.h */
