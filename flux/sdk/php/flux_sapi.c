/* PHP as a guest of Flux: the exports and the import of docs/guests/abi.md, around PHP's embedding API.
 *
 * flux_init starts the engine and runs prelude.php; flux_load compiles and runs the user's file, which returns its
 * function; flux_handle hands the request to the prelude, which calls it. Errors that PHP does not throw end the
 * script where they are raised; their message, file and line are kept, and become the reply.
 */
#include "sapi/embed/php_embed.h"
#include "Zend/zend_exceptions.h"
#include "Zend/zend_smart_str.h"
#include "ext/json/php_json.h"
#include "prelude.h"

#include <stdlib.h>
#include <string.h>

#define EXPORT(name) __attribute__((export_name(name)))

__attribute__((import_module("flux"), import_name("call"))) uint64_t flux_host_call(const char *bytes, uint32_t size);

static struct {
    zend_string *message, *file;
    uint32_t line;
} fatal;

static void (*shown)(int type, zend_string *file, const uint32_t line, zend_string *message);

EXPORT("flux_alloc") void *flux_alloc(uint32_t size) { return malloc(size ? size : 1); }

static uint64_t bytes_at(const char *bytes, size_t size) {
    return (uint64_t)(uintptr_t)bytes << 32 | (uint32_t)size;
}

ZEND_BEGIN_ARG_INFO_EX(takes_request, 0, 0, 1)
ZEND_ARG_INFO(0, request)
ZEND_END_ARG_INFO()

/* flux_call(string $request): string, the host's reply */
PHP_FUNCTION(flux_call) {
    char *request;
    size_t size;
    if (zend_parse_parameters(ZEND_NUM_ARGS(), "s", &request, &size) == FAILURE) return;
    uint64_t told = flux_host_call(request, (uint32_t)size);
    char *reply = (char *)(uintptr_t)(told >> 32);
    RETVAL_STRINGL(reply, (uint32_t)told);
    free(reply);
}

/* What a file of PHP gives when it is run. */
static void run_file(zend_string *source, const char *name, zval *gave) {
    zend_op_array *code = zend_compile_string(source, name, ZEND_COMPILE_POSITION_AT_OPEN_TAG);
    if (!code) return; /* the error is thrown already */
    zend_execute(code, gave);
    zend_destroy_static_vars(code);
}

ZEND_BEGIN_ARG_INFO_EX(takes_source, 0, 0, 2)
ZEND_ARG_INFO(0, source)
ZEND_ARG_INFO(0, name)
ZEND_END_ARG_INFO()

/* flux_run(string $source, string $name): mixed */
PHP_FUNCTION(flux_run) {
    zend_string *source, *name;
    if (zend_parse_parameters(ZEND_NUM_ARGS(), "SS", &source, &name) == FAILURE) return;
    run_file(source, ZSTR_VAL(name), return_value);
}

static const zend_function_entry functions[] = {
    PHP_FE(flux_call, takes_request)
    PHP_FE(flux_run, takes_source)
    PHP_FE_END
};

static size_t write_out(const char *text, size_t size) { return fwrite(text, 1, size, stdout); }

static void write_log(const char *message, int level) { fprintf(stderr, "%s\n", message); }

static void keep_error(int type, zend_string *file, const uint32_t line, zend_string *message) {
    if (type & E_FATAL_ERRORS) {
        fatal.message = zend_string_copy(message);
        fatal.file = file ? zend_string_copy(file) : NULL;
        fatal.line = line;
    }
    shown(type, file, line, message);
}

EXPORT("flux_init") int flux_init(void) {
    static int started;
    static char *arguments[] = {"flux", NULL};
    if (started) return 0;
    setenv("USE_ZEND_ALLOC", "0", 1); /* memory is limited by the host */
    setvbuf(stdout, NULL, _IOLBF, 4096);
    php_embed_module.php_ini_ignore = 1;
    php_embed_module.ub_write = write_out;
    php_embed_module.log_message = write_log;
    if (php_embed_init(1, arguments) == FAILURE) return 1;
    shown = zend_error_cb;
    zend_error_cb = keep_error;
    if (zend_register_functions(NULL, functions, NULL, MODULE_PERSISTENT) == FAILURE) return 2;
    int status = 3;
    zend_first_try {
        zval gave;
        run_file(zend_string_init((char *)prelude_php, prelude_php_len, 1), "flux.php", &gave);
        status = EG(exception) ? 3 : 0;
    }
    zend_end_try();
    if (status) return status;
    started = 1;
    return 0;
}

static void add_text(smart_str *to, zend_string *text) {
    zval value;
    ZVAL_STR(&value, text);
    php_json_encode(to, &value, PHP_JSON_UNESCAPED_UNICODE | PHP_JSON_INVALID_UTF8_SUBSTITUTE);
}

/* The reply for what ended the script without being thrown. */
static uint64_t fatal_reply(const char *otherwise) {
    smart_str reply = {0};
    smart_str_appends(&reply, "{\"error\":{\"type\":\"FatalError\",\"message\":");
    add_text(&reply, fatal.message ? fatal.message : zend_string_init(otherwise, strlen(otherwise), 0));
    if (fatal.file) {
        smart_str_appends(&reply, ",\"file\":");
        add_text(&reply, fatal.file);
        smart_str_append_printf(&reply, ",\"line\":%u", fatal.line);
    }
    smart_str_appends(&reply, "}}");
    smart_str_0(&reply);
    return bytes_at(ZSTR_VAL(reply.s), ZSTR_LEN(reply.s));
}

/* What a function of the prelude gives for text. */
static uint64_t prelude_call(const char *name, const char *bytes, size_t size) {
    uint64_t reply = 0;
    zend_first_try {
        zval function, given, gave;
        ZVAL_STRING(&function, name);
        ZVAL_STRINGL(&given, bytes, size);
        ZVAL_UNDEF(&gave);
        if (call_user_function(NULL, NULL, &function, &gave, 1, &given) == SUCCESS && Z_TYPE(gave) == IS_STRING) {
            reply = bytes_at(Z_STRVAL(gave), Z_STRLEN(gave)); /* never freed: the instance is dropped */
        }
    }
    zend_end_try();
    fflush(stdout);
    return reply ? reply : fatal_reply("PHP ended without an answer");
}

EXPORT("flux_load") uint64_t flux_load(char *source, uint32_t size) {
    if (flux_init()) return fatal_reply("PHP does not start");
    return prelude_call("Flux\\load", source, size);
}

EXPORT("flux_handle") uint64_t flux_handle(char *input, uint32_t size) {
    if (flux_init()) return fatal_reply("PHP does not start");
    return prelude_call("Flux\\handle", input, size);
}
