/*
 * `stem import`: a JSON document of any size into a database. It is read twice: checked to
 * its end before anything is opened or written, and then stored as it is read again.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "feed.h"
#include "tool.h"

/* Options; above what getopt uses itself. */
enum { FLAT = 256, PLAIN };

static const char help[] =
    "Puts the members of a JSON document under PATH, or at the top of the database,\n"
    "which is made when there is none. FILE - is standard input.\n"
    "\n"
    "Objects inside the document become sub-databases, everything else values: lists\n"
    "are list values, and so are the forms of one member that begins with '$', such\n"
    "as {\"$bin\": \"AQI=\"}. An empty object is an empty map value. A member \"\" is\n"
    "the own value of the name that it stands in (an object that has no other member\n"
    "is a map value). A name that begins with '$' has one '$' more in front. 'stem\n"
    "export' gives the document back, equal up to the order of members.\n"
    "\n"
    "  --flat    objects inside the document become one map value each\n"
    "  --plain   names that begin with '$' are taken as they are, and there are no\n"
    "            forms: for JSON Schema, OpenAPI, MongoDB; give it to 'export' too\n"
    "\n"
    "What is there already stays, and is replaced where the document has the same\n"
    "path. A document with an error, or with a name that cannot be one (longer than\n"
    "4,096 bytes, or with a NUL), is refused before anything is written. Afterwards\n"
    "all is on the disk.\n"
    "\n"
    "The document may be larger than memory: it is read twice, and what can be read\n"
    "only once, such as a pipe, is copied to $TMPDIR meanwhile.\n"
    "\n"
    "Examples:\n"
    "  stem import ./app.db countries.json countries\n"
    "  stem import ./app.db --flat users.json users\n"
    "  stem import ./app.db --plain openapi.json api\n"
    "  stem export ./old.db | stem import ./new.db -\n";

static const struct option options[] = {
    {"flat", no_argument, NULL, FLAT},
    {"plain", no_argument, NULL, PLAIN},
    {0},
};

struct importer {
    const arguments *args;
    int flags; /* of stem_json_open */
    feed from;
    char **names; /* of PATH */
    size_t n_names;
    stem_db *root; /* NULL while the document is only checked */
    stem_batch *batch;
    stem_db *parent;   /* where the last value went */
    char *parent_path; /* in text form */
    uint64_t n_stored; /* values that are committed */
};

/* A commit is of so many bytes or values; a value as large goes alone, and is not copied. */
enum { COMMIT_BYTES = 256 * 1024, COMMIT_VALUES = 1000 };

static int commit(struct importer *importer)
{
    size_t n = stem_batch_count(importer->batch);
    int code = stem_batch_commit(importer->batch, false);

    if (code != STEM_OK)
        return code;
    importer->n_stored += n;
    stem_batch_reset(importer->batch);
    return STEM_OK;
}

/* Opens the sub-database that a path lies in, unless it is the one of the path before. */
static int open_parent(struct importer *importer, const char *const *names, size_t n)
{
    char *path = stem_path_format(names, n - 1);

    if (!path)
        return stem_errcode();
    if (importer->parent && strcmp(path, importer->parent_path) == 0) {
        stem_free(path);
        return STEM_OK;
    }
    stem_close(importer->parent);
    stem_free(importer->parent_path);
    importer->parent_path = path;
    importer->parent = stem_sub_path(importer->root, names, n - 1);
    return importer->parent ? STEM_OK : stem_errcode();
}

static int store(struct importer *importer, const stem_json_reader *reader)
{
    const stem_value *value = stem_json_value(reader);
    uint64_t bytes = 0;
    size_t n;
    const char *const *names = stem_json_path(reader, &n);
    int code = open_parent(importer, names, n);

    if (code != STEM_OK)
        return code;
    if (payload_size(value, &bytes) && bytes >= COMMIT_BYTES) {
        code = commit(importer);
        if (code == STEM_OK)
            code = stem_put_value(importer->parent, names[n - 1], *value);
        importer->n_stored += code == STEM_OK;
        return code;
    }
    code = stem_batch_put_value(importer->batch, importer->parent, names[n - 1], *value);
    if (code == STEM_OK && (stem_batch_count(importer->batch) >= COMMIT_VALUES ||
                            stem_batch_bytes(importer->batch) >= COMMIT_BYTES))
        code = commit(importer);
    return code;
}

/* Says why it ended, and what that leaves. */
static int complain_end(struct importer *importer)
{
    feed *from = &importer->from;

    feed_clear_line(from);
    if (from->failed)
        complain("import: %s %s: %s", from->failed, from->name, strerror(from->error));
    else
        complain("import: %s: %s", from->name, stem_errmsg());
    if (!importer->root)
        complain("import: nothing was imported");
    else
        complain("import: %" PRIu64 " values were stored before; importing again "
                 "completes it",
                 importer->n_stored);
    return FAILED;
}

/* Reads the document from its beginning to its end, and stores what is in it, if it is not
 * only checked. */
static int read_document(struct importer *importer)
{
    stem_json_reader *reader =
        stem_json_open(feed_read, &importer->from, (const char *const *)importer->names,
                       importer->n_names, importer->flags);
    int code = reader ? STEM_OK : stem_errcode();
    int end;

    while (code == STEM_OK && stem_json_next(reader)) {
        if (importer->root)
            code = store(importer, reader);
    }
    end = stem_json_close(reader);
    if (code == STEM_OK)
        code = end;
    if (code == STEM_OK && importer->root)
        code = commit(importer);
    if (code == STEM_OK && importer->root)
        code = stem_sync(importer->root);
    return code == STEM_OK ? DONE : complain_end(importer);
}

static int store_document(struct importer *importer)
{
    const arguments *args = importer->args;
    place where;
    int status =
        open_place(args->command, args->operands[0], args->operands[2], CREATING, &where);

    if (status == DONE) {
        importer->root = where.root;
        importer->batch = stem_batch_new(where.root);
        status =
            importer->batch ? read_document(importer) : complain_code(stem_errcode());
    }
    stem_batch_free(importer->batch);
    stem_close(importer->parent);
    stem_free(importer->parent_path);
    return close_place(&where, status);
}

static int import(const arguments *args, int flags)
{
    struct importer importer = {.args = args, .flags = flags};
    int status;

    importer.names = parse_path(args->command, args->operands[2], &importer.n_names);
    status = feed_open(&importer.from, args->operands[1], "checking");
    if (status == DONE)
        status = read_document(&importer);
    if (status == DONE)
        status = feed_again(&importer.from, "storing");
    if (status == DONE)
        status = store_document(&importer);
    feed_close(&importer.from);
    stem_free(importer.names);
    return status;
}

static int run(const command *which, int argc, char **argv)
{
    int flags = 0;
    arguments args;
    int option;

    arguments_start(&args, which, argc, argv);
    while ((option = arguments_next(&args)) != -1)
        flags |= option == FLAT ? STEM_JSON_FLAT : STEM_JSON_PLAIN;
    return import(&args, flags);
}

const command import_command = {
    .name = "import",
    .operands = "LOCATION FILE.json [PATH] [--flat] [--plain]",
    .summary = "put a JSON document into a database",
    .help = help,
    .min_operands = 2,
    .max_operands = 3,
    .letters = "",
    .options = options,
    .run = run,
};
