/*
 * `stem tree`: draws what lies below a path. One walk of names is open per level, on a
 * stack of its own, so that neither the depth nor the size of a database costs more than
 * that.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

/* Options; above what getopt uses itself. */
enum { DEPTH = 256, COLOR };

static const char help[] =
    "Draws the names below PATH, or of the whole database, with the type and a short\n"
    "form of each value: strings cut to fit, arrays with their shape, containers with\n"
    "how many they hold. Sub-databases have a '/' behind their name.\n"
    "\n"
    "  --depth N        no more than N levels; what is left out below is marked\n"
    "  --color[=WHEN]   always, never, or auto: on a terminal, unless NO_COLOR is set.\n"
    "                   Without WHEN always, without the option auto\n"
    "\n"
    "Lines are drawn with box characters in a UTF-8 locale, with ASCII in others. The\n"
    "exit status is 1 when there is nothing at PATH.\n"
    "\n"
    "Examples:\n"
    "  stem tree ./app.db\n"
    "  stem tree ./app.db users --depth 1\n"
    "  stem tree ./app.db --color | less -R\n";

static const struct option options[] = {
    {"depth", required_argument, NULL, DEPTH},
    {"color", optional_argument, NULL, COLOR},
    {0},
};

struct style {
    const char *branch, *last, *through, *blank, *more;
    const char *bold, *dim, *plain; /* of colours, or "" */
};

static const struct style boxes = {
    .branch = "├── ", .last = "└── ", .through = "│   ", .blank = "    ", .more = " …"};
static const struct style ascii = {
    .branch = "|-- ", .last = "`-- ", .through = "|   ", .blank = "    ", .more = " ..."};

/* A name, looked at before the one before it is drawn: only then is it known whether that
 * was the last. */
struct entry {
    char *name;
    char *type;  /* of its value, or NULL */
    char *value; /* in short */
    int kind;
};

struct level {
    stem_db *db;
    stem_iter *names;
    struct entry next; /* its name is NULL at the end */
    size_t prefix_len; /* of the lines above it */
};

struct tree {
    struct style style;
    size_t max_depth; /* 0: no limit */
    struct level *levels;
    size_t depth, room;
    char *prefix; /* what every line of this level begins with */
    size_t prefix_len, prefix_room;
    uint64_t n_values, n_subs;
    bool is_cut;
};

static void describe(const stem_value *value, struct entry *entry)
{
    entry->type = type_text(value);
    entry->value = short_text(value);
}

static void free_entry(struct entry *entry)
{
    free(entry->name);
    free(entry->type);
    free(entry->value);
    *entry = (struct entry){0};
}

/* Looks at the level's next name. */
static void look_ahead(struct level *level)
{
    level->next = (struct entry){0};
    if (!stem_iter_next(level->names))
        return;
    level->next.name = need_memory(strdup(stem_iter_key(level->names)));
    level->next.kind = stem_iter_kind(level->names);
    if (stem_iter_value(level->names))
        describe(stem_iter_value(level->names), &level->next);
}

/* Begins a level below the handle, which it takes over. */
static int push_level(struct tree *tree, stem_db *db)
{
    struct level *level;

    if (!db)
        return complain_code(stem_errcode());
    if (tree->depth == tree->room) {
        tree->room = 2 * tree->room + 16;
        tree->levels =
            need_memory(realloc(tree->levels, tree->room * sizeof *tree->levels));
    }
    level = &tree->levels[tree->depth++];
    *level = (struct level){
        .db = db, .names = stem_children(db, NULL), .prefix_len = tree->prefix_len};
    if (!level->names)
        return complain_code(stem_errcode());
    look_ahead(level);
    return DONE;
}

static int pop_level(struct tree *tree)
{
    struct level *level = &tree->levels[--tree->depth];
    int code = stem_iter_close(level->names);

    free_entry(&level->next);
    stem_close(level->db);
    tree->prefix_len = level->prefix_len;
    return code == STEM_OK ? DONE : complain_code(code);
}

static void extend_prefix(struct tree *tree, const char *part)
{
    size_t len = strlen(part);

    if (tree->prefix_len + len > tree->prefix_room) {
        tree->prefix_room = 2 * (tree->prefix_len + len);
        tree->prefix = need_memory(realloc(tree->prefix, tree->prefix_room));
    }
    memcpy(tree->prefix + tree->prefix_len, part, len);
    tree->prefix_len += len;
}

/* The rest of a line: a name, and what is there. */
static void print_entry(const struct style *style, const char *name,
                        const struct entry *entry)
{
    char *safe = safe_text(name, strlen(name), 0, 0);

    if (entry->kind & STEM_HAS_CHILDREN)
        printf("%s%s%s/", style->bold, safe, style->plain);
    else
        fputs(safe, stdout);
    free(safe);
    if (entry->type)
        printf("  %s%s%s", style->dim, entry->type, style->plain);
    if (entry->type && entry->value[0])
        printf("  %s", entry->value);
}

static int draw_entry(struct tree *tree, const struct entry *entry, bool is_last)
{
    const char *name = entry->name;
    char *text = stem_path_format(&name, 1);
    bool is_sub = (entry->kind & STEM_HAS_CHILDREN) != 0;
    bool is_cut = is_sub && tree->depth == tree->max_depth;

    if (!text)
        return complain_code(stem_errcode());
    printf("%.*s%s", (int)tree->prefix_len, tree->prefix ? tree->prefix : "",
           is_last ? tree->style.last : tree->style.branch);
    print_entry(&tree->style, text, entry);
    puts(is_cut ? tree->style.more : "");
    stem_free(text);
    tree->n_values += entry->type != NULL;
    tree->n_subs += is_sub;
    tree->is_cut |= is_cut;
    return DONE;
}

/* Draws the next name of the innermost level, and begins the level below it. */
static int step(struct tree *tree)
{
    struct level *level = &tree->levels[tree->depth - 1];
    struct entry entry = level->next;
    const char *name = entry.name;
    bool is_last;
    int status;

    look_ahead(level);
    is_last = level->next.name == NULL;
    status = draw_entry(tree, &entry, is_last);
    if (status == DONE && (entry.kind & STEM_HAS_CHILDREN) &&
        tree->depth != tree->max_depth) {
        stem_db *below = stem_sub_path(level->db, &name, 1);

        status = push_level(tree, below);
        extend_prefix(tree, is_last ? tree->style.blank : tree->style.through);
    }
    free_entry(&entry);
    return status;
}

static int draw_below(struct tree *tree, stem_db *db)
{
    int status = push_level(tree, db);

    while (tree->depth > 0) {
        bool goes_on =
            status == DONE && !ferror(stdout) && tree->levels[tree->depth - 1].next.name;

        if (goes_on)
            status = step(tree);
        else if (pop_level(tree) != DONE)
            status = FAILED;
    }
    return status;
}

static void print_sum(const struct tree *tree)
{
    printf("\n%" PRIu64 " sub-database%s, %" PRIu64 " value%s", tree->n_subs,
           tree->n_subs == 1 ? "" : "s", tree->n_values, tree->n_values == 1 ? "" : "s");
    if (tree->is_cut)
        printf(", to a depth of %zu", tree->max_depth);
    putchar('\n');
}

static int draw(struct tree *tree, const place *where)
{
    struct entry root = {0};
    stem_value value;
    int status = read_own_value(where, &value);

    if (status == DONE) {
        describe(&value, &root);
        stem_value_free(&value);
    }
    if (status != FAILED) {
        status = find_anything_below(where);
        root.kind = status == DONE && where->n_names > 0 ? STEM_HAS_CHILDREN : 0;
    }
    if (status == NOT_FOUND && (root.type || where->n_names == 0))
        status = DONE;
    if (status == NOT_FOUND)
        complain_nothing(where);
    if (status == DONE) {
        print_entry(&tree->style, where->n_names > 0 ? where->path : where->location,
                    &root);
        putchar('\n');
        status = draw_below(tree, stem_dup(where->inside));
    }
    if (status == DONE)
        print_sum(tree);
    free_entry(&root);
    free(tree->levels);
    free(tree->prefix);
    return status;
}

static bool parse_color(const command *which, const char *when)
{
    const char *no_color = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");

    if (!when || strcmp(when, "always") == 0)
        return true;
    if (strcmp(when, "never") == 0)
        return false;
    if (strcmp(when, "auto") != 0)
        usage_error(which, "--color is auto, always or never, not '%s'", when);
    return isatty(STDOUT_FILENO) && !(no_color && *no_color) &&
           !(terminal && strcmp(terminal, "dumb") == 0);
}

static int run(const command *which, int argc, char **argv)
{
    struct tree tree = {.style = locale_is_utf8() ? boxes : ascii};
    const char *when = "auto";
    bool is_colored;
    arguments args;
    place where;
    int option;
    int status;

    arguments_start(&args, which, argc, argv);
    while ((option = arguments_next(&args)) != -1) {
        if (option == DEPTH)
            tree.max_depth = parse_count(which, "--depth", optarg);
        else
            when = optarg;
    }
    is_colored = parse_color(which, when);
    tree.style.bold = is_colored ? "\033[1;34m" : "";
    tree.style.dim = is_colored ? "\033[36m" : "";
    tree.style.plain = is_colored ? "\033[0m" : "";
    status = open_place(which, args.operands[0], args.operands[1], READING, &where);
    if (status == DONE)
        status = draw(&tree, &where);
    return close_place(&where, status);
}

const command tree_command = {
    .name = "tree",
    .operands = "LOCATION [PATH] [--depth N] [--color[=WHEN]]",
    .summary = "draw the hierarchy",
    .help = help,
    .min_operands = 1,
    .max_operands = 2,
    .letters = "",
    .options = options,
    .run = run,
};
