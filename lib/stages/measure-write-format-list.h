/* SPDX-License-Identifier: Apache-2.0 */
/* The list of formats: each line says that measure_write_NAME is one. */
FORMAT(alerts)
FORMAT(csv)
FORMAT(json)
FORMAT(pcapng)
FORMAT(records)
FORMAT(text)
