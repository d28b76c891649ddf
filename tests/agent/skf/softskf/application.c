#include "softskf.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_application(const char *path) {
    char pin[PATH_SIZE];
    return join(pin, path, "pin") && access(pin, R_OK) == 0;
}

ULONG check_application(const Application *application) {
    if (application == NULL || application->magic != APPLICATION_MAGIC) return SAR_INVALIDHANDLEERR;
    return check_device(application->device);
}

/* The right belongs to the application on the device, not to a process; pulling the lock out ends it. */
bool logged_in(const Application *application) {
    char path[PATH_SIZE], value[32];
    return join(path, application->path, "session") && read_field(path, "plugged", value, sizeof value) &&
           strtoull(value, NULL, 10) == application->device->plugged;
}

SKF_EXPORT SKF_EnumApplication(DEVHANDLE handle, LPSTR names, ULONG *size) {
    char list[4096];
    SKF_ENTER("EnumApplication");
    ULONG code = check_device(handle);
    if (code != SAR_OK) return code;
    size_t length = list_directories(((Device *)handle)->path, list, sizeof list, is_application);
    return give_list("EnumApplication", list, length, names, size);
}

SKF_EXPORT SKF_OpenApplication(DEVHANDLE handle, LPSTR name, HAPPLICATION *out) {
    SKF_ENTER("OpenApplication");
    ULONG code = check_device(handle);
    if (code != SAR_OK) return code;
    if (!safe_name(name) || out == NULL) return SAR_INVALIDPARAMERR;
    if (fails_for("OpenApplication", name)) return SAR_FAIL;
    Application *application = calloc(1, sizeof *application);
    if (application == NULL) return SAR_FAIL;
    application->magic = APPLICATION_MAGIC;
    application->device = handle;
    if (!join(application->path, ((Device *)handle)->path, name) || !is_application(application->path)) {
        free(application);
        return SAR_APPLICATION_NOT_EXISTS;
    }
    *out = application;
    return SAR_OK;
}

SKF_EXPORT SKF_CloseApplication(HAPPLICATION handle) {
    SKF_ENTER("CloseApplication");
    Application *application = handle;
    if (application == NULL || application->magic != APPLICATION_MAGIC) return SAR_INVALIDHANDLEERR;
    application->magic = 0;
    free(application);
    return SAR_OK;
}

static const char *left_field(ULONG type) { return type == ADMIN_TYPE ? "admin_left" : "left"; }
static const char *max_field(ULONG type) { return type == ADMIN_TYPE ? "admin_max" : "max"; }

SKF_EXPORT SKF_GetPINInfo(HAPPLICATION handle, ULONG type, ULONG *max, ULONG *left, BOOL *is_default) {
    char path[PATH_SIZE];
    SKF_ENTER("GetPINInfo");
    ULONG code = check_application(handle);
    if (code != SAR_OK) return code;
    if (max == NULL || left == NULL || is_default == NULL || !join(path, ((Application *)handle)->path, "pin")) return SAR_INVALIDPARAMERR;
    if (type > USER_TYPE) return SAR_USER_TYPE_INVALID;
    *max = (ULONG)read_number(path, max_field(type), 10);
    *left = (ULONG)read_number(path, left_field(type), 10);
    *is_default = type == USER_TYPE && read_number(path, "default", 0) != 0;
    return SAR_OK;
}

/* One try: counts down before it compares, so that pulling the lock out never gives a free one. Faults: TryPIN zero
 * (the number of tries that is left is reported as none), TryPIN invalid (the same, and a wrong PIN is SAR_PIN_INVALID). */
static ULONG try_pin(const char *path, ULONG type, const char *pin, ULONG *left_out) {
    char right[64], number[24];
    long left = read_number(path, left_field(type), 10);
    if (left_out != NULL) *left_out = (ULONG)left;
    if (left <= 0) return SAR_PIN_LOCKED;
    if (pin == NULL || strlen(pin) < 1 || strlen(pin) > 16) return SAR_PIN_LEN_RANGE;
    snprintf(number, sizeof number, "%ld", --left);
    if (!write_field(path, left_field(type), number)) return SAR_FILEERR;
    if (!read_field(path, type == ADMIN_TYPE ? "admin" : "user", right, sizeof right) || strcmp(right, pin) != 0) {
        bool invalid = fault("TryPIN", "invalid");
        if (left_out != NULL) *left_out = invalid || fault("TryPIN", "zero") ? 0 : (ULONG)left;
        if (invalid) return SAR_PIN_INVALID;
        return left > 0 ? SAR_PIN_INCORRECT : SAR_PIN_LOCKED;
    }
    snprintf(number, sizeof number, "%ld", read_number(path, max_field(type), 10));
    return write_field(path, left_field(type), number) ? SAR_OK : SAR_FILEERR;
}

SKF_EXPORT SKF_VerifyPIN(HAPPLICATION handle, ULONG type, LPSTR pin, ULONG *left) {
    char path[PATH_SIZE], session[PATH_SIZE], plugged[32];
    SKF_ENTER("VerifyPIN");
    Application *application = handle;
    ULONG code = check_application(application);
    if (code != SAR_OK) return code;
    if (type > USER_TYPE || !join(path, application->path, "pin")) return SAR_USER_TYPE_INVALID;
    code = try_pin(path, type, pin, left);
    if (code != SAR_OK || type != USER_TYPE) return code;
    snprintf(plugged, sizeof plugged, "%llu", (unsigned long long)application->device->plugged);
    return join(session, application->path, "session") && write_field(session, "plugged", plugged) ? SAR_OK : SAR_FILEERR;
}

SKF_EXPORT SKF_ChangePIN(HAPPLICATION handle, ULONG type, LPSTR old_pin, LPSTR new_pin, ULONG *left) {
    char path[PATH_SIZE];
    SKF_ENTER("ChangePIN");
    ULONG code = check_application(handle);
    if (code != SAR_OK) return code;
    if (type > USER_TYPE || !join(path, ((Application *)handle)->path, "pin")) return SAR_USER_TYPE_INVALID;
    if (new_pin == NULL || strlen(new_pin) < 6 || strlen(new_pin) > 16) return SAR_PIN_LEN_RANGE;
    code = try_pin(path, type, old_pin, left);
    if (code != SAR_OK) return code;
    bool written = write_field(path, type == ADMIN_TYPE ? "admin" : "user", new_pin) && write_field(path, "default", "0");
    return written ? SAR_OK : SAR_FILEERR;
}

SKF_EXPORT SKF_UnblockPIN(HAPPLICATION handle, LPSTR admin_pin, LPSTR new_pin, ULONG *left) {
    char path[PATH_SIZE], number[24];
    SKF_ENTER("UnblockPIN");
    ULONG code = check_application(handle);
    if (code != SAR_OK) return code;
    if (!join(path, ((Application *)handle)->path, "pin")) return SAR_FAIL;
    if (new_pin == NULL || strlen(new_pin) < 6 || strlen(new_pin) > 16) return SAR_PIN_LEN_RANGE;
    code = try_pin(path, ADMIN_TYPE, admin_pin, left);
    if (code != SAR_OK) return code;
    snprintf(number, sizeof number, "%ld", read_number(path, "max", 10));
    return write_field(path, "user", new_pin) && write_field(path, "left", number) ? SAR_OK : SAR_FILEERR;
}

SKF_EXPORT SKF_ClearSecureState(HAPPLICATION handle) {
    char session[PATH_SIZE];
    SKF_ENTER("ClearSecureState");
    Application *application = handle;
    if (application == NULL || application->magic != APPLICATION_MAGIC) return SAR_INVALIDHANDLEERR;
    if (join(session, application->path, "session")) unlink(session);
    return check_application(application);
}
