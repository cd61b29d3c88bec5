// SPDX-License-Identifier: PostgreSQL
#include "proxy/report_words.h"

#include <stdlib.h>
#include <string.h>

#include "batching/show/human.h"
#include "proxy/page_files.h"

// What a form writes around the same words.
struct style {
    const char *begin, *title, *loop, *item, *code, *end_code, *end_item, *end_loop, *end;
    bool html;
};

static const struct style styles[REPORT_FORMATS] = {
    [REPORT_TEXT] = {"", "pgfold report: ", "\n", "  ", "", "", "\n", "", "", false},
    [REPORT_MARKDOWN] = {"# Loops\n\n", "", "\n## ", "- ", "`", "`", "\n", "", "", false},
    [REPORT_HTML] = {"<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                     "<title>pgfold: loops</title>\n",
                     "", "<section", "<li>", "<code>", "</code>", "</li>\n", "</ul></section>\n",
                     "</main>\n</html>\n", true},
};

bool report_format_read(const char *name, enum report_format *f) {
    static const char *const names[REPORT_FORMATS] = {"text", "json", "html", "markdown"};
    for (unsigned i = 0; i < REPORT_FORMATS; i++)
        if (strcmp(name, names[i]) == 0) {
            *f = (enum report_format)i;
            return true;
        }
    return false;
}

// ---- pieces

// Text of an application's: in HTML without its signs.
static void put_safe(const struct style *s, struct buf *out, const char *text) {
    for (; *text; text++) {
        const char *as = s->html ? human_entity((unsigned char)*text) : NULL;
        if (as)
            buf_put_text(out, as);
        else
            buf_put_u8(out, (uint8_t)*text);
    }
}

static void put_code(const struct style *s, struct buf *out, const char *text) {
    buf_put_text(out, s->code);
    put_safe(s, out, text);
    buf_put_text(out, s->end_code);
}

static const char *text_at(const json_t *j, const char *name) {
    const char *text = json_string_value(json_object_get(j, name));
    return text ? text : "";
}

static long long number_at(const json_t *j, const char *name) {
    return json_integer_value(json_object_get(j, name));
}

static double seconds_at(const json_t *j, const char *name) {
    return json_number_value(json_object_get(j, name));
}

static void put_list(const struct style *s, struct buf *out, const json_t *all, const char *between) {
    size_t i;
    const json_t *one;
    json_array_foreach((json_t *)(uintptr_t)all, i, one) {
        buf_put_text(out, i ? between : "");
        put_safe(s, out, json_string_value(one) ? json_string_value(one) : "");
    }
}

// ---- a loop

static void put_name(const struct style *s, struct buf *out, const json_t *side) {
    put_safe(s, out, *text_at(side, "table") ? text_at(side, "table") : "a list");
    if (json_array_size(json_object_get(side, "columns"))) {
        buf_put_text(out, "(");
        put_list(s, out, json_object_get(side, "columns"), ", ");
        buf_put_text(out, ")");
    }
}

static void put_heading(const struct style *s, struct buf *out, const json_t *loop) {
    const json_t *parent = json_object_get(loop, "parent");
    bool proven = json_is_object(parent);
    buf_put_text(out, s->loop);
    if (s->html) {
        buf_put_text(out, " id=\"");
        put_safe(s, out, text_at(loop, "id"));
        buf_put_text(out, "\"><h2>");
    }
    if (proven) {
        put_name(s, out, parent);
        buf_put_text(out, " → ");
    }
    put_name(s, out, json_object_get(loop, "child"));
    buf_put_text(out, s->html ? "</h2><ul>\n" : s->code[0] ? "\n\n" : "\n");
}

static void put_kind(const struct style *s, struct buf *out, const json_t *loop) {
    bool proven = strcmp(text_at(loop, "kind"), "proven") == 0;
    buf_put_text(out, s->item);
    buf_put_format(out, "%s, ",
                   proven ? "proven loop: the keys come from the list"
                          : "candidate: the list that its keys come from is not known");
    put_safe(s, out, text_at(loop, "direction"));
    buf_put_text(out, "; database ");
    put_safe(s, out, text_at(loop, "database"));
    if (*text_at(loop, "application_name")) {
        buf_put_text(out, ", application ");
        put_safe(s, out, text_at(loop, "application_name"));
    }
    buf_put_text(out, s->end_item);
}

static void put_set(const struct style *s, struct buf *out, json_t *set) {
    const char *name;
    json_t *value;
    bool first = true;
    json_object_foreach(set, name, value) {
        const char *text = json_string_value(value);
        buf_put_text(out, first ? "" : " ");
        put_safe(s, out, name);
        buf_put_text(out, text && *text ? "=" : "");
        put_safe(s, out, text ? text : "");
        first = false;
    }
}

static void put_tags(const struct style *s, struct buf *out, const json_t *loop) {
    const json_t *tags = json_object_get(loop, "tags"), *sites = json_object_get(loop, "call_sites");
    size_t i;
    json_t *set;
    json_array_foreach((json_t *)(uintptr_t)tags, i, set) {
        buf_put_text(out, i ? "; " : s->item);
        buf_put_text(out, i ? "" : "asked by ");
        put_set(s, out, set);
    }
    buf_put_text(out, json_array_size(tags) ? s->end_item : "");
    if (!json_array_size(sites))
        return;
    buf_put_text(out, s->item);
    buf_put_text(out, "at ");
    put_list(s, out, sites, ", ");
    buf_put_text(out, s->end_item);
}

static void put_cost(const struct style *s, struct buf *out, const json_t *loop, bool observed) {
    buf_put_text(out, s->item);
    long long pages = number_at(loop, "pages");
    buf_put_format(out, "%lld page%s; asked %lld, sent %lld%s", pages, pages == 1 ? "" : "s",
                   number_at(loop, "asked"), number_at(loop, "sent"),
                   observed ? " if folded (estimate)" : "");
    if (number_at(loop, "with_list"))
        buf_put_format(out, "; with the list itself %lld", number_at(loop, "with_list"));
    buf_put_format(out, "; waited %.3f s", seconds_at(loop, "waited_seconds"));
    if (!observed)
        buf_put_format(out, "; one by one about %.3f s (estimate)", seconds_at(loop, "alone_seconds"));
    buf_put_text(out, s->end_item);
}

static void put_statement(const struct style *s, struct buf *out, const char *what, const json_t *side) {
    if (!*text_at(side, "statement"))
        return;
    buf_put_text(out, s->item);
    buf_put_text(out, what);
    put_code(s, out, text_at(side, "statement"));
    buf_put_text(out, s->end_item);
}

static void put_advice(const struct style *s, struct buf *out, const json_t *loop) {
    size_t i;
    json_t *one;
    buf_put_text(out, s->item);
    buf_put_text(out, "instead:");
    buf_put_text(out, s->html ? "<ul>" : "\n");
    json_array_foreach(json_object_get(loop, "instead"), i, one) {
        buf_put_text(out, s->html ? "<li>" : s->code[0] ? "  - " : "    ");
        if (s->html || s->code[0])
            buf_put_format(out, "%s: ", text_at(one, "for"));
        else
            buf_put_format(out, "%-11s ", text_at(one, "for"));
        put_code(s, out, text_at(one, "write"));
        buf_put_text(out, s->end_item);
    }
    buf_put_text(out, s->html ? "</ul></li>\n" : "");
}

static void put_loop(const struct style *s, struct buf *out, const json_t *loop, bool observed) {
    put_heading(s, out, loop);
    put_kind(s, out, loop);
    put_tags(s, out, loop);
    put_cost(s, out, loop, observed);
    put_statement(s, out, "list: ", json_object_get(loop, "parent"));
    put_statement(s, out, "once for each row: ", json_object_get(loop, "child"));
    put_advice(s, out, loop);
    buf_put_text(out, s->end_loop);
}

// ---- all

// A file has its style in itself; what is asked for by HTTP may not.
static void put_style(struct buf *out, bool file) {
    const struct page_file *f = page_files;
    while (f->path && strcmp(f->path, "/page.css") != 0)
        f++;
    if (!file) {
        buf_put_text(out, "<link rel=\"stylesheet\" href=\"/page.css\">\n<header><h1>Loops</h1>"
                          "<p class=\"facts\"><a href=\"/\">pgfold</a></p></header>\n<main>\n<p>");
        return;
    }
    buf_put_text(out, "<style>\n");
    buf_put(out, f->data, f->path ? f->len : 0);
    buf_put_text(out, "</style>\n<header><h1>Loops</h1></header>\n<main>\n<p>");
}

// What it says of a member of the JSON, in the words of what is written here.
static void put_estimate(const struct style *s, struct buf *out, const char *text) {
    static const char member[] = "alone_seconds is an estimate";
    const char *sent = strstr(text, "sent is an estimate");
    bool alone = strncmp(text, member, strlen(member)) == 0;
    buf_put_text(out, alone  ? "\u201cone by one\u201d is an estimate"
                      : sent ? "\u201csent\u201d is an estimate"
                             : "");
    put_safe(s, out, alone ? text + strlen(member) : sent ? sent + strlen("sent is an estimate") : text);
}

static void put_totals(const struct style *s, struct buf *out, const json_t *report, size_t loops,
                       bool only_new) {
    const json_t *totals = json_object_get(report, "totals");
    buf_put_text(out, s->title);
    buf_put_format(out, "%zu %sloop%s", loops, only_new ? "new " : "", loops == 1 ? "" : "s");
    if (!only_new)
        buf_put_format(out, "; %lld lookups asked, %lld statements sent", number_at(totals, "asked"),
                       number_at(totals, "sent"));
    if (number_at(totals, "not_listed"))
        buf_put_format(out, "; %lld more for which there was no room (report.max_loops)",
                       number_at(totals, "not_listed"));
    buf_put_text(out, "; mode ");
    put_safe(s, out, text_at(report, "mode"));
    buf_put_text(out, ", since ");
    put_safe(s, out, text_at(report, "since"));
    buf_put_text(out, s->html ? ".</p>\n<p>" : "\n");
    if (s->html || s->code[0]) {
        buf_put_text(out, s->html ? "" : "\n");
        put_estimate(s, out, text_at(report, "estimate"));
        buf_put_text(out, s->html ? "</p>\n" : "\n");
    }
}

// The text of an object, or of its beginning, without its last bracket.
static void put_json(struct buf *out, const json_t *j, bool whole) {
    char *text = json_dumps(j, JSON_INDENT(1));
    size_t len = text ? strlen(text) : 0;
    while (!whole && len && (text[len - 1] == '}' || text[len - 1] == '\n'))
        len--;
    buf_put(out, text ? text : "", len);
    out->failed |= !text;
    free(text);
}

static void begin(const json_t *head, enum report_format f, size_t loops, bool only_new, bool file,
                  struct buf *out) {
    if (f == REPORT_JSON) {
        put_json(out, head, false);
        buf_put_text(out, "},\n \"loops\": [");
        return;
    }
    buf_put_text(out, styles[f].begin);
    if (styles[f].html)
        put_style(out, file);
    put_totals(&styles[f], out, head, loops, only_new);
}

void report_begin_words(const json_t *head, enum report_format f, size_t loops, struct buf *out) {
    begin(head, f, loops, false, false, out);
}

void report_put_loop(const json_t *loop, enum report_format f, bool observed, size_t before,
                     struct buf *out) {
    if (f != REPORT_JSON)
        return put_loop(&styles[f], out, loop, observed);
    buf_put_text(out, before ? ",\n" : "\n");
    put_json(out, loop, true);
}

void report_end_words(enum report_format f, struct buf *out) {
    buf_put_text(out, f == REPORT_JSON ? "\n ]\n}\n" : styles[f].end);
}

void report_write_words(const json_t *report, enum report_format f, bool only_new, struct buf *out) {
    bool observed = strcmp(text_at(report, "mode"), "observe") == 0;
    const json_t *loops = json_object_get(report, "loops");
    size_t i;
    json_t *loop;
    if (f == REPORT_JSON) {
        put_json(out, report, true);
        buf_put_text(out, "\n");
        return;
    }
    begin(report, f, json_array_size(loops), only_new, true, out);
    json_array_foreach((json_t *)(uintptr_t)loops, i, loop) report_put_loop(loop, f, observed, i, out);
    report_end_words(f, out);
}
