/* Find a value in a JSON document by its path, without building the document. */
#include "../anc.h"

#include <string.h>

#define MAX_DEPTH 16
#define MAX_NUMBER 32
#define MAX_EXPONENT 100

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

/* Return the end of a string that begins with a quote, behind its closing quote, or NULL. */
static const char *skip_string(const char *at, const char *end)
{
    for (at++; at < end; at++) {
        if (*at == '"')
            return at + 1;
        if (*at == '\\')
            at++;
    }
    return NULL;
}

/* Return the end of any value, or NULL. Brackets are counted; a document that is not JSON may be accepted in part. */
static const char *skip_value(const char *at, const char *end)
{
    int depth = 0;
    for (at = skip_space(at, end); at < end;) {
        char c = *at;
        if (c == '"') {
            at = skip_string(at, end);
            if (!at)
                return NULL;
        } else if (c == '{' || c == '[') {
            if (++depth > MAX_DEPTH)
                return NULL;
            at++;
        } else if (c == '}' || c == ']') {
            if (!depth)
                return at;
            depth--;
            at++;
        } else if (!depth && c == ',') {
            return at;
        } else {
            at++;
            continue;
        }
        if (!depth)
            return at;
    }
    return depth ? NULL : at;
}

static anc_json value_at(const char *at, const char *end)
{
    anc_json value = {0};
    at = skip_space(at, end);
    const char *stop = at < end ? skip_value(at, end) : NULL;
    if (!stop || stop == at)
        return value;
    while (stop > at && strchr(" \t\r\n", stop[-1]))
        stop--;
    value.text = at;
    value.length = (size_t)(stop - at);
    value.type = *at == '"'   ? 's'
                 : *at == '{' ? 'o'
                 : *at == '[' ? 'a'
                 : *at == 'n' ? 'z'
                 : *at == 't' || *at == 'f' ? 'b'
                                            : 'n';
    if (value.type == 's') {
        value.text++;
        value.length -= 2;
    }
    return value;
}

static anc_json member(anc_json object, const char *name, size_t length)
{
    if (object.type != 'o')
        return (anc_json){0};
    const char *at = object.text + 1, *end = object.text + object.length - 1;
    while ((at = skip_space(at, end)) < end && *at == '"') {
        const char *key = at + 1, *after = skip_string(at, end);
        if (!after)
            break;
        size_t key_length = (size_t)(after - 1 - key);
        at = skip_space(after, end);
        if (at == end || *at != ':')
            break;
        anc_json value = value_at(++at, end);
        if (!value.type)
            break;
        if (key_length == length && !memcmp(key, name, length))
            return value;
        at = skip_value(at, end);
        if (!at)
            break;
        at = skip_space(at, end);
        if (at < end && *at == ',')
            at++;
    }
    return (anc_json){0};
}

anc_json anc_json_find(const char *text, size_t length, const char *path)
{
    anc_json value = value_at(text, text + length);
    while (*path && value.type) {
        size_t name = strcspn(path, ".");
        value = member(value, path, name);
        path += name + (path[name] == '.');
    }
    return value;
}

anc_json anc_json_element(anc_json array, size_t index)
{
    if (array.type != 'a')
        return (anc_json){0};
    const char *at = array.text + 1, *end = array.text + array.length - 1;
    while (at && (at = skip_space(at, end)) < end) {
        if (!index--)
            return value_at(at, end);
        at = skip_value(at, end);
        at = at ? skip_space(at, end) : NULL;
        if (at && at < end && *at == ',')
            at++;
    }
    return (anc_json){0};
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool anc_json_number(anc_json value, double *number)
{
    /* The digits are an integer, scaled once: exact for up to 15 digits. */
    double whole = 0, scale = 1;
    int decimals = 0, exponent = 0, sign = 1;
    if (value.type != 'n' || value.length > MAX_NUMBER)
        return false;
    const char *at = value.text, *end = at + value.length;
    bool negative = *at == '-';
    const char *first = at += negative;
    for (; at < end && is_digit(*at); at++)
        whole = whole * 10 + (*at - '0');
    if (at == first)
        return false;
    if (at < end && *at == '.')
        for (at++; at < end && is_digit(*at); at++, decimals++)
            whole = whole * 10 + (*at - '0');
    if (at < end && (*at | 32) == 'e') {
        at++;
        if (at < end && (*at == '-' || *at == '+'))
            sign = *at++ == '-' ? -1 : 1;
        for (; at < end && is_digit(*at) && exponent < MAX_EXPONENT; at++)
            exponent = exponent * 10 + (*at - '0');
    }
    exponent = sign * exponent - decimals;
    for (int i = exponent < 0 ? -exponent : exponent; i > 0; i--)
        scale *= 10;
    whole = exponent < 0 ? whole / scale : whole * scale;
    *number = negative ? -whole : whole;
    return at == end;
}

bool anc_json_uint(anc_json value, uint32_t *number)
{
    double found = 0;
    if (!anc_json_number(value, &found) || !(found >= 0 && found <= 4294967295.0))
        return false;
    *number = (uint32_t)found;
    return (double)*number >= found && (double)*number <= found;
}

anc_filter_document anc_filter_document_of(const char *text, size_t length)
{
    anc_json id = anc_json_find(text, length, "id"), data = anc_json_find(text, length, "data");
    anc_json hash = anc_json_find(text, length, "sha256"), type = anc_json_find(text, length, "dtype");
    anc_filter_document f = {.id = id.text, .data = data.text, .sha256 = hash.text, .dtype = type.text};
    f.id_length = id.length;
    f.data_length = data.length;
    f.sha256_length = hash.length;
    f.dtype_length = type.length;
    anc_json_uint(anc_json_find(text, length, "seq"), &f.seq);
    anc_json_uint(anc_json_find(text, length, "rate"), &f.rate);
    anc_json_uint(anc_json_find(text, length, "taps"), &f.taps);
    return f;
}

bool anc_json_equals(anc_json value, const char *text)
{
    return value.type == 's' && value.length == strlen(text) && !memcmp(value.text, text, value.length);
}
