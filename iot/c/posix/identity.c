#include "headset.h"

#include <stdio.h>
#include <string.h>

/* Undo the escapes of a JSON string. Return whether it fits. */
static bool text_of(anc_json value, char *out, size_t limit)
{
    size_t size = 0;
    if (value.type != 's')
        return false;
    for (size_t i = 0; i < value.length; i++) {
        char c = value.text[i];
        if (c == '\\' && ++i < value.length)
            c = value.text[i] == 'n' ? '\n' : value.text[i];
        if (size + 1 >= limit)
            return false;
        out[size++] = c;
    }
    out[size] = 0;
    return true;
}

static bool store_pem(headset *h, const char *json, size_t length, const char *field, const char *name, char *path)
{
    char pem[8192];
    if (!text_of(anc_json_find(json, length, field), pem, sizeof pem))
        return false;
    snprintf(path, 300, "%s/%s", h->folder, name);
    return write_text(h->folder, name, pem, strlen(pem));
}

bool read_registration(headset *h, const char *file)
{
    static char json[32768], host[256], port[8], ca[300], certificate[300], key[300];
    uint32_t number = 8883, taps = 0;
    size_t length = read_text(".", file, json, sizeof json);
    if (file[0] == '/')
        length = read_text("/", file + 1, json, sizeof json);
    bool complete = text_of(anc_json_find(json, length, "thing"), h->thing, sizeof h->thing) &&
                    text_of(anc_json_find(json, length, "credentials.endpoint"), host, sizeof host) &&
                    anc_json_uint(anc_json_find(json, length, "credentials.port"), &number) &&
                    anc_json_uint(anc_json_find(json, length, "rate"), &h->rate) &&
                    anc_json_uint(anc_json_find(json, length, "taps"), &taps) &&
                    store_pem(h, json, length, "credentials.ca", "ca.pem", ca) &&
                    store_pem(h, json, length, "credentials.certificate", "certificate.pem", certificate) &&
                    store_pem(h, json, length, "credentials.private_key", "private.pem", key);
    text_of(anc_json_find(json, length, "credentials.environment"), h->environment, sizeof h->environment);
    snprintf(port, sizeof port, "%u", number);
    h->taps = taps;
    h->endpoint = (mqtt_endpoint){host, port, ca, certificate, key};
    return complete && h->rate >= 8000 && h->rate <= ANC_MAX_RATE && h->taps <= ANC_MAX_TAPS;
}
