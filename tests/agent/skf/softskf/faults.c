#include "softskf.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Looks for "FUNCTION NAME" or "* NAME"; with a NAME that ends in '=' the rest of the line is put into value. */
static bool find_fault(const char *function, const char *name, char *value, size_t size) {
    char path[PATH_SIZE], line[256];
    bool found = false;
    if (!join(path, softskf_root(), "fault")) return false;
    FILE *file = fopen(path, "r");
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *fault_name = strchr(line, ' ');
        if (fault_name == NULL) continue;
        *fault_name++ = '\0';
        if (strcmp(line, function) != 0 && strcmp(line, "*") != 0) continue;
        size_t length = strlen(name);
        bool prefix = name[length - 1] == '=';
        found = prefix ? strncmp(fault_name, name, length) == 0 : strcmp(fault_name, name) == 0;
        if (found && value != NULL) snprintf(value, size, "%s", fault_name + length);
    }
    if (file != NULL) fclose(file);
    return found;
}

bool fault(const char *function, const char *name) { return find_fault(function, name, NULL, 0); }

bool fails_for(const char *function, const char *name) {
    char value[256];
    return find_fault(function, "fails-for=", value, sizeof value) && strcmp(value, name) == 0;
}

static void trace(const char *function) {
    char path[PATH_SIZE];
    if (!join(path, softskf_root(), "trace") || access(path, W_OK) != 0) return;
    FILE *file = fopen(path, "a");
    if (file == NULL) return;
    fprintf(file, "%s\n", function);
    fclose(file);
}

static void pull_out_all(void) {
    char list[4096], device[PATH_SIZE], present[PATH_SIZE];
    list_directories(softskf_root(), list, sizeof list, NULL);
    for (const char *name = list; *name != '\0'; name += strlen(name) + 1)
        if (join(device, softskf_root(), name) && join(present, device, "present")) unlink(present);
}

ULONG enter(const char *function) {
    char value[32];
    trace(function);
    if (fault(function, "hang")) for (;;) pause();
    if (fault(function, "crash")) *(volatile int *)8 = 1;
    if (fault(function, "abort")) abort();
    if (fault(function, "remove")) pull_out_all();
    if (find_fault(function, "fail=", value, sizeof value)) return (ULONG)strtoul(value, NULL, 16);
    return SAR_OK;
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

Span begin(const char *function) { return (Span){function, now()}; }

/* Runs when an exported function returns, whichever way. */
void end(const Span *span) {
    static _Atomic uint64_t spent;
    static _Atomic int used;
    char path[PATH_SIZE];
    if (strcmp(span->function, "WaitForDevEvent") == 0) return;
    atomic_fetch_add(&spent, now() - span->begun);
    if (strcmp(span->function, "VerifyPIN") == 0) used = 1;
    if (strcmp(span->function, "DisConnectDev") != 0) return;
    uint64_t total = atomic_exchange(&spent, 0);
    int with_pin = atomic_exchange(&used, 0);
    FILE *file = join(path, softskf_root(), "timing") && access(path, W_OK) == 0 ? fopen(path, "a") : NULL;
    if (file == NULL) return;
    fprintf(file, "%s %llu\n", with_pin ? "used" : "read", (unsigned long long)total);
    fclose(file);
}
