#include "softskf.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *softskf_root(void) {
#ifdef ULONG64 /* with both widths in one process tree, each may have ports of its own */
    const char *root = getenv("SOFTSKF_DIR64");
    if (root == NULL) root = getenv("SOFTSKF_DIR");
#else
    const char *root = getenv("SOFTSKF_DIR");
#endif
    return root != NULL ? root : "/nonexistent";
}

bool join(char *out, const char *directory, const char *name) {
    return snprintf(out, PATH_SIZE, "%s/%s", directory, name) < PATH_SIZE;
}

bool safe_name(const char *name) {
    return name != NULL && name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL && strlen(name) < 64;
}

/* A number that changes each time the lock is plugged in again; 0 while it is not. */
uint64_t plugged_in(const char *device_path) {
    char path[PATH_SIZE];
    struct stat status;
    if (!join(path, device_path, "present") || stat(path, &status) != 0) return 0;
    return (uint64_t)status.st_ino * 1000003u + (uint64_t)status.st_mtim.tv_sec * 1000000000u + (uint64_t)status.st_mtim.tv_nsec + 1;
}

unsigned char *read_whole(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) return NULL;
    unsigned char *bytes = malloc(65536);
    if (bytes != NULL) *length = fread(bytes, 1, 65535, file);
    if (bytes != NULL) bytes[*length] = '\0';
    fclose(file);
    return bytes;
}

bool read_field(const char *path, const char *field, char *value, size_t size) {
    FILE *file = fopen(path, "r");
    char line[512];
    bool found = false;
    size_t name = strlen(field);
    if (file == NULL) return false;
    while (!found && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, field, name) == 0 && line[name] == ' ') {
            snprintf(value, size, "%s", line + name + 1);
            found = true;
        }
    }
    fclose(file);
    return found;
}

long read_number(const char *path, const char *field, long otherwise) {
    char value[32];
    return read_field(path, field, value, sizeof value) ? strtol(value, NULL, 10) : otherwise;
}

/* Replaces or adds one line, by a new file renamed over the old one: a crash never leaves half a PIN state. */
bool write_field(const char *path, const char *field, const char *value) {
    char draft[PATH_SIZE], line[512];
    size_t name = strlen(field);
    if (snprintf(draft, sizeof draft, "%s.%ld", path, (long)getpid()) >= (int)sizeof draft) return false;
    FILE *out = fopen(draft, "w");
    if (out == NULL) return false;
    fprintf(out, "%s %s\n", field, value);
    FILE *in = fopen(path, "r");
    while (in != NULL && fgets(line, sizeof line, in) != NULL)
        if (strncmp(line, field, name) != 0 || line[name] != ' ') fputs(line, out);
    if (in != NULL) fclose(in);
    return fclose(out) == 0 && rename(draft, path) == 0;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Names of the wanted subdirectories, each ended by NUL and the list by one more; the length without truncation. */
size_t list_directories(const char *path, char *list, size_t size, bool (*wanted)(const char *path)) {
    char *names[64], child[PATH_SIZE];
    size_t count = 0, used = 0;
    struct stat status;
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory != NULL && count < 64 && (entry = readdir(directory)) != NULL;) {
        if (!safe_name(entry->d_name) || !join(child, path, entry->d_name)) continue;
        if (stat(child, &status) != 0 || !S_ISDIR(status.st_mode) || (wanted != NULL && !wanted(child))) continue;
        names[count++] = strdup(entry->d_name);
    }
    if (directory != NULL) closedir(directory);
    qsort(names, count, sizeof names[0], by_name);
    for (size_t index = 0; index < count; index++) {
        size_t length = strlen(names[index]) + 1;
        if (used + length < size) memcpy(list + used, names[index], length), used += length;
        free(names[index]);
    }
    list[used] = '\0';
    return used + 1;
}
