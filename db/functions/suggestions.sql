create or replace function flux.suggestions(request uuid)
    returns table (
        certainty   text,
        suggestion  text,
        about       uuid,
        command     text
    )
    language sql
    stable
    set search_path = ''
as $$
    with subject as (
        select * from flux.trace_requests as asked where asked.request_id = request order by asked.started_at limit 1
    ),

    cause as materialized (
        select * from flux.root_cause(request)
    ),

    found as materialized (
        select 1 as rule, rule.* from cause, flux.suggest_duplicate(request, cause.span_id) as rule where cause.code = '23505'
        union all
        select 2, rule.* from cause, flux.suggest_reference(request, cause.span_id) as rule where cause.code = '23503'
        union all
        select 3, rule.* from cause, flux.suggest_missing_value(request, cause.span_id) as rule where cause.code = '23502'
        union all
        select 4, rule.* from cause, flux.suggest_check(request, cause.span_id) as rule where cause.code = '23514'
        union all
        select 5, rule.* from cause, flux.suggest_bad_value(request, cause.span_id) as rule where cause.code like '22%'
        union all
        select 6, rule.* from cause, flux.suggest_other_request(request, cause.span_id) as rule
        where cause.code in ('40P01', '40001', '55P03')
        union all
        select 7, rule.* from cause, flux.suggest_missing_schema(cause.message, cause.code) as rule
        where cause.code in ('42P01', '42703', '42883')
        union all
        select 8, rule.* from cause, subject, flux.suggest_slowest_step(request) as rule
        where subject.outcome = 'timeout' or cause.code in ('57014', 'XF203')
        union all
        select 9, rule.* from cause, flux.suggest_tool(request, cause.span_id) as rule where cause.kind = 'tool'
        union all
        select 13, rule.* from cause, flux.suggest_no_row(request) as rule
        where cause.error_type ~ '(TypeError|AttributeError|KeyError|IndexError|LookupError|HTTPError)$'
        union all
        select 11, rule.* from subject, flux.suggest_crash(request) as rule where subject.outcome = 'crashed'
        union all
        select 12, rule.* from subject, flux.suggest_refused(request) as rule where subject.outcome = 'refused'
        union all
        select 14, rule.* from subject, flux.suggest_broken(request) as rule where subject.error_code = 'XF205'
        union all
        select 20, rule.* from flux.suggest_queries(request) as rule
        union all
        select 21, rule.* from flux.suggest_pusher(request) as rule
        union all
        select 22, rule.* from flux.suggest_hand_off(request) as rule
    )

    select found.certainty, found.suggestion, found.about, found.command
    from (
        select found.rule, found.certainty, found.suggestion, found.about, found.command from found
        union all
        select 0, 'unknown', 'no rule of Flux knows this failure; the steps and their inputs are in the record', null,
            'flux trace ' || left(request::text, 8) || ' --full'
        from subject
        where subject.outcome <> 'ok'
            and not exists (select from found where found.rule < 20)
    ) as found
    order by found.rule
$$;

comment on function flux.suggestions(uuid) is
    'What the record itself says about a failure, by rules; each with how sure it is (certain, likely, unknown), the request it is about, and a command.';
