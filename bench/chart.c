/*
 * The picture; see chart.h.
 */
#include "chart.h"

#include <math.h>
#include <stdio.h>

#include "bench.h"

/* Of the whole, of the field that the lines are in, and what the axes cover. */
enum { WIDTH = 900, HEIGHT = 520, LEFT = 80, RIGHT = 690, TOP = 60, BOTTOM = 460 };
enum { MOST_NINES = 7 };
static const double least_ns = 100, most_ns = 1e10;

static double x_of(double nines)
{
    return LEFT + (RIGHT - LEFT) * nines / MOST_NINES;
}

static double y_of(double ns)
{
    const double part = log10(ns / least_ns) / log10(most_ns / least_ns);

    return BOTTOM - (BOTTOM - TOP) * fmin(fmax(part, 0), 1);
}

static void draw_axes(FILE *out)
{
    static const char *const times[] = {"100 ns", "1 µs",   "10 µs", "100 µs", "1 ms",
                                        "10 ms",  "100 ms", "1 s",   "10 s"};
    static const char *const shares[] = {"0",       "90 %",     "99 %",      "99.9 %",
                                         "99.99 %", "99.999 %", "99.9999 %", ""};
    double ns = least_ns;

    for (size_t i = 0; i < sizeof times / sizeof *times; i++, ns *= 10)
        fprintf(out,
                "<path d='M%d %.1fH%d' stroke='#ddd'/>\n"
                "<text x='%d' y='%.1f' text-anchor='end'>%s</text>\n",
                LEFT, y_of(ns), RIGHT, LEFT - 8, y_of(ns) + 4, times[i]);
    for (int i = 0; i <= MOST_NINES; i++)
        fprintf(out,
                "<path d='M%.1f %dV%d' stroke='#ddd'/>\n"
                "<text x='%.1f' y='%d' text-anchor='middle'>%s</text>\n",
                x_of(i), TOP, BOTTOM, x_of(i), BOTTOM + 18, shares[i]);
    fprintf(out,
            "<text x='%d' y='%d' text-anchor='middle'>of the puts took at most"
            "</text>\n",
            (LEFT + RIGHT) / 2, BOTTOM + 42);
}

/* As far as there are puts to tell. */
static void draw_line(FILE *out, const chart_line *line)
{
    enum { STEPS = 50 };
    const double reach = fmin(log10((double)line->times->n), MOST_NINES);

    fprintf(out, "<polyline fill='none' stroke='%s' stroke-width='2'%s points='",
            line->colour, line->is_dashed ? " stroke-dasharray='6 4'" : "");
    for (int i = 0; i <= MOST_NINES * STEPS; i++) {
        const double nines = (double)i / STEPS;

        if (nines > reach)
            break;
        const uint64_t ns = histogram_quantile(line->times, 1 - pow(10, -nines));
        fprintf(out, "%.1f,%.1f ", x_of(nines), y_of((double)ns + 1));
    }
    fputs("'/>\n", out);
}

static void draw_name(FILE *out, const chart_line *line, size_t i)
{
    const int y = TOP + 10 + (int)i * 24;

    fprintf(out,
            "<path d='M%d %dh30' stroke='%s' stroke-width='2'%s/>\n"
            "<text x='%d' y='%d'>%s</text>\n",
            RIGHT + 16, y, line->colour, line->is_dashed ? " stroke-dasharray='6 4'" : "",
            RIGHT + 54, y + 4, line->name);
}

void chart_write(const char *path, const char *title, const chart_line *lines, size_t n)
{
    FILE *out = fopen(path, "w");

    if (!out)
        bench_die("%s cannot be written", path);
    fprintf(out,
            "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' "
            "font-family='sans-serif' font-size='12'>\n"
            "<rect width='100%%' height='100%%' fill='white'/>\n"
            "<text x='%d' y='32' font-size='16'>%s</text>\n",
            WIDTH, HEIGHT, LEFT, title);
    draw_axes(out);
    for (size_t i = 0; i < n; i++) {
        draw_line(out, &lines[i]);
        draw_name(out, &lines[i], i);
    }
    fputs("</svg>\n", out);
    if (fclose(out) != 0)
        bench_die("%s cannot be written", path);
}
