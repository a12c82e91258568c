<?php
/**
 * Flux for functions in PHP: what a function may ask of its host, and how its answer gets there.
 *
 * It is part of the runtime, so nothing has to be included:
 *
 *     return function (Flux\Ctx $ctx, string $name): array { … };
 */

namespace Flux;

/** An error of the host. `type` names it, and is its class too: `catch (Flux\UniqueViolation $error)`. */
class Error extends \Exception
{
    /** @param array<string, mixed> $more what else is known: code, constraint, status … */
    public function __construct(string $message = '', public readonly array $more = [], public readonly string $type = 'Error')
    {
        parent::__construct($message);
    }

    public function __get(string $name): mixed
    {
        return $this->more[$name] ?? null;
    }
}

/** Ends the request with this status. */
class HTTPError extends Error
{
    public function __construct(int $status, string $message = '')
    {
        parent::__construct($message, ['status' => $status], 'HTTPError');
    }
}

/** Asks for the job to be tried again after so many seconds, or text such as "5m". */
class Retry extends Error
{
    public function __construct(int|float|string|null $after = null, string $message = '')
    {
        parent::__construct($message, ['after' => $after], 'Retry');
    }
}

/** A whole HTTP response, for functions whose answer is not only JSON. */
class Response
{
    /** @param array<string, string> $headers */
    public function __construct(public mixed $body = null, public int $status = 200, public array $headers = [])
    {
    }
}

/** What a function may ask. It lives as long as the request. */
class Ctx
{
    public readonly Db $db;
    public readonly Queue $queue;
    public readonly Events $events;
    public readonly Log $log;
    public readonly Secrets $secrets;
    private ?int $tool = null;

    public function __construct()
    {
        $this->db = new Db();
        $this->queue = new Queue();
        $this->events = new Events();
        $this->log = new Log();
        $this->secrets = new Secrets();
    }

    /** Any operation of the host, by name. */
    public function call(string $op, mixed ...$args): mixed
    {
        return call($op, $args);
    }

    /** An HTTP request to the outside: status, headers, body. Options: method, headers, body or json, timeout. */
    public function fetch(string $url, mixed ...$options): array
    {
        return call('fetch', ['url' => $url, 'tool' => $this->tool] + $options);
    }

    /** What `$does(...$arguments)` gives: recorded, and in a replay given back without calling it. */
    public function tool(string $name, callable $does, mixed ...$arguments): mixed
    {
        $begun = call('tool.begin', ['name' => $name, 'arguments' => (object) $arguments]);
        if (array_key_exists('answer', $begun)) {
            return $begun['answer'];
        }
        [$around, $this->tool] = [$this->tool, $begun['call']];
        try {
            $answer = $does(...$arguments);
        } catch (\Throwable $error) {
            call('tool.end', ['call' => $begun['call'], 'error' => ['type' => type_of($error), 'message' => $error->getMessage()]]);
            throw $error;
        } finally {
            $this->tool = $around;
        }
        call('tool.end', ['call' => $begun['call'], 'answer' => $answer]);
        return $answer;
    }

    /** What another function of the project answers. */
    public function invoke(string $function, mixed ...$input): mixed
    {
        return call('invoke', ['function' => $function, 'input' => (object) $input]);
    }

    /** The time in UTC, as ISO 8601. */
    public function now(): string
    {
        return call('now');
    }

    /** A random UUID. */
    public function uuid(): string
    {
        return call('uuid');
    }

    /** A number from 0 up to 1; not for secrets. */
    public function random(): float
    {
        return call('random');
    }

    /** The request: id, kind, method, path, query, headers. */
    public function request(): array
    {
        return call('request');
    }
}

/** The request's transaction. Parameters are marked $1, $2 …; such text belongs in single quotes. */
class Db
{
    /** The number of rows that were written or returned. */
    public function execute(string $sql, mixed ...$parameters): int
    {
        return call('db.execute', ['sql' => $sql, 'parameters' => array_values($parameters)]);
    }

    /** The first row, or null. */
    public function one(string $sql, mixed ...$parameters): ?array
    {
        return call('db.one', ['sql' => $sql, 'parameters' => array_values($parameters)]);
    }

    /** Every row. */
    public function all(string $sql, mixed ...$parameters): array
    {
        return call('db.all', ['sql' => $sql, 'parameters' => array_values($parameters)]);
    }

    /** The first column of the first row, or null. */
    public function value(string $sql, mixed ...$parameters): mixed
    {
        return call('db.value', ['sql' => $sql, 'parameters' => array_values($parameters)]);
    }

    /** A structured query: its rows, or the number of rows that it wrote. */
    public function query(array $query): mixed
    {
        return call('db.query', ['query' => $query]);
    }
}

/** Jobs, which exist exactly if the transaction does. */
class Queue
{
    /** The id of a new job. Options: delay, run_at, key, priority … */
    public function push(string $function, array $input = [], mixed ...$options): int
    {
        return call('queue.push', ['function' => $function, 'input' => (object) $input] + $options);
    }
}

/** Events, for whoever subscribes. */
class Events
{
    /** The id of a new event. */
    public function publish(string $type, mixed $data = null, ?string $subject = null): mixed
    {
        return call('events.publish', ['type' => $type, 'data' => $data, 'subject' => $subject]);
    }
}

/** Log lines of the request, with fields. */
class Log
{
    public function debug(string $message, mixed ...$fields): void
    {
        line('debug', $message, $fields);
    }

    public function info(string $message, mixed ...$fields): void
    {
        line('info', $message, $fields);
    }

    public function warning(string $message, mixed ...$fields): void
    {
        line('warning', $message, $fields);
    }

    public function error(string $message, mixed ...$fields): void
    {
        line('error', $message, $fields);
    }
}

/** Secrets, hidden in the record. */
class Secrets
{
    public function get(string $name, ?string $default = null): ?string
    {
        return call('secrets.get', ['name' => $name, 'default' => $default]);
    }
}

/** @internal What the host says to an operation. */
function call(string $op, array $args = []): mixed
{
    $reply = json_decode(\flux_call(encoded(['op' => $op, 'args' => (object) $args])), true);
    if (!isset($reply['error'])) {
        return $reply['ok'];
    }
    ['type' => $type, 'message' => $message] = $reply['error'];
    $class = __NAMESPACE__ . '\\' . $type;
    if (preg_match('/^[A-Z]\w*$/', $type) && !class_exists($class, false)) {
        eval('namespace Flux; class ' . $type . ' extends Error {}');
    }
    $known = is_subclass_of($class, Error::class) && !in_array($type, ['HTTPError', 'Retry']);
    throw new ($known ? $class : Error::class)($message, array_diff_key($reply['error'], ['type' => 0, 'message' => 0]), $type);
}

/** @internal The user's file, compiled and run: it returns its function. The reply says how that went. */
function load(string $told): string
{
    try {
        ['file' => $file, 'source' => $source] = json_decode($told, true, flags: JSON_THROW_ON_ERROR);
        $does = \flux_run($source, $file);
        if (!$does instanceof \Closure) {
            throw new Error("$file does not return a function");
        }
        $GLOBALS['flux_function'] = $does;
        return encoded(['ok' => true]);
    } catch (\Throwable $error) {
        return encoded(['error' => told($error)]);
    }
}

/** @internal The reply of the user's function. */
function handle(string $input): string
{
    try {
        $answer = $GLOBALS['flux_function'](new Ctx(), ...json_decode($input, true, flags: JSON_THROW_ON_ERROR));
        if ($answer instanceof Response) {
            $answer = ['$response' => ['status' => $answer->status, 'headers' => (object) $answer->headers, 'body' => $answer->body]];
        }
        return encoded(['ok' => $answer]);
    } catch (\Throwable $error) {
        return encoded(['error' => told($error)]);
    }
}

/** @internal */
function encoded(mixed $value): string
{
    return json_encode($value, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION | JSON_THROW_ON_ERROR);
}

/** @internal An error as the host reads it, its own frames outermost first. */
function told(\Throwable $error): array
{
    $frames = [['file' => $error->getFile(), 'line' => $error->getLine()], ...$error->getTrace()];
    $own = array_filter($frames, fn ($frame) => isset($frame['file']) && $frame['file'] !== __FILE__);
    $places = array_map(fn ($frame) => ['file' => $frame['file'], 'line' => $frame['line']], $own);
    return ($error instanceof Error ? $error->more : []) + [
        'type' => type_of($error),
        'message' => $error->getMessage(),
        'line' => $error->getLine(),
        'frames' => array_reverse(array_values($places)),
    ];
}

/** @internal */
function type_of(\Throwable $error): string
{
    return $error instanceof Error ? $error->type : $error::class;
}

/** @internal */
function line(string $level, string $message, array $fields): void
{
    $at = debug_backtrace(DEBUG_BACKTRACE_IGNORE_ARGS, 2)[1];
    call('log', ['level' => $level, 'message' => $message, 'fields' => (object) $fields, 'file' => $at['file'], 'line' => $at['line']]);
}

ini_set('display_errors', '0'); // they are written to stderr, which becomes log lines
ini_set('log_errors', '1');
