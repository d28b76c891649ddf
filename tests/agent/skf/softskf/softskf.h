/* A lock in files, for tests. $SOFTSKF_DIR holds one directory per device:
 *
 *   DEVICE/present                     the lock is plugged in while this file exists
 *   DEVICE/info                        lines "serial …", "label …", "manufacturer …", "issuer …"
 *   DEVICE/APP/pin                     lines "user PIN", "admin PIN", "max N", "left N", "default 0|1", "admin_left N"
 *   DEVICE/APP/session                 written by VerifyPIN, removed by ClearSecureState: "the user is logged in"
 *   DEVICE/APP/containers/NAME/        sign.key sign.crt enc.key enc.crt  (keys PEM, certificates DER)
 *   fault                              lines "FUNCTION FAULT" (function without SKF_, or *)
 *   trace                              when it exists, every call appends its name
 *   timing                             when it exists, DisConnectDev appends "used|read NANOSECONDS": time spent in the calls since
 *                                      the last one (but the waiting one), and whether a PIN was tried among them
 *
 * Faults of every function: hang, crash, abort, fail=HEX (return that code), remove (the lock is pulled out now).
 * The others are named where they act. */
#ifndef SOFTSKF_H
#define SOFTSKF_H
#include "skf.h"
#include <stdbool.h>
#include <stddef.h>

#define PATH_SIZE 1024

typedef struct { unsigned magic; char path[PATH_SIZE]; uint64_t plugged; } Device;
typedef struct { unsigned magic; Device *device; char path[PATH_SIZE]; } Application;
typedef struct { unsigned magic; Application *application; char path[PATH_SIZE]; } Container;
enum { DEVICE_MAGIC = 0x44455631, APPLICATION_MAGIC = 0x41505031, CONTAINER_MAGIC = 0x434F4E31 };

/* store.c */
const char *softskf_root(void);
bool join(char *out, const char *directory, const char *name);
bool safe_name(const char *name);
uint64_t plugged_in(const char *device_path);
unsigned char *read_whole(const char *path, size_t *length);
bool read_field(const char *path, const char *field, char *value, size_t size);
long read_number(const char *path, const char *field, long otherwise);
bool write_field(const char *path, const char *field, const char *value);
size_t list_directories(const char *path, char *list, size_t size, bool (*wanted)(const char *path));

/* faults.c: SKF_ENTER is the first line of every exported function */
bool fault(const char *function, const char *name);
bool fails_for(const char *function, const char *name); /* the line says fails-for=NAME */
ULONG enter(const char *function);
typedef struct { const char *function; uint64_t begun; } Span;
Span begin(const char *function);
void end(const Span *span);
#define SKF_ENTER(function) \
    __attribute__((cleanup(end))) const Span span_ = begin(function); \
    ULONG entered_ = enter(function); \
    if (entered_ != SAR_OK) return entered_

/* device.c, application.c */
ULONG check_device(const Device *device);
ULONG check_application(const Application *application);
ULONG check_container(const Container *container);
bool logged_in(const Application *application);
ULONG give_list(const char *function, const char *list, size_t length, LPSTR out, ULONG *size);
#endif
