#include "softskf.h"
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile int cancelled;

static bool is_present(const char *path) { return plugged_in(path) != 0; }
static bool is_device(const char *path) {
    char info[PATH_SIZE];
    return join(info, path, "info") && access(info, R_OK) == 0;
}

ULONG check_device(const Device *device) {
    if (device == NULL || device->magic != DEVICE_MAGIC) return SAR_INVALIDHANDLEERR;
    return plugged_in(device->path) == device->plugged ? SAR_OK : SAR_DEVICE_REMOVED;
}

/* The standard's way of giving a list: NULL asks for the length. Faults: null-crash (as one public library does),
 * unterminated (no NUL in the whole buffer), huge-length (claims more than the buffer holds). */
ULONG give_list(const char *function, const char *list, size_t length, LPSTR out, ULONG *size) {
    if (size == NULL) return SAR_INVALIDPARAMERR;
    if (out == NULL && fault(function, "null-crash")) *(volatile int *)8 = 1;
    if (out == NULL && fault(function, "null-refused")) return SAR_INVALIDPARAMERR;
    if (out != NULL && fault(function, "unterminated")) { memset(out, 'A', (size_t)*size); return SAR_OK; }
    if (out != NULL && fault(function, "huge-length")) { memcpy(out, list, length); *size = 0x7FFFFFF0; return SAR_OK; }
    if (out != NULL && *size < length) { *size = (ULONG)length; return SAR_BUFFER_TOO_SMALL; }
    if (out != NULL) memcpy(out, list, length);
    *size = (ULONG)length;
    return SAR_OK;
}

SKF_EXPORT SKF_EnumDev(BOOL present, LPSTR names, ULONG *size) {
    char list[4096];
    SKF_ENTER("EnumDev");
    size_t length = list_directories(softskf_root(), list, sizeof list, present ? is_present : is_device);
    return give_list("EnumDev", list, length, names, size);
}

/* Waits until the set of plugged-in locks differs from the one at the last event. Fault: immediate (returns at once with event 0). */
SKF_EXPORT SKF_WaitForDevEvent(LPSTR name, ULONG *name_size, ULONG *event) {
    static char known[4096];
    static bool started;
    SKF_ENTER("WaitForDevEvent");
    if (name == NULL || name_size == NULL || event == NULL) return SAR_INVALIDPARAMERR;
    if (fault("WaitForDevEvent", "immediate")) { *event = 0; return SAR_OK; }
    if (!started) list_directories(softskf_root(), known, sizeof known, is_present), started = true;
    for (cancelled = 0; !cancelled;) {
        char now[4096];
        size_t length = list_directories(softskf_root(), now, sizeof now, is_present);
        if (memcmp(now, known, length) != 0) {
            size_t now_count = 0, known_count = 0;
            for (const char *at = now; *at; at += strlen(at) + 1) now_count++;
            for (const char *at = known; *at; at += strlen(at) + 1) known_count++;
            bool more = now_count > known_count;
            const char *first = more ? now : known;
            snprintf(name, (size_t)*name_size, "%s", first);
            *name_size = (ULONG)(strlen(first) + 1);
            *event = more ? EVENT_INSERT : EVENT_REMOVE;
            memset(known, 0, sizeof known);
            memcpy(known, now, length);
            return SAR_OK;
        }
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    return SAR_NOT_EVENTERR;
}

SKF_EXPORT SKF_CancelWaitForDevEvent(void) {
    SKF_ENTER("CancelWaitForDevEvent");
    cancelled = 1;
    return SAR_OK;
}

SKF_EXPORT SKF_ConnectDev(LPSTR name, DEVHANDLE *handle) {
    SKF_ENTER("ConnectDev");
    if (!safe_name(name) || handle == NULL) return SAR_INVALIDPARAMERR;
    Device *device = calloc(1, sizeof *device);
    if (device == NULL || !join(device->path, softskf_root(), name)) { free(device); return SAR_FAIL; }
    device->magic = DEVICE_MAGIC;
    device->plugged = plugged_in(device->path);
    if (device->plugged == 0) { free(device); return SAR_DEVICE_REMOVED; }
    *handle = device;
    return SAR_OK;
}

/* As the standard says, this does not end a PIN session. */
SKF_EXPORT SKF_DisConnectDev(DEVHANDLE handle) {
    SKF_ENTER("DisConnectDev");
    Device *device = handle;
    if (device == NULL || device->magic != DEVICE_MAGIC) return SAR_INVALIDHANDLEERR;
    device->magic = 0;
    free(device);
    return SAR_OK;
}

SKF_EXPORT SKF_GetDevState(LPSTR name, ULONG *state) {
    char path[PATH_SIZE];
    SKF_ENTER("GetDevState");
    if (!safe_name(name) || state == NULL || !join(path, softskf_root(), name)) return SAR_INVALIDPARAMERR;
    *state = plugged_in(path) ? DEV_PRESENT : DEV_ABSENT;
    return SAR_OK;
}

/* Fills the whole field, without a NUL at the end when the text is as long as the field. */
static void fill(char *out, size_t size, const char *path, const char *field, const char *otherwise) {
    char value[256] = {0};
    if (!read_field(path, field, value, sizeof value)) snprintf(value, sizeof value, "%s", otherwise);
    memset(out, 0, size);
    size_t length = strlen(value);
    memcpy(out, value, length < size ? length : size);
}

/* Fault: noise (every byte random). */
SKF_EXPORT SKF_GetDevInfo(DEVHANDLE handle, DEVINFO *info) {
    char path[PATH_SIZE];
    SKF_ENTER("GetDevInfo");
    Device *device = handle;
    ULONG code = check_device(device);
    if (code != SAR_OK || info == NULL || !join(path, device->path, "info")) return code != SAR_OK ? code : SAR_INVALIDPARAMERR;
    if (fault("GetDevInfo", "noise")) { RAND_bytes((BYTE *)info, sizeof *info); return SAR_OK; }
    memset(info, 0, sizeof *info);
    info->Version = (VERSION){1, 0};
    info->HWVersion = info->FirmwareVersion = (VERSION){2, 1};
    fill(info->Manufacturer, sizeof info->Manufacturer, path, "manufacturer", "Soft SKF");
    fill(info->Issuer, sizeof info->Issuer, path, "issuer", "Practice");
    fill(info->Label, sizeof info->Label, path, "label", "Test lock");
    fill(info->SerialNumber, sizeof info->SerialNumber, path, "serial", "0000000000000000");
    info->AlgSymCap = 0x00000402, info->AlgAsymCap = 0x00030700, info->AlgHashCap = 0x00000007, info->DevAuthAlgId = 0x00000401;
    info->TotalSpace = 65536, info->FreeSpace = 32768, info->MaxECCBufferSize = 4096, info->MaxBufferSize = 8192;
    return SAR_OK;
}

SKF_EXPORT SKF_GenRandom(DEVHANDLE handle, BYTE *out, ULONG length) {
    SKF_ENTER("GenRandom");
    ULONG code = check_device(handle);
    if (code != SAR_OK) return code;
    return out != NULL && length <= 4096 && RAND_bytes(out, (int)length) == 1 ? SAR_OK : SAR_GENRANDERR;
}
