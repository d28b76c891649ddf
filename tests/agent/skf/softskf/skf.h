/* The part of GM/T 0016 (智能密码钥匙密码应用接口规范, SKF) that login, PIN handling and certificate reading need.
 * Written from clauses 6 and 7 of the standard. ULONG is 32 bit there; some vendors compile it as `unsigned long`,
 * which is 64 bit on Linux and macOS: -DULONG64 builds such a library. */
#ifndef SKF_H
#define SKF_H
#include <stdint.h>

typedef uint8_t BYTE;
typedef char *LPSTR;
typedef int32_t BOOL;
#ifdef ULONG64
typedef uint64_t ULONG;
#else
typedef uint32_t ULONG;
#endif
typedef void *HANDLE;
typedef HANDLE DEVHANDLE, HAPPLICATION, HCONTAINER;

#if defined(_WIN32) && !defined(_WIN64)
#define DEVAPI __attribute__((stdcall))
#else
#define DEVAPI
#endif
#define SKF_EXPORT __attribute__((visibility("default"))) ULONG DEVAPI

#pragma pack(push, 1)
typedef struct { BYTE major, minor; } VERSION;
typedef struct {
    VERSION Version;
    char Manufacturer[64], Issuer[64], Label[32], SerialNumber[32];
    VERSION HWVersion, FirmwareVersion;
    ULONG AlgSymCap, AlgAsymCap, AlgHashCap, DevAuthAlgId, TotalSpace, FreeSpace, MaxECCBufferSize, MaxBufferSize;
    BYTE Reserved[64];
} DEVINFO;
typedef struct { ULONG BitLen; BYTE XCoordinate[64], YCoordinate[64]; } ECCPUBLICKEYBLOB;
typedef struct { BYTE r[64], s[64]; } ECCSIGNATUREBLOB;
typedef struct { ULONG AlgID, BitLen; BYTE Modulus[256], PublicExponent[4]; } RSAPUBLICKEYBLOB;
#pragma pack(pop)

enum { ADMIN_TYPE = 0, USER_TYPE = 1 };
enum { CONTAINER_NONE = 0, CONTAINER_RSA = 1, CONTAINER_ECC = 2 };
enum { DEV_ABSENT = 0, DEV_PRESENT = 1 };
enum { EVENT_INSERT = 1, EVENT_REMOVE = 2 };
#define SGD_SM3 0x00000001
#define SGD_RSA 0x00010000

#define SAR_OK 0
#define SAR_FAIL 0x0A000001
#define SAR_NOTSUPPORTYETERR 0x0A000003
#define SAR_FILEERR 0x0A000004
#define SAR_INVALIDHANDLEERR 0x0A000005
#define SAR_INVALIDPARAMERR 0x0A000006
#define SAR_KEYUSAGEERR 0x0A00000A
#define SAR_INDATALENERR 0x0A000010
#define SAR_GENRANDERR 0x0A000012
#define SAR_HASHERR 0x0A000014
#define SAR_KEYNOTFOUNDERR 0x0A00001B
#define SAR_CERTNOTFOUNDERR 0x0A00001C
#define SAR_BUFFER_TOO_SMALL 0x0A000020
#define SAR_NOT_EVENTERR 0x0A000022
#define SAR_DEVICE_REMOVED 0x0A000023
#define SAR_PIN_INCORRECT 0x0A000024
#define SAR_PIN_LOCKED 0x0A000025
#define SAR_PIN_INVALID 0x0A000026
#define SAR_PIN_LEN_RANGE 0x0A000027
#define SAR_USER_TYPE_INVALID 0x0A00002A
#define SAR_USER_NOT_LOGGED_IN 0x0A00002D
#define SAR_APPLICATION_NOT_EXISTS 0x0A00002E

#endif
