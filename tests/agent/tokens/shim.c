/* A PKCS#11 library that passes every call on to another one and adds a habit of real vendor libraries.
 *
 * SHIM_MODULE is the other library, SHIM_HABITS a file of words that is read again at each call, so that a test can change them:
 *   serial=S label=L   every token says this serial number, this label (S or L may be empty)
 *   swap               the first two slots have changed their numbers
 *   pinpad=PIN         the PIN is typed on the reader: a PIN from the program is refused, a NULL PIN is answered with PIN
 *   newpin=PIN         what is typed there as the new PIN when a PIN is changed
 *   vendorkeys         key objects have a key type of the vendor's own
 *   loggedin           another program is logged in, until somebody logs out
 *   loggedin=own       this one is, from before; its last session that is closed logs out, and a logout after that is an error
 *   open=RV            C_OpenSession answers with this code (hexadecimal)
 *   onesession         one session may be open at a time; one that is left open stays so, even after C_Finalize
 *   login=RV           C_Login answers with this code (hexadecimal)
 *   logout=RV          C_Logout logs out and answers with this code; the token is gone while that session is open, even after C_Finalize
 *   silent             tokens do not tell that a wrong PIN was tried
 *   sign=RV            C_SignInit answers with this code
 *   pulled=RV          the tokens are pulled out at C_SignInit, which answers with this code
 *   longestpin=N       every token says that its PIN has at most so many octets
 *   hidesign           key objects do not tell whether they sign (CKA_SIGN)
 *   dersignatures      a signature of r and s is written in DER
 *   refuses=TYPE       attributes of this type (hexadecimal) are answered with CKR_GENERAL_ERROR
 *   hang=C_X crash=C_X the function C_X never comes back, or ends the process
 * Places in CK_FUNCTION_LIST: PKCS#11 2.40 clause 3.6.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long ulong_;
typedef unsigned char byte;

enum { GET_FUNCTION_LIST = 3, GET_SLOT_LIST, GET_SLOT_INFO, GET_TOKEN_INFO, GET_MECHANISM_LIST, SET_PIN = 11, OPEN_SESSION, CLOSE_SESSION, CLOSE_ALL_SESSIONS,
       LOGIN = 18, LOGOUT, GET_ATTRIBUTE_VALUE = 24, SIGN_INIT = 42, SIGN, FUNCTIONS = 68 };
enum { OK = 0, GENERAL_ERROR = 5, ATTRIBUTE_TYPE_INVALID = 0x12, FUNCTION_CANCELED = 0x50, KEY_TYPE = 0x100, USER_ALREADY_LOGGED_IN = 0x100, USER_NOT_LOGGED_IN = 0x101, SIGNS = 0x108, VENDOR_KEY_TYPE = 0x80008001,
       PROTECTED_AUTHENTICATION_PATH = 0x100, PIN_WARNINGS = 0x70000, SESSION_COUNT = 0xB1, TOKEN_NOT_PRESENT = 0xE0 };

struct function_list { byte major, minor; void *at[FUNCTIONS]; };
struct token_info { byte label[32], manufacturer[32], model[16], serial[16]; ulong_ flags, sessions[4], longest_pin, shortest_pin; };
struct attribute { ulong_ type; void *value; ulong_ length; };

static struct function_list *real, mine;
static ulong_ first_slots[2];
static int slots_known, logged_out, left_open, pulled, open_sessions;

/* The value of a habit, "" for one without a value, NULL when it is off. */
static const char *habit(const char *name)
{
    static char text[1024];
    const char *path = getenv("SHIM_HABITS");
    FILE *file = path ? fopen(path, "r") : NULL;
    size_t length = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    text[length] = 0;
    for (char *word = strtok(text, "\n"); word; word = strtok(NULL, "\n")) {
        size_t size = strlen(name);
        if (strncmp(word, name, size) == 0 && (word[size] == 0 || word[size] == '='))
            return word + size + (word[size] == '=');
    }
    return NULL;
}

static void misbehave(const char *function)
{
    const char *where = habit("hang");
    if (where && strcmp(where, function) == 0)
        for (;;)
            pause();
    where = habit("crash");
    if (where && strcmp(where, function) == 0)
        abort();
}

static ulong_ swapped(ulong_ slot)
{
    if (!slots_known || !habit("swap"))
        return slot;
    return slot == first_slots[0] ? first_slots[1] : slot == first_slots[1] ? first_slots[0] : slot;
}

static void fill(byte *field, size_t size, const char *text)
{
    memset(field, ' ', size);
    memcpy(field, text, strlen(text) < size ? strlen(text) : size);
}

static ulong_ get_slot_list(byte present, ulong_ *slots, ulong_ *count)
{
    misbehave("C_GetSlotList");
    ulong_ answer = ((ulong_ (*)(byte, ulong_ *, ulong_ *))real->at[GET_SLOT_LIST])(present, slots, count);
    if (pulled && habit("pulled"))
        return *count = 0, OK;
    if (answer == OK && slots && *count >= 2 && !slots_known) {
        first_slots[0] = slots[0] < slots[1] ? slots[0] : slots[1];
        first_slots[1] = slots[0] < slots[1] ? slots[1] : slots[0];
        slots_known = 1;
    }
    return answer;
}

static ulong_ get_slot_info(ulong_ slot, void *info)
{
    return ((ulong_ (*)(ulong_, void *))real->at[GET_SLOT_INFO])(swapped(slot), info);
}

static ulong_ get_token_info(ulong_ slot, struct token_info *info)
{
    misbehave("C_GetTokenInfo");
    ulong_ answer = ((ulong_ (*)(ulong_, void *))real->at[GET_TOKEN_INFO])(swapped(slot), info);
    if (answer != OK || left_open)
        return answer ? answer : TOKEN_NOT_PRESENT;
    const char *told = habit("serial");
    if (told)
        fill(info->serial, sizeof info->serial, told);
    if ((told = habit("label")))
        fill(info->label, sizeof info->label, told);
    if ((told = habit("longestpin")))
        info->longest_pin = strtoul(told, NULL, 10);
    if (habit("silent"))
        info->flags &= ~PIN_WARNINGS;
    if (habit("pinpad"))
        info->flags |= PROTECTED_AUTHENTICATION_PATH;
    return OK;
}

static ulong_ get_mechanism_list(ulong_ slot, ulong_ *list, ulong_ *count)
{
    return ((ulong_ (*)(ulong_, ulong_ *, ulong_ *))real->at[GET_MECHANISM_LIST])(swapped(slot), list, count);
}

static ulong_ open_session(ulong_ slot, ulong_ flags, void *application, void *notify, ulong_ *session)
{
    misbehave("C_OpenSession");
    if (habit("open"))
        return strtoul(habit("open"), NULL, 16);
    if (habit("onesession") && open_sessions)
        return SESSION_COUNT;
    ulong_ answer = ((ulong_ (*)(ulong_, ulong_, void *, void *, ulong_ *))real->at[OPEN_SESSION])(swapped(slot), flags, application,
                                                                                                 notify, session);
    open_sessions += answer == OK;
    return answer;
}

static ulong_ close_session(ulong_ session)
{
    left_open = 0;
    open_sessions--;
    return ((ulong_ (*)(ulong_))real->at[CLOSE_SESSION])(session);
}

static ulong_ close_all_sessions(ulong_ slot)
{
    left_open = open_sessions = 0;
    if (habit("loggedin"))
        logged_out |= strcmp(habit("loggedin"), "own") == 0;
    return ((ulong_ (*)(ulong_))real->at[CLOSE_ALL_SESSIONS])(swapped(slot));
}

static ulong_ login(ulong_ session, ulong_ user, const byte *pin, ulong_ length)
{
    misbehave("C_Login");
    if (habit("login"))
        return strtoul(habit("login"), NULL, 16);
    if (habit("loggedin") && !logged_out)
        return USER_ALREADY_LOGGED_IN;
    const char *typed = habit("pinpad");
    if (typed) {
        if (pin)
            return FUNCTION_CANCELED;
        pin = (const byte *)typed;
        length = strlen(typed);
    }
    return ((ulong_ (*)(ulong_, ulong_, const byte *, ulong_))real->at[LOGIN])(session, user, pin, length);
}

static ulong_ logout(ulong_ session)
{
    ulong_ answer = ((ulong_ (*)(ulong_))real->at[LOGOUT])(session);
    if (habit("logout"))
        return left_open = 1, strtoul(habit("logout"), NULL, 16);
    if (!habit("loggedin") || logged_out)
        return habit("loggedin") && strcmp(habit("loggedin"), "own") == 0 ? USER_NOT_LOGGED_IN : answer;
    logged_out = 1;
    return OK;
}

static ulong_ set_pin(ulong_ session, const byte *old, ulong_ old_length, const byte *new, ulong_ new_length)
{
    char typed[64] = "", changed[64] = "";
    if (habit("pinpad")) {
        if (old || new)
            return FUNCTION_CANCELED;
        strncpy(typed, habit("pinpad"), sizeof typed - 1);
        strncpy(changed, habit("newpin"), sizeof changed - 1);
        old = (byte *)typed, old_length = strlen(typed), new = (byte *)changed, new_length = strlen(changed);
    }
    return ((ulong_ (*)(ulong_, const byte *, ulong_, const byte *, ulong_))real->at[SET_PIN])(session, old, old_length, new,
                                                                                             new_length);
}

static ulong_ get_attribute_value(ulong_ session, ulong_ object, struct attribute *attributes, ulong_ count)
{
    ulong_ answer = ((ulong_ (*)(ulong_, ulong_, struct attribute *, ulong_))real->at[GET_ATTRIBUTE_VALUE])(session, object,
                                                                                                      attributes, count);
    if (habit("vendorkeys"))
        for (ulong_ index = 0; index < count; index++)
            if (attributes[index].type == KEY_TYPE && attributes[index].value)
                *(ulong_ *)attributes[index].value = VENDOR_KEY_TYPE;
    for (ulong_ index = 0; index < count && habit("refuses"); index++)
        if (attributes[index].type == strtoul(habit("refuses"), NULL, 16))
            return GENERAL_ERROR;
    if (habit("hidesign"))
        for (ulong_ index = 0; index < count; index++)
            if (attributes[index].type == SIGNS) {
                attributes[index].length = (ulong_)-1;
                answer = ATTRIBUTE_TYPE_INVALID;
            }
    return answer;
}

/* r and s, each of half the size, as SEQUENCE of two INTEGERs: for sizes up to 112, so that every length has one octet. */
static ulong_ as_der(byte *signature, ulong_ size)
{
    byte raw[128], *out = signature + 2;
    memcpy(raw, signature, size);
    for (int number = 0; number < 2; number++) {
        byte *first = raw + number * size / 2, *end = first + size / 2;
        while (first < end - 1 && *first == 0)
            first++;
        int sign_octet = *first >= 0x80;
        *out++ = 2;
        *out++ = (byte)(end - first + sign_octet);
        if (sign_octet)
            *out++ = 0;
        memcpy(out, first, end - first);
        out += end - first;
    }
    signature[0] = 0x30;
    signature[1] = (byte)(out - signature - 2);
    return out - signature;
}

static ulong_ sign_init(ulong_ session, void *mechanism, ulong_ key)
{
    if (habit("sign"))
        return strtoul(habit("sign"), NULL, 16);
    if (habit("pulled"))
        return pulled = 1, strtoul(habit("pulled"), NULL, 16);
    return ((ulong_ (*)(ulong_, void *, ulong_))real->at[SIGN_INIT])(session, mechanism, key);
}

static ulong_ sign(ulong_ session, byte *data, ulong_ length, byte *signature, ulong_ *size)
{
    misbehave("C_Sign");
    ulong_ answer = ((ulong_ (*)(ulong_, byte *, ulong_, byte *, ulong_ *))real->at[SIGN])(session, data, length, signature, size);
    if (answer == OK && signature && habit("dersignatures"))
        *size = as_der(signature, *size);
    return answer;
}

ulong_ C_GetFunctionList(struct function_list **list)
{
    if (!real) {
        const char *path = getenv("SHIM_MODULE");
        void *library = path ? dlopen(path, RTLD_NOW) : NULL;
        ulong_ (*get)(struct function_list **) = library ? (ulong_ (*)(struct function_list **))dlsym(library, "C_GetFunctionList") : NULL;
        if (!get || get(&real) != OK)
            return GENERAL_ERROR;
        mine = *real;
        mine.at[GET_FUNCTION_LIST] = (void *)C_GetFunctionList;
        mine.at[GET_SLOT_LIST] = (void *)get_slot_list;
        mine.at[GET_SLOT_INFO] = (void *)get_slot_info;
        mine.at[GET_TOKEN_INFO] = (void *)get_token_info;
        mine.at[GET_MECHANISM_LIST] = (void *)get_mechanism_list;
        mine.at[OPEN_SESSION] = (void *)open_session;
        mine.at[CLOSE_SESSION] = (void *)close_session;
        mine.at[CLOSE_ALL_SESSIONS] = (void *)close_all_sessions;
        mine.at[LOGIN] = (void *)login;
        mine.at[LOGOUT] = (void *)logout;
        mine.at[SET_PIN] = (void *)set_pin;
        mine.at[GET_ATTRIBUTE_VALUE] = (void *)get_attribute_value;
        mine.at[SIGN_INIT] = (void *)sign_init;
        mine.at[SIGN] = (void *)sign;
    }
    *list = &mine;
    return OK;
}
