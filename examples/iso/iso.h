/*
 * The modules of scripts/demo. Each answers one question from the sub-database that it is
 * given, and knows nothing of the others. All print the answer and return a stem_code.
 */
#ifndef ISO_H
#define ISO_H

#include <stem.h>

/* Which countries go by a common name beside the one in ISO 3166-1? `db` holds one
 * sub-database a country, named by its two-letter code. */
int countries_answer(stem_db *db);

/* Which countries have the most subdivisions in ISO 3166-2? `db` holds one sub-database
 * a country, and in it one a subdivision. */
int subdivisions_answer(stem_db *db);

/* How many languages of ISO 639-3 are living, how many extinct, and which codes begin
 * with "zu"? `db` holds one sub-database a language, named by its three-letter code. */
int languages_answer(stem_db *db);

#endif
