#include "headset.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define UNREPORTED 1000 /* snapshots between two reports, at most */

size_t read_text(const char *folder, const char *name, char *out, size_t limit)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    size_t size = file ? fread(out, 1, limit, file) : 0;
    if (file)
        fclose(file);
    return size;
}

/* A power failure leaves the old file or the new one. Only the owner can read it. */
bool write_text(const char *folder, const char *name, const char *text, size_t length)
{
    char path[600], partial[610];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(partial, sizeof partial, "%s.new", path);
    int file = open(partial, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0)
        return false;
    bool written = write(file, text, length) == (ssize_t)length && !fsync(file);
    return !close(file) && written && !rename(partial, path);
}

static void continue_after(headset *h, uint32_t number)
{
    char text[16];
    if (number <= h->seq)
        return;
    h->seq = number;
    write_text(h->folder, "sequence", text, (size_t)snprintf(text, sizeof text, "%u", number));
}

void recover_number(headset *h, uint32_t reported)
{
    if (reported > h->seq) /* the stored number was lost, and snapshots may have been sent after that report */
        continue_after(h, reported < UINT32_MAX - UNREPORTED ? reported + UNREPORTED : reported);
}

uint32_t next_number(headset *h)
{
    continue_after(h, h->seq + 1);
    return h->seq;
}
