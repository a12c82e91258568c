<?php
/** The functions of the conformance suite: `act` takes steps, `add` is a sum; one module is both. */

use Flux\Ctx;

const TYPES = <<<'SQL'
    select
        9007199254740993::bigint as big, 1.50::numeric as exact, '2026-03-10T14:22:01.5Z'::timestamptz as at,
        '\x00ff'::bytea as bytes, array[1, 2] as list, '{"a": [1, null]}'::jsonb as document,
        null::text as nothing, true as yes
    SQL;

function insert(Ctx $ctx, string $email): array
{
    return $ctx->db->one('insert into users (email) values ($1) returning id, email', $email);
}

function insert_caught(Ctx $ctx, string $email): array
{
    try {
        return insert($ctx, $email);
    } catch (Flux\UniqueViolation $error) {
        return ['caught' => $error->type, 'code' => $error->code, 'constraint' => $error->constraint];
    }
}

function invoke_caught(Ctx $ctx, string $function, array $input): mixed
{
    try {
        return $ctx->invoke($function, ...$input);
    } catch (Flux\Error $error) {
        return ['caught' => $error->type, 'message' => $error->getMessage()];
    }
}

function fetched(Ctx $ctx, string $url): array
{
    $answer = $ctx->fetch($url);
    return ['status' => $answer['status'], 'body' => $answer['body']];
}

function say(string $text): void
{
    echo $text, "\n";
}

function many(Ctx $ctx, int $count): int
{
    $sum = 0;
    for ($i = 0; $i < $count; $i++) {
        $sum += $ctx->db->value('select 1');
    }
    return $sum;
}

function spin(): void
{
    while (true) {
    }
}

function grow(): void
{
    for ($kept = []; ; ) {
        $kept[] = str_repeat('x', 1 << 20);
    }
}

function recurse(int $depth): int
{
    return recurse($depth + 1) + $depth;
}

function take(Ctx $ctx, array $step): mixed
{
    return match ($step['do']) {
        'insert' => insert($ctx, $step['email']),
        'read' => $ctx->db->all('select id, email from users where email = $1 order by id', $step['email']),
        'count' => $ctx->db->value('select count(*) from users'),
        'rename' => $ctx->db->execute('update users set email = $1 where id = $2', $step['email'], $step['id']),
        'insert_caught' => insert_caught($ctx, $step['email']),
        'query' => $ctx->db->query($step['query']),
        'types' => $ctx->db->one(TYPES),
        'fail' => throw new RuntimeException($step['message']),
        'http_error' => throw new Flux\HTTPError($step['status'], $step['message']),
        'fetch' => fetched($ctx, $step['url']),
        'tool' => $ctx->tool($step['name'], fn (string $url) => $ctx->fetch($url)['body'], url: $step['url']),
        'now' => $ctx->now(),
        'uuid' => $ctx->uuid(),
        'random' => $ctx->random(),
        'own_clock' => microtime(true) * 1000,
        'own_random' => mt_rand(),
        'sleep' => usleep((int) ($step['seconds'] * 1_000_000)),
        'invoke' => $ctx->invoke($step['function'], ...$step['input']),
        'invoke_caught' => invoke_caught($ctx, $step['function'], $step['input']),
        'push' => $ctx->queue->push($step['function'], $step['input']),
        'publish' => $ctx->events->publish($step['type'], $step['data']),
        'log' => $ctx->log->warning($step['message'], ...$step['fields']),
        'print' => say($step['text']),
        'secret' => $ctx->secrets->get($step['name']),
        'echo' => $step['value'],
        'repeat' => str_repeat($step['text'], $step['times']),
        'many' => many($ctx, $step['count']),
        'spin' => spin(),
        'grow' => grow(),
        'recurse' => recurse(1),
        'multibyte' => [mb_strtoupper($step['text']), mb_strlen($step['text']), ctype_digit('12'), PHP_INT_SIZE],
        'fatal' => eval($step['code']),
    };
}

return function (Ctx $ctx, ?array $steps = null, int $a = 0, int $b = 0): mixed {
    if ($steps === null) {
        return ['sum' => $a + $b];
    }
    $results = [];
    foreach ($steps as $step) {
        if ($step['do'] === 'respond') {
            return new Flux\Response($step['body'], $step['status'], $step['headers']);
        }
        $results[] = take($ctx, $step);
    }
    return ['results' => $results];
};
