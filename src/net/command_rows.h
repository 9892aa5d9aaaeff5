/*
 * The functions of the command table's rows, file by file. Included by the table alone, and by
 * the files that define them; nothing calls one but through its row.
 */
#ifndef STEM_NET_COMMAND_ROWS_H
#define STEM_NET_COMMAND_ROWS_H

#include "command.h"

/* ---- command_string.c, command_part.c, command_counter.c ------------------------ */

int stem_run_append(stem_request *request);
int stem_run_get(stem_request *request);
int stem_run_getdel(stem_request *request);
int stem_run_getset(stem_request *request);
int stem_run_mget(stem_request *request);
int stem_run_mset(stem_request *request);
int stem_run_msetnx(stem_request *request);
int stem_run_set(stem_request *request);
int stem_run_setnx(stem_request *request);
int stem_run_strlen(stem_request *request);

int stem_run_getrange(stem_request *request);
int stem_run_setrange(stem_request *request);

int stem_run_incr(stem_request *request);
int stem_run_incrby(stem_request *request);
int stem_run_decr(stem_request *request);
int stem_run_decrby(stem_request *request);
int stem_run_incrbyfloat(stem_request *request);

/* ---- command_key.c, command_object.c -------------------------------------------------- */

int stem_run_copy(stem_request *request);
int stem_run_del(stem_request *request);
int stem_run_exists(stem_request *request);
int stem_run_rename(stem_request *request);
int stem_run_renamenx(stem_request *request);
int stem_run_type(stem_request *request);

int stem_run_object_encoding(stem_request *request);
int stem_run_object_freq(stem_request *request);
int stem_run_object_idletime(stem_request *request);
int stem_run_object_refcount(stem_request *request);
int stem_run_memory_usage(stem_request *request);

/* ---- command_walk.c, command_scan.c, command_random.c --------------------------------- */

int stem_start_keys(stem_request *request, stem_engine *engine, stem_job **job);
int stem_start_dbsize(stem_request *request, stem_engine *engine, stem_job **job);
int stem_run_flushdb(stem_request *request);
int stem_start_estimate(stem_request *request, stem_engine *engine, stem_job **job);
int stem_run_scan(stem_request *request);
int stem_run_randomkey(stem_request *request);

/* ---- command_own.c, command_commit.c, command_range.c --------------------------------- */

int stem_run_own_get(stem_request *request);
int stem_run_own_put(stem_request *request);
int stem_run_own_putjson(stem_request *request);
int stem_run_own_read(stem_request *request);
int stem_run_own_snapshot(stem_request *request);
int stem_run_own_release(stem_request *request);
int stem_run_own_flush(stem_request *request);
int stem_run_own_sync(stem_request *request);
int stem_run_own_compact(stem_request *request);
int stem_run_own_place(stem_request *request);
int stem_run_own_settings(stem_request *request);
int stem_run_own_stats(stem_request *request);
int stem_run_commit(stem_request *request);
int stem_run_range(stem_request *request);
int stem_start_children(stem_request *request, stem_engine *engine, stem_job **job);

/* ---- command_connection.c ------------------------------------------------------------- */

int stem_run_ping(stem_request *request);
int stem_run_echo(stem_request *request);
stem_serve_fn stem_serve_auth, stem_serve_hello, stem_serve_select, stem_serve_quit,
    stem_serve_reset;

/* ---- command_transaction.c -------------------------------------------------------------- */

stem_serve_fn stem_serve_multi, stem_serve_discard, stem_serve_watch, stem_serve_unwatch;

/* ---- command_session.c ------------------------------------------------------------------ */

stem_serve_fn stem_serve_attach, stem_serve_detach;

/* ---- command_client.c ------------------------------------------------------------------- */

stem_serve_fn stem_serve_client_getname, stem_serve_client_id, stem_serve_client_info,
    stem_serve_client_list, stem_serve_client_no, stem_serve_client_reply,
    stem_serve_client_setinfo, stem_serve_client_setname;

/* ---- command_describe.c ----------------------------------------------------------------- */

int stem_run_command(stem_request *request);
int stem_run_command_count(stem_request *request);
int stem_run_command_docs(stem_request *request);
int stem_run_command_getkeys(stem_request *request);
int stem_run_command_info(stem_request *request);
int stem_run_command_list(stem_request *request);
int stem_run_help(stem_request *request);

/* ---- command_server.c ------------------------------------------------------------------- */

int stem_run_time(stem_request *request);
stem_serve_fn stem_serve_info, stem_serve_config_get;

#endif
