/*
 * Rounds, slices and tables; see compare.h.
 */
#include "compare.h"

#include <stdio.h>

/* ---- Measuring -------------------------------------------------------------------- */

static void add_round(comparison *row, const bench_time *taken, int sides,
                      size_t operations)
{
    for (int i = 0; i < sides; i++) {
        bench_add(&row->wall[i], (double)taken[i].wall / (double)operations);
        bench_add(&row->ratios[i], (double)taken[0].wall / (double)taken[i].wall);
        bench_add(&row->cpu_ratios[i], (double)taken[0].cpu / (double)taken[i].cpu);
    }
}

/* The side whose turn it is: rotating to and fro, so that each comes after each other. */
static int side_of_turn(size_t slice, int turn, int sides)
{
    int start = (int)(slice / 2 % (size_t)sides);

    return slice % 2 == 0 ? (start + turn) % sides : (start + sides - turn) % sides;
}

void compare(comparison *row, size_t round, int sides, compare_work *work, void *context,
             size_t slices, size_t operations)
{
    bench_time taken[COMPARE_SIDES_MAX] = {{0, 0}};

    for (size_t slice = 0; slice < slices; slice++)
        for (int turn = 0; turn < sides; turn++) {
            int i = side_of_turn(round + slice, turn, sides);

            bench_settle();
            bench_time start = bench_now();
            work(context, i, slice, slices);
            bench_time passed = bench_since(start);
            taken[i].wall += passed.wall;
            taken[i].cpu += passed.cpu;
        }
    add_round(row, taken, sides, operations);
}

/* ---- Printing --------------------------------------------------------------------- */

static void print_row(comparison *row, int i)
{
    double ratio = bench_median(&row->ratios[i]), target = row->targets[i];
    const char *verdict = target == 0 ? "" : ratio <= target ? "met" : "MISSED";

    printf("%-38s %-8s %6.3f  %6.3f %6.3f  %6.3f  %6.3f  %8.0f %8.0f  %s\n",
           i == 1 ? row->what : "", row->names[i], target, ratio,
           bench_median(&row->cpu_ratios[i]), bench_least(&row->ratios[i]),
           bench_most(&row->ratios[i]), bench_median(&row->wall[0]),
           bench_median(&row->wall[i]), verdict);
}

static void print_figure(comparison *row, int i)
{
    printf("figure\t%s\t%s\ttarget=%.3f\tratio=%.3f\tcpu=%.3f\tleast=%.3f\tmost=%.3f"
           "\tstem_ns=%.1f\tother_ns=%.1f\trounds=%zu\n",
           row->what, row->names[i], row->targets[i], bench_median(&row->ratios[i]),
           bench_median(&row->cpu_ratios[i]), bench_least(&row->ratios[i]),
           bench_most(&row->ratios[i]), bench_median(&row->wall[0]),
           bench_median(&row->wall[i]), row->ratios[i].n);
}

typedef void print_fn(comparison *row, int i);

static void print_all(comparison *rows, size_t n, print_fn *print)
{
    for (size_t r = 0; r < n; r++)
        for (int i = 1; i < COMPARE_SIDES_MAX; i++)
            if (rows[r].ratios[i].n > 0)
                print(&rows[r], i);
}

void compare_print(comparison *rows, size_t n)
{
    printf("%-38s %-8s %6s  %6s %6s  %6s  %6s  %8s %8s\n", "what", "side", "target",
           "ratio", "cpu", "least", "most", "stem/ns", "side/ns");
    print_all(rows, n, print_row);
    putchar('\n');
    print_all(rows, n, print_figure);
}

/* ---- Databases -------------------------------------------------------------------- */

void compare_open(compare_databases *opened, const side *const *kinds, int sides,
                  const char *dir, const workload *load)
{
    opened->n = load->n;
    opened->sides = sides;
    for (int i = 0; i < sides; i++) {
        opened->kinds[i] = kinds[i];
        opened->paths[i] = bench_directory(dir);
        opened->dbs[i] = kinds[i]->open(opened->paths[i], &side_options, load);
    }
}

void compare_close(compare_databases *opened)
{
    for (int i = 0; i < opened->sides; i++) {
        opened->kinds[i]->close(opened->dbs[i]);
        bench_remove(opened->paths[i]);
    }
}
