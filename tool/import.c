/*
 * `stem import`: a JSON document into a database. All of it is looked at before anything
 * is opened or written, by the same walk that writes it afterwards.
 */
#include <stdlib.h>
#include <string.h>

#include "tool.h"

/* Options; above what getopt uses itself. */
enum { FLAT = 256 };

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
    "  --flat   objects inside the document become one map value each\n"
    "\n"
    "What is there already stays, and is replaced where the document has the same\n"
    "path. A document with an error, or with a name that cannot be one (longer than\n"
    "4,096 bytes, or with a NUL), is refused before anything is written. Afterwards\n"
    "all is on the disk.\n"
    "\n"
    "Examples:\n"
    "  stem import ./app.db countries.json countries\n"
    "  stem import ./app.db --flat users.json users\n"
    "  stem export ./old.db | stem import ./new.db -\n";

static const struct option options[] = {
    {"flat", no_argument, NULL, FLAT},
    {0},
};

struct importer {
    const char *file; /* for messages */
    bool is_flat;
    stem_db *root; /* NULL while the document is only looked at */
    char **names;  /* where the walk is: PATH's names, then the document's */
    size_t n_names, room;
    size_t n_given; /* PATH's names */
};

static void push_name(struct importer *importer, const char *name, size_t len)
{
    if (importer->n_names == importer->room) {
        importer->room = 2 * importer->room + 16;
        importer->names =
            need_memory(realloc(importer->names, importer->room * sizeof(char *)));
    }
    importer->names[importer->n_names++] = need_memory(strndup(name, len));
}

static void pop_name(struct importer *importer)
{
    free(importer->names[--importer->n_names]);
}

/* Says what is wrong, and where in the document: the names that lead there. */
static int refuse(const struct importer *importer, const char *reason)
{
    size_t n = importer->n_names - importer->n_given;
    const char *const *names = (const char *const *)importer->names + importer->n_given;
    char *path = NULL;
    char *name = NULL;
    char *shown;

    /* The name that is to blame cannot be formatted with the others. */
    for (; n > 0 && !(path = stem_path_format(names, n)); n--) {
        free(name);
        name = safe_text(names[n - 1], strlen(names[n - 1]), 40, '"');
    }
    shown = path ? safe_text(path, strlen(path), 200, 0) : format_text("the top");
    complain("import: %s: at %s%s%s: %s; nothing was imported", importer->file, shown,
             name ? ", name " : "", name ? name : "", reason);
    stem_free(path);
    free(shown);
    free(name);
    return FAILED;
}

static int check_value(const struct importer *importer, const stem_value *value)
{
    char *text =
        stem_path_format((const char *const *)importer->names, importer->n_names);
    size_t len;
    void *bytes = text ? stem_encode(value, &len) : NULL;
    char *reason = bytes ? NULL : need_memory(strdup(stem_errmsg()));
    int status = bytes ? DONE : refuse(importer, reason);

    stem_free(text);
    stem_free(bytes);
    free(reason);
    return status;
}

static int write_value(const struct importer *importer, const stem_value *value)
{
    stem_db *parent = stem_sub_path(importer->root, (const char *const *)importer->names,
                                    importer->n_names - 1);
    int code =
        parent ? stem_put_value(parent, importer->names[importer->n_names - 1], *value)
               : stem_errcode();

    stem_close(parent);
    return code == STEM_OK ? DONE : complain_code(code);
}

/* Takes a value to where the walk is. */
static int take_value(struct importer *importer, const stem_value *value)
{
    if (importer->n_names == 0)
        return refuse(importer, value->type == STEM_MAP
                                    ? "a database has no value of its own: give a PATH"
                                    : "the document is no object: give a PATH for it");
    return importer->root ? write_value(importer, value) : check_value(importer, value);
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static bool is_plain_name(const stem_value *key)
{
    char *json;
    bool is_plain;

    if (key->type != STEM_STR || memchr(key->as.str.data, '\0', key->as.str.len))
        return false;
    json = need_memory(stem_json_format(key, 0));
    is_plain = json[0] == '"';
    stem_free(json);
    return is_plain;
}

/* Whether a map was an object in the document: names for keys, and none twice. */
static bool is_object(const stem_value *map)
{
    char **names = need_memory(calloc((size_t)map->as.packed.count + 1, sizeof *names));
    bool is_plain = true;
    stem_cursor cursor;
    stem_value key;
    stem_value value;
    size_t n = 0;

    stem_cursor_init(&cursor, map);
    while (is_plain && stem_cursor_next(&cursor, &key, &value)) {
        if ((is_plain = is_plain_name(&key)))
            names[n++] = need_memory(strndup(key.as.str.data, key.as.str.len));
        stem_value_free(&key);
        stem_value_free(&value);
    }
    qsort(names, n, sizeof *names, compare_names);
    for (size_t i = 1; is_plain && i < n; i++)
        is_plain = strcmp(names[i - 1], names[i]) != 0;
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
    return is_plain;
}

/* Whether a value is spread over a sub-database. An object that is empty, or has
 * nothing but a member "", would leave no trace of being one. */
static bool is_branch(const struct importer *importer, const stem_value *value)
{
    stem_cursor cursor;
    stem_value key;
    stem_value member;

    if (value->type != STEM_MAP || value->as.packed.count == 0)
        return false;
    if (importer->is_flat && importer->n_names > importer->n_given)
        return false;
    if (value->as.packed.count == 1) {
        stem_cursor_init(&cursor, value);
        if (stem_cursor_next(&cursor, &key, &member)) {
            bool is_own = key.type == STEM_STR && key.as.str.len == 0;

            stem_value_free(&key);
            stem_value_free(&member);
            if (is_own)
                return false;
        }
    }
    return is_object(value);
}

static int walk(struct importer *importer, const stem_value *value);

static int walk_member(struct importer *importer, const stem_string *name,
                       const stem_value *value)
{
    int status;

    if (name->len == 0)
        return take_value(importer, value);
    push_name(importer, name->data, name->len);
    status = walk(importer, value);
    pop_name(importer);
    return status;
}

static int walk(struct importer *importer, const stem_value *value)
{
    int status = DONE;
    stem_cursor cursor;
    stem_value key;
    stem_value member;

    if (!is_branch(importer, value))
        return take_value(importer, value);
    stem_cursor_init(&cursor, value);
    while (status == DONE && stem_cursor_next(&cursor, &key, &member)) {
        status = walk_member(importer, &key.as.str, &member);
        stem_value_free(&member);
    }
    if (status == DONE && cursor.code != STEM_OK)
        status = complain_code(cursor.code);
    return status;
}

/* Walks the document, which without a PATH may be an empty object: nothing. */
static int walk_document(struct importer *importer, const stem_value *document)
{
    if (importer->n_given == 0 && document->type == STEM_MAP &&
        document->as.packed.count == 0)
        return DONE;
    return walk(importer, document);
}

static int write_document(struct importer *importer, const stem_value *document,
                          const arguments *args)
{
    place where;
    int status =
        open_place(args->command, args->operands[0], args->operands[2], CREATING, &where);

    if (status == DONE) {
        importer->root = where.root;
        status = walk_document(importer, document);
    }
    if (status == DONE) {
        int code = stem_sync(where.root);

        if (code != STEM_OK)
            status = complain_code(code);
    }
    return close_place(&where, status);
}

static int read_document(const char *file, stem_value *document)
{
    size_t len;
    char *text = read_input(file, &len);
    int code;

    if (!text)
        return FAILED;
    code = stem_json_parse(text, len, document);
    free(text);
    if (code == STEM_OK)
        return DONE;
    complain("import: %s: %s; nothing was imported",
             strcmp(file, "-") == 0 ? "standard input" : file, stem_errmsg());
    return FAILED;
}

static int import(const arguments *args, bool is_flat)
{
    const char *file = args->operands[1];
    struct importer importer = {.file = strcmp(file, "-") == 0 ? "standard input" : file,
                                .is_flat = is_flat};
    stem_value document;
    size_t n_given;
    char **given = parse_path(args->command, args->operands[2], &n_given);
    int status = read_document(file, &document);

    if (status == DONE) {
        for (size_t i = 0; i < n_given; i++)
            push_name(&importer, given[i], strlen(given[i]));
        importer.n_given = n_given;
        status = walk_document(&importer, &document);
        if (status == DONE)
            status = write_document(&importer, &document, args);
        stem_value_free(&document);
    }
    while (importer.n_names > 0)
        pop_name(&importer);
    free(importer.names);
    stem_free(given);
    return status;
}

static int run(const command *which, int argc, char **argv)
{
    bool is_flat = false;
    arguments args;

    arguments_start(&args, which, argc, argv);
    while (arguments_next(&args) != -1)
        is_flat = true;
    return import(&args, is_flat);
}

const command import_command = {
    .name = "import",
    .operands = "LOCATION FILE.json [PATH] [--flat]",
    .summary = "put a JSON document into a database",
    .help = help,
    .min_operands = 2,
    .max_operands = 3,
    .letters = "",
    .options = options,
    .run = run,
};
