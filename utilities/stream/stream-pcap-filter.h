/* SPDX-License-Identifier: Apache-2.0 */
/* The stage 'pcap-filter': libpcap's filter language over records. */

#ifndef STREAM_PCAP_FILTER_H
#define STREAM_PCAP_FILTER_H 1

#include "stream/measure-stage.h"

/* libpcap's filters over records
 * ==============================
 *
 * "pcap-filter host 10.0.0.7 and port 53" lets those packets through that
 * tcpdump would show with this expression (pcap-filter(7)).  It is compiled to
 * a program of the Berkeley Packet Filter (McCanne and Jacobson, USENIX 1993),
 * which is run on the headers that a record has, or on those that are made of
 * it (stream/measure-packet-make.h says which fields are not in a record; a
 * test for one of them compares a constant).  An expression that looks behind
 * the headers does not match.
 *
 * In the text of a chain, an expression with a "|" or with quotes must be
 * between quotes; measure_language_quote() does that for the option --pcap.
 *
 * Work: some 100 ns a record without headers, 25 with them.
 *
 * Thread safety: as that of stages. */

extern const struct measure_stage_class stream_pcap_filter;

#endif /* stream-pcap-filter.h */
