/* At which places of the source a misuse is that the report by group tells of once: the reader has to mend
 * each. Called by report.c. */
#include <string.h>

#include "hash.h"
#include "render.h"
#include "report.h"
#include "text.h"

/* What a place is known by: its line; or, for a program without debug information, where the span is made. */
struct known {
    const char *key;
    const struct ss_other_place *place; /* NULL: where the violation is that is told */
    bool exact;                         /* some violation there has the line */
    UT_hash_handle hh;
};

/* The places of what one violation tells of, as far as they are found. */
struct places {
    struct ss_violation *told;
    struct ss_other_place **end;
    struct known *known;
};

static const struct known *find(const struct places *places, const char *key)
{
    struct known *found;
    HASH_FIND(hh, places->known, key, (unsigned)strlen(key), found);
    return found;
}

static void add_key(struct places *places, const char *key, const struct ss_other_place *place,
                    bool exact)
{
    if (find(places, key))
        return;
    struct known *known = ss_keep(sizeof *known);
    *known = (struct known){.key = key, .place = place, .exact = exact};
    HASH_ADD_KEYPTR(hh, places->known, known->key, (unsigned)strlen(known->key), known);
}

static const struct ss_other_place *add_place(struct places *places,
                                              const struct ss_violation *violation)
{
    struct ss_other_place *place = ss_keep(sizeof *place);
    *place = (struct ss_other_place){.violation = violation};
    *places->end = place;
    places->end = &place->next;
    places->told->other_place_count++;
    return place;
}

/* The place of a violation, made where it is new. One of which nothing is known is where the told one is. */
static const struct ss_other_place *place_of(struct places *places,
                                             const struct ss_violation *violation)
{
    struct ss_where where = ss_where(violation);
    const char *made = ss_span_place(violation);
    const char *line = where.exact ? ss_text("at %s", where.place) : NULL;
    const char *span = ss_text("made at %s", made ? made : "?");
    const struct ss_other_place *place = NULL;
    const struct known *known = line ? find(places, line) : NULL;
    if (!known) {
        known = find(places, span);
        if (known && known->exact && line)
            known = NULL; /* another line with the same span */
    }
    if (known)
        place = known->place;
    else if (violation != places->told && (line || made))
        place = add_place(places, violation);
    if (line)
        add_key(places, line, place, true);
    add_key(places, span, place, line);
    return place;
}

static void find_places(struct ss_violation *told)
{
    struct places places = {.told = told, .end = &told->other_places};
    const struct ss_sighting *before = NULL;
    told->other_places = NULL;
    told->other_place_count = 0;
    place_of(&places, told);
    for (struct ss_sighting *seen = told->seen_in; seen; before = seen, seen = seen->next)
        seen->place = before && before->violation == seen->violation
                          ? before->place
                          : place_of(&places, seen->violation);
    HASH_CLEAR(hh, places.known);
}

void ss_find_places(struct ss_report *report)
{
    for (struct ss_violation *told = report->violations; told; told = told->next)
        find_places(told);
}
