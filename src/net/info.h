/*
 * INFO: what a server says of itself, by section, under the names that Redis has for it.
 */
#ifndef STEM_NET_INFO_H
#define STEM_NET_INFO_H

#include "connection.h"

enum { STEM_INFO_EVERYTHING = (1 << 9) - 1 };

/* The bits of what a word asks for: a section, or all of them by "default", "all" or
 * "everything"; 0 for any other, as Redis has it. */
unsigned stem_info_section(stem_slice word);

/* Adds what the connection may see of these sections: all of the server for an administrator;
 * for others what tells nothing of other users. */
void stem_info_write(stem_connection *connection, unsigned sections, stem_buffer *out);

#endif
