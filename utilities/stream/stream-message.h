/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of ovs-measure-stream, on standard error. */

#ifndef STREAM_MESSAGE_H
#define STREAM_MESSAGE_H 1

/* Messages
 * ========
 *
 * Each is one line that begins with the name of the program.  Answers are on
 * standard output, or where a chain writes them.  One more line may stand
 * below the messages, which says how far the program is, and is replaced by
 * the next one.
 *
 * Thread safety: any thread. */

#define STREAM_PROGRAM "ovs-measure-stream"

/* Exit status. */
enum stream_status {
    STREAM_OK = 0,
    STREAM_BAD_INPUT = 1,       /* An argument or a file is wrong, or an output
                                 * cannot be written. */
    STREAM_NO_START = 2,        /* The switch cannot be reached. */
};

void stream_say(const char *format, ...)
    __attribute__((format(printf, 1, 2)));
void stream_fail(enum stream_status, const char *format, ...)
    __attribute__((noreturn, format(printf, 2, 3)));
void stream_print(const char *text);
void stream_show(const char *line);

#endif /* stream-message.h */
